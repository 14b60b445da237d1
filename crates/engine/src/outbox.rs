//! Response bytes that wait for the peer to take them.
//!
//! Owns the queue behind one connection: bytes gathered in one buffer, large bodies kept by
//! reference, files for `sendfile`, and a temporary file for what a slow peer leaves behind.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};

use crate::content::temporary_file;

/// Bodies up to this size are copied behind their head, which is cheaper than a second vector.
pub(crate) const COPY_BELOW: usize = 4096;
/// Bodies from this size on are kept by reference when they have to wait.
const RETAIN_FROM: usize = 16 * 1024;
/// Most buffers in one `sendmsg`.
const VECTORS: usize = 16;
/// Most bytes of a file in one `sendfile`.
const FILE_PIECE: usize = 256 * 1024;
/// Bytes after which a flush pauses, so that a peer who reads as fast as we write, as on loopback, does
/// not hold up the turn for the length of a download.
const FLUSH_BUDGET: u64 = 1 << 20;

/// A body, which may have to outlive the call that brings it.
pub trait Payload {
    /// The bytes.
    fn bytes(&self) -> &[u8];
    /// Something that keeps the bytes alive.
    fn retain(&self) -> Box<dyn AsRef<[u8]> + Send>;
}

impl Payload for &[u8] {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn retain(&self) -> Box<dyn AsRef<[u8]> + Send> {
        Box::new(self.to_vec())
    }
}

enum Segment {
    Bytes(Vec<u8>, usize),
    Retained(Box<dyn AsRef<[u8]> + Send>, usize),
    File {
        file: OwnedFd,
        offset: u64,
        remaining: u64,
    },
    /// A part of the outbox's own temporary file.
    Spilled {
        offset: u64,
        remaining: u64,
    },
}

impl Segment {
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes, at) => Some(&bytes[*at..]),
            Self::Retained(owner, at) => Some(&(**owner).as_ref()[*at..]),
            Self::File { .. } | Self::Spilled { .. } => None,
        }
    }

    fn len(&self) -> usize {
        self.bytes().map_or(0, <[u8]>::len)
    }
}

/// What a peer's socket did with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It took all.
    Clear,
    /// It is full; it will become writable.
    Blocked,
    /// It might take more, but others are to have their turn.
    Paused,
    /// The peer is gone.
    Gone,
}

#[derive(Default)]
pub(crate) struct Outbox {
    segments: VecDeque<Segment>,
    /// Bytes in memory that wait.
    queued: usize,
    /// Where bytes go once memory is not the place for more.
    spill: Option<Spill>,
    /// Bytes sent since the last call of [`Outbox::take_sent`].
    sent: u64,
}

struct Spill {
    file: File,
    written: u64,
}

impl Outbox {
    pub(crate) const fn queued(&self) -> usize {
        self.queued
    }

    pub(crate) fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.sent)
    }

    /// The buffer that small pieces are gathered in, at the queue's end.
    pub(crate) fn gather(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if !matches!(self.segments.back(), Some(Segment::Bytes(..))) {
            self.segments.push_back(Segment::Bytes(Vec::new(), 0));
        }
        let Some(Segment::Bytes(tail, _)) = self.segments.back_mut() else {
            return;
        };
        let before = tail.len();
        write(tail);
        self.queued += tail.len() - before;
    }

    /// Puts a body at the queue's end: into the gathered bytes if it is small, else by reference.
    pub(crate) fn push(&mut self, payload: &impl Payload, from: usize) {
        let bytes = &payload.bytes()[from..];
        if bytes.len() < RETAIN_FROM {
            self.gather(|tail| tail.extend_from_slice(bytes));
        } else {
            self.queued += bytes.len();
            self.segments
                .push_back(Segment::Retained(payload.retain(), from));
        }
    }

    /// Puts a part of a file at the queue's end.
    pub(crate) fn push_file(&mut self, file: OwnedFd, offset: u64, remaining: u64) {
        if remaining > 0 {
            self.segments.push_back(Segment::File {
                file,
                offset,
                remaining,
            });
        }
    }

    /// Whether the temporary file has reached a size, and some of it still waits. It only grows until it is
    /// sent to its end, when the next one begins.
    pub(crate) fn has_spilled(&self, size: u64) -> bool {
        self.spill
            .as_ref()
            .is_some_and(|spill| spill.written >= size)
            && self.has_spilled_segment()
    }

    fn has_spilled_segment(&self) -> bool {
        let is_spilled = |segment: &Segment| matches!(segment, Segment::Spilled { .. });
        self.segments.iter().any(is_spilled)
    }

    /// Moves the bytes at the queue's end to a temporary file when more than `most` wait in memory.
    pub(crate) fn spill(&mut self, most: usize) -> io::Result<()> {
        if self.queued <= most {
            return Ok(());
        }
        if !self.has_spilled_segment() {
            self.spill = None;
        }
        let kept = self
            .segments
            .iter()
            .rposition(|segment| segment.bytes().is_none());
        let moved = self.segments.split_off(kept.map_or(0, |last| last + 1));
        let spill = match &mut self.spill {
            Some(spill) => spill,
            none => none.insert(Spill {
                file: temporary_file()?,
                written: 0,
            }),
        };
        let start = spill.written;
        for bytes in moved.iter().filter_map(Segment::bytes) {
            spill.file.write_all(bytes)?;
            spill.written += bytes.len() as u64;
        }
        let length = spill.written - start;
        self.queued -= usize::try_from(length).unwrap_or(self.queued);
        match self.segments.back_mut() {
            Some(Segment::Spilled { remaining, .. }) => *remaining += length,
            _ => self.segments.push_back(Segment::Spilled {
                offset: start,
                remaining: length,
            }),
        }
        Ok(())
    }

    /// Sends bytes past an empty queue, at once, and queues what the peer does not take.
    pub(crate) fn send_copied(&mut self, socket: &OwnedFd, bytes: &[u8]) -> Flow {
        let taken = match transmit(socket, &[IoSlice::new(bytes)]) {
            Ok(taken) => taken,
            Err(Errno::AGAIN) => 0,
            Err(_) => return Flow::Gone,
        };
        self.sent += taken as u64;
        if taken == bytes.len() {
            return Flow::Clear;
        }
        self.gather(|buffer| buffer.extend_from_slice(&bytes[taken..]));
        Flow::Blocked
    }

    /// Sends `head` and `payload` past an empty queue, at once, and queues what the peer does not take.
    pub(crate) fn send_now(
        &mut self,
        socket: &OwnedFd,
        head: &[u8],
        payload: &impl Payload,
        tail: &[u8],
    ) -> Flow {
        let body = payload.bytes();
        let total = head.len() + body.len() + tail.len();
        let parts = [IoSlice::new(head), IoSlice::new(body), IoSlice::new(tail)];
        let taken = match transmit(socket, &parts[..if tail.is_empty() { 2 } else { 3 }]) {
            Ok(taken) => taken,
            Err(Errno::AGAIN) => 0,
            Err(_) => return Flow::Gone,
        };
        self.sent += taken as u64;
        if taken == total {
            return Flow::Clear;
        }
        if taken < head.len() {
            self.gather(|buffer| buffer.extend_from_slice(&head[taken..]));
        }
        let from = taken.saturating_sub(head.len());
        if from < body.len() {
            self.push(payload, from);
        }
        let from = taken.saturating_sub(head.len() + body.len());
        self.gather(|buffer| buffer.extend_from_slice(&tail[from..]));
        Flow::Blocked
    }

    /// Sends as much of the queue as the peer takes.
    pub(crate) fn flush(&mut self, socket: &OwnedFd) -> Flow {
        let end = self.sent + FLUSH_BUDGET;
        while let Some(front) = self.segments.front_mut() {
            if self.sent >= end {
                return Flow::Paused;
            }
            let result = match front {
                Segment::File {
                    file,
                    offset,
                    remaining,
                } => send_file(socket, file, offset, remaining),
                Segment::Spilled { offset, remaining } => match &self.spill {
                    Some(spill) => send_file(socket, &spill.file, offset, remaining),
                    None => Err(Errno::PIPE),
                },
                _ => self.send_bytes(socket),
            };
            match result {
                Ok(taken) => {
                    self.sent += taken as u64;
                    self.drop_sent(taken);
                }
                Err(Errno::AGAIN) => return Flow::Blocked,
                Err(_) => return Flow::Gone,
            }
        }
        self.spill = None;
        Flow::Clear
    }

    fn send_bytes(&self, socket: &OwnedFd) -> Result<usize, Errno> {
        let mut parts = [IoSlice::new(&[]); VECTORS];
        let mut count = 0;
        for bytes in self.segments.iter().map_while(Segment::bytes).take(VECTORS) {
            parts[count] = IoSlice::new(bytes);
            count += 1;
        }
        transmit(socket, &parts[..count])
    }

    /// Drops what was sent from the queue's front. A file's own position has moved already.
    fn drop_sent(&mut self, mut taken: usize) {
        while let Some(front) = self.segments.front_mut() {
            let length = front.len();
            match front {
                Segment::File { remaining: 0, .. } | Segment::Spilled { remaining: 0, .. } => {
                    taken = 0;
                }
                Segment::File { .. } | Segment::Spilled { .. } => return,
                _ if taken >= length => {
                    taken -= length;
                    self.queued -= length;
                }
                Segment::Bytes(_, at) | Segment::Retained(_, at) => {
                    *at += taken;
                    self.queued -= taken;
                    return;
                }
            }
            self.segments.pop_front();
        }
    }
}

fn transmit(socket: &OwnedFd, parts: &[IoSlice<'_>]) -> Result<usize, Errno> {
    loop {
        let result = match parts {
            [only] => send(socket, only, SendFlags::NOSIGNAL),
            _ => sendmsg(
                socket,
                parts,
                &mut SendAncillaryBuffer::default(),
                SendFlags::NOSIGNAL,
            ),
        };
        match result {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

fn send_file(
    socket: &OwnedFd,
    file: impl AsFd,
    offset: &mut u64,
    remaining: &mut u64,
) -> Result<usize, Errno> {
    let piece = usize::try_from(*remaining)
        .unwrap_or(FILE_PIECE)
        .min(FILE_PIECE);
    let sent = rustix::fs::sendfile(socket, file, Some(offset), piece)?;
    if sent == 0 {
        // The file is shorter than was announced: only a close tells the peer.
        return Err(Errno::PIPE);
    }
    *remaining -= sent as u64;
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn pair() -> (OwnedFd, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (OwnedFd::from(ours), theirs)
    }

    /// Flushes while the peer reads, and gives what it read.
    fn receive(
        outbox: &mut Outbox,
        socket: &OwnedFd,
        peer: &mut UnixStream,
        length: usize,
    ) -> Vec<u8> {
        let mut received = vec![0; length];
        let mut at = 0;
        while at < length {
            outbox.flush(socket);
            let end = length.min(at + 65_536);
            at += peer.read(&mut received[at..end]).unwrap();
        }
        assert_eq!(outbox.flush(socket), Flow::Clear);
        received
    }

    #[test]
    fn what_a_peer_does_not_take_waits_in_order() {
        let (socket, mut peer) = pair();
        let body = (0..3_000_000_u32).map(|n| n as u8).collect::<Vec<_>>();
        let mut outbox = Outbox::default();
        assert_eq!(
            outbox.send_now(&socket, b"head", &&body[..], b"tail"),
            Flow::Blocked
        );
        outbox.gather(|buffer| buffer.extend_from_slice(b"more"));
        let expected = [b"head", &body[..], b"tail", b"more"].concat();
        assert_eq!(
            receive(&mut outbox, &socket, &mut peer, expected.len()),
            expected
        );
        assert_eq!(
            (outbox.queued(), outbox.take_sent()),
            (0, expected.len() as u64)
        );
    }

    #[test]
    fn a_spilled_queue_keeps_its_order() {
        let (socket, mut peer) = pair();
        let mut outbox = Outbox::default();
        let mut expected = Vec::new();
        for round in 0..40_u8 {
            let piece = vec![round; 20_000 + usize::from(round)];
            outbox.push(&&piece[..], 0);
            outbox.gather(|buffer| buffer.push(b'|'));
            outbox.spill(100_000).unwrap();
            assert!(outbox.queued() <= 100_000);
            expected.extend_from_slice(&piece);
            expected.push(b'|');
        }
        assert_eq!(
            receive(&mut outbox, &socket, &mut peer, expected.len()),
            expected
        );
    }

    #[test]
    fn a_file_that_was_sent_to_its_end_is_not_written_on() {
        let (socket, mut peer) = pair();
        let mut outbox = Outbox::default();
        for round in 0..3_u8 {
            // More than the socket takes at once, and something in memory behind it.
            outbox.push(&&vec![round; 2_000_000][..], 0);
            outbox.spill(0).unwrap();
            assert!(outbox.has_spilled(2_000_000) && !outbox.has_spilled(2_000_001));
            outbox.gather(|buffer| buffer.push(b'|'));
            let mut received = vec![0; 2_000_000];
            let mut at = 0;
            while at < received.len() {
                outbox.flush(&socket);
                at += peer.read(&mut received[at..]).unwrap();
            }
            assert!(received.ends_with(&[round]) && !outbox.has_spilled(1));
            outbox.flush(&socket);
            peer.read_exact(&mut [0]).unwrap();
        }
    }

    #[test]
    fn a_peer_that_left_is_noticed() {
        let (socket, peer) = pair();
        drop(peer);
        let mut outbox = Outbox::default();
        assert_eq!(outbox.send_now(&socket, b"x", &&b"y"[..], b""), Flow::Gone);
    }

    #[test]
    fn a_file_shorter_than_announced_breaks_off() {
        let (socket, _peer) = pair();
        let mut file = temporary_file().unwrap();
        file.write_all(b"abc").unwrap();
        let mut outbox = Outbox::default();
        outbox.push_file(file.into(), 0, 4);
        assert_eq!(outbox.flush(&socket), Flow::Gone);
    }

    #[test]
    fn a_long_flush_pauses_for_the_others() {
        let mut file = temporary_file().unwrap();
        file.write_all(&vec![b'x'; 2 * FLUSH_BUDGET as usize + 1])
            .unwrap();
        // A file takes what it is sent as fast as the fastest peer.
        let peer = OwnedFd::from(temporary_file().unwrap());
        let mut outbox = Outbox::default();
        outbox.push_file(file.into(), 0, 2 * FLUSH_BUDGET + 1);
        let flows = [(); 3].map(|()| outbox.flush(&peer));
        assert_eq!(flows, [Flow::Paused, Flow::Paused, Flow::Clear]);
        assert_eq!(outbox.take_sent(), 2 * FLUSH_BUDGET + 1);
    }
}
