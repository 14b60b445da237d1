//! The access log.
//!
//! Owns the format of its lines (Apache's combined format plus the duration in microseconds), the
//! escaping of what strangers put into them, and a thread of its own for writing, so that a reader
//! who stops reading standard output never stops the server.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use crate::clock::Clock;
use crate::connection::Peer;
use crate::settings::LogTarget;
use bicorn_proto::http1::RequestHead;

/// A batch goes to the writer at this size, or when the engine's timer says so.
const BATCH: usize = 32 * 1024;
/// Batches that may wait for a slow reader; what comes on top is dropped and counted.
const WAITING_BATCHES: usize = 64;
/// What a pipe takes in one piece: 4096 bytes on Linux, 512 on macOS, where a line is often longer.
const PIPE_BUF: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };
const REFERER: &[u8] = b"referer";
const USER_AGENT: &[u8] = b"user-agent";

/// What of a request goes into its line, taken while the request's bytes are at hand.
pub(crate) struct LogDraft {
    /// `"request line"`, then `"referer" "user agent"`.
    text: Vec<u8>,
    request_line: usize,
}

impl LogDraft {
    pub(crate) fn new(head: &RequestHead, buffer: &[u8]) -> Self {
        let find = |name: &[u8]| {
            let has_name = |field: &&_| is_named(field, name, buffer);
            head.fields
                .iter()
                .find(has_name)
                .map_or(&b"-"[..], |field| field.value.of(buffer))
        };
        let mut text = Vec::with_capacity(head.target.len() + 160);
        text.push(b'"');
        escape(head.method.of(buffer), &mut text);
        text.push(b' ');
        escape(head.target.of(buffer), &mut text);
        text.extend_from_slice(match head.version {
            bicorn_proto::http1::Version::Http10 => b" HTTP/1.0\"",
            bicorn_proto::http1::Version::Http11 => b" HTTP/1.1\"",
        });
        let request_line = text.len();
        text.extend_from_slice(b" \"");
        escape(find(REFERER), &mut text);
        text.extend_from_slice(b"\" \"");
        escape(find(USER_AGENT), &mut text);
        text.push(b'"');
        Self { text, request_line }
    }

    /// The line of a request that could not be read.
    pub(crate) fn unreadable() -> Self {
        Self {
            text: b"\"-\" \"-\" \"-\"".to_vec(),
            request_line: 3,
        }
    }
}

fn is_named(field: &bicorn_proto::http1::Field, name: &[u8], buffer: &[u8]) -> bool {
    field.name.len() == name.len() && field.name.of(buffer).eq_ignore_ascii_case(name)
}

/// Quotes, backslashes and everything that is not printable ASCII becomes `\xHH`, so that no request
/// can forge a line or send a terminal a control sequence (CVE-2003-0020).
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        if (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\' {
            out.push(byte);
        } else {
            let digit = |half: u8| b"0123456789ABCDEF"[usize::from(half)];
            out.extend_from_slice(&[b'\\', b'x', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// What is known of a response when it has been sent.
pub(crate) struct Outcome {
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) micros: u64,
}

pub(crate) struct AccessLog {
    batch: Vec<u8>,
    dropped: u64,
    target: LogTarget,
    writer: Option<Writer>,
}

struct Writer {
    batches: SyncSender<Order>,
    thread: JoinHandle<()>,
}

enum Order {
    Write(Vec<u8>),
    Reopen(File),
}

impl AccessLog {
    /// # Errors
    /// When the file cannot be opened or the thread not be started.
    pub(crate) fn new(target: LogTarget) -> io::Result<Self> {
        let sink = open(&target)?;
        let (batches, orders) = sync_channel(WAITING_BATCHES);
        let thread = std::thread::Builder::new()
            .name("bicorn-log".to_owned())
            .stack_size(128 * 1024)
            .spawn(move || write_all(sink, &orders))?;
        let writer = Some(Writer { batches, thread });
        Ok(Self {
            batch: Vec::with_capacity(BATCH),
            dropped: 0,
            target,
            writer,
        })
    }

    /// Adds a line: `peer - - [time] "request" status bytes "referer" "user agent" microseconds`.
    pub(crate) fn add(&mut self, clock: &Clock, peer: Peer, draft: &LogDraft, outcome: &Outcome) {
        let out = &mut self.batch;
        // Writing to memory cannot fail.
        let _ = match peer {
            Peer::Internet(address) => write!(out, "{}", address.ip()),
            Peer::Unix => write!(out, "-"),
        };
        out.extend_from_slice(b" - - [");
        out.extend_from_slice(clock.common_log());
        out.extend_from_slice(b"] ");
        let (request_line, rest) = draft.text.split_at(draft.request_line);
        out.extend_from_slice(request_line);
        let _ = write!(out, " {} {}", outcome.status, outcome.bytes);
        out.extend_from_slice(rest);
        let _ = writeln!(out, " {}", outcome.micros);
        if self.batch.len() >= BATCH {
            self.hand_over();
        }
    }

    /// Gives the lines to the writer, or counts them as lost where it is far behind.
    pub(crate) fn hand_over(&mut self) {
        let Some(writer) = &self.writer else { return };
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        match writer.batches.try_send(Order::Write(batch)) {
            Ok(()) if self.dropped > 0 => {
                let lines = std::mem::take(&mut self.dropped);
                let _ = writeln!(
                    self.batch,
                    "# {lines} lines dropped: the log's reader is too slow"
                );
            }
            Ok(()) => {}
            Err(TrySendError::Full(Order::Write(batch))) => {
                self.dropped += memchr::memchr_iter(b'\n', &batch).count() as u64;
            }
            Err(_) => {}
        }
    }

    /// Opens the file again by its name, after a rotation.
    ///
    /// # Errors
    /// When the file cannot be opened, or so much waits to be written that the order finds no room; the old
    /// one stays in use.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        let sink = open(&self.target)?;
        self.hand_over();
        let ordered = match &self.writer {
            Some(writer) => writer.batches.try_send(Order::Reopen(sink)),
            None => Ok(()),
        };
        ordered.map_err(|_| io::Error::other("the writer is too far behind"))
    }
}

impl Drop for AccessLog {
    /// Writes what is left.
    fn drop(&mut self) {
        self.hand_over();
        if let Some(Writer { batches, thread }) = self.writer.take() {
            drop(batches);
            let _panicked = thread.join();
        }
    }
}

fn open(target: &LogTarget) -> io::Result<File> {
    use std::os::fd::AsFd;
    match target {
        LogTarget::Stdout => Ok(io::stdout().as_fd().try_clone_to_owned()?.into()),
        LogTarget::File(path) => OpenOptions::new().append(true).create(true).open(path),
    }
}

fn write_all(mut sink: File, orders: &Receiver<Order>) {
    for order in orders {
        match order {
            // A full disk or a reader that left must not end the server.
            Order::Write(batch) => drop(write_lines(&mut sink, &batch)),
            Order::Reopen(file) => sink = file,
        }
    }
}

/// Writes so that nobody else's output comes into the middle of a line: a pipe takes `PIPE_BUF` bytes in one
/// piece, and what is longer in several (POSIX, `write`).
fn write_lines(sink: &mut File, lines: &[u8]) -> io::Result<()> {
    if !sink.metadata()?.file_type().is_fifo() {
        return sink.write_all(lines);
    }
    let mut rest = lines;
    while !rest.is_empty() {
        let whole = memchr::memrchr(b'\n', &rest[..rest.len().min(PIPE_BUF)])
            .or_else(|| memchr::memchr(b'\n', rest))
            .map_or(rest.len(), |end| end + 1);
        let (piece, after) = rest.split_at(whole);
        sink.write_all(piece)?;
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bicorn_proto::{Limits, http1};

    #[test]
    fn a_line_holds_what_strangers_sent_in_harmless_form() {
        let bytes = b"GET /\"a\\ HTTP/1.1\r\nHost: a\r\nUser-Agent: x\"y\xc3\xbf\r\n\r\n";
        let mut head = RequestHead::default();
        http1::parse(bytes, 0, &Limits::default(), &mut head)
            .unwrap()
            .unwrap();
        let draft = LogDraft::new(&head, bytes);
        let path = std::env::temp_dir().join(format!("bicorn-log-{}", std::process::id()));
        let mut log = AccessLog::new(LogTarget::File(path.clone())).unwrap();
        let outcome = Outcome {
            status: 200,
            bytes: 13,
            micros: 42,
        };
        log.add(&Clock::new(), Peer::Unix, &draft, &outcome);
        drop(log);
        let line = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        let (start, rest) = line.split_at(line.find(']').unwrap());
        assert!(start.starts_with("- - - ["));
        assert_eq!(
            rest,
            "] \"GET /\\x22a\\x5C HTTP/1.1\" 200 13 \"-\" \"x\\x22y\\xC3\\xBF\" 42\n"
        );
    }
}
