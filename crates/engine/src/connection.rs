//! One connection: a socket, what has arrived and not been used, and what has to leave.
//!
//! Owns the life cycle of a connection ([`Phase`]) and its bytes. What the bytes mean while a
//! request is answered is the [`Exchange`]'s; moving from phase to phase is `intake`, `reply` and
//! `engine`'s work.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

use bicorn_proto::http1::BodyReader;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketAddrAny, recv};

use crate::clock::Millis;
use crate::exchange::Exchange;
use crate::outbox::Outbox;

/// Who a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// An address and port.
    Internet(SocketAddr),
    /// A process on this machine, over a Unix socket.
    Unix,
}

/// Where a connection arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local {
    /// An address and port.
    Internet(SocketAddr),
    /// A Unix socket's path, if it has one.
    Unix(Option<PathBuf>),
}

impl From<Option<SocketAddrAny>> for Peer {
    fn from(address: Option<SocketAddrAny>) -> Self {
        address
            .and_then(|any| SocketAddr::try_from(any).ok())
            .map_or(Self::Unix, Self::Internet)
    }
}

/// A connection's life.
///
/// ```text
/// (accept) ─▶ Head ─▶ Exchange ─▶ Discarding ─▶ Idle ─▶ Head ...
///              │          └───────────────────▶ Idle
///              ▼ (refused)        ▼ (last answer)
///           Farewell ────────▶ Lingering ─▶ (closed)
/// ```
#[derive(Debug)]
pub(crate) enum Phase {
    /// Between two requests; nothing of the next one has arrived.
    Idle,
    /// Part of a head has arrived (or, on a new connection, nothing yet). So many bytes of the inbox
    /// have been judged.
    Head { judged: usize },
    /// A request is with the application, or its answer is leaving.
    Exchange,
    /// The answer has left; the rest of the request's body is read and dropped.
    Discarding { body: BodyReader, budget: usize },
    /// A refusal is leaving, and nothing more is read as a request.
    Farewell,
    /// Our side is shut down; what still arrives is dropped, so that no reset overtakes our last answer.
    Lingering { budget: usize },
}

/// Facts about a connection that come and go, one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Marks(u8);

impl Marks {
    /// The kernel reported bytes, or the end, that we have not read to exhaustion.
    pub(crate) const READABLE: Self = Self(1);
    /// The peer will send nothing more.
    pub(crate) const ENDED: Self = Self(1 << 1);
    /// The application has been told that the peer is gone.
    pub(crate) const TOLD: Self = Self(1 << 2);
    /// It is in the engine's list of work.
    pub(crate) const SCHEDULED: Self = Self(1 << 3);
    /// It holds gathered bytes that wait for the end of the turn.
    pub(crate) const GATHERING: Self = Self(1 << 4);
    /// The socket is full.
    pub(crate) const BLOCKED: Self = Self(1 << 5);

    pub(crate) const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    pub(crate) const fn set(&mut self, mark: Self) {
        self.0 |= mark.0;
    }

    pub(crate) const fn clear(&mut self, mark: Self) {
        self.0 &= !mark.0;
    }
}

pub(crate) struct Connection {
    pub(crate) socket: OwnedFd,
    pub(crate) peer: Peer,
    pub(crate) phase: Phase,
    pub(crate) marks: Marks,
    /// Requests begun on this connection.
    pub(crate) serial: u32,
    pub(crate) inbox: Inbox,
    /// Where bytes wait for the peer; none while nothing waits.
    pub(crate) outbox: Option<Box<Outbox>>,
    pub(crate) exchange: Option<Box<Exchange>>,
    /// When its last answer had left, or it was accepted.
    pub(crate) used: Millis,
    /// When something must have happened, or zero.
    pub(crate) deadline: Millis,
    /// The tick of the wheel that this connection is entered for, or zero.
    pub(crate) tick: u64,
}

/// What an attempt to receive gave.
pub(crate) enum Received {
    Bytes(usize),
    Nothing,
    End,
}

impl Connection {
    pub(crate) fn new(socket: OwnedFd, peer: Peer, now: Millis) -> Self {
        Self {
            socket,
            peer,
            phase: Phase::Head { judged: 0 },
            marks: Marks::default(),
            serial: 0,
            inbox: Inbox::default(),
            outbox: None,
            exchange: None,
            used: now,
            deadline: 0,
            tick: 0,
        }
    }

    /// Receives once. A read that does not fill the buffer has emptied the socket, which saves the
    /// call that would find it empty; the edge for later bytes is still to come.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Received {
        if !self.marks.has(Marks::READABLE) {
            return Received::Nothing;
        }
        let size = buffer.len();
        loop {
            match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((_, 0)) => {
                    self.marks.set(Marks::ENDED);
                    self.marks.clear(Marks::READABLE);
                    return Received::End;
                }
                Ok((_, count)) => {
                    if count < size && !self.marks.has(Marks::ENDED) {
                        self.marks.clear(Marks::READABLE);
                    }
                    return Received::Bytes(count);
                }
                Err(Errno::AGAIN) => {
                    self.marks.clear(Marks::READABLE);
                    return Received::Nothing;
                }
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.marks.set(Marks::ENDED);
                    self.marks.clear(Marks::READABLE);
                    return Received::End;
                }
            }
        }
    }

    /// Whether nothing of a request is under way.
    pub(crate) fn is_between_requests(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Head { .. }) && self.inbox.is_empty()
    }
}

/// Bytes that arrived and wait: a partial head, or what came behind a request.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    used: usize,
}

impl Inbox {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.used == self.bytes.len()
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) {
        if self.is_empty() {
            self.bytes.clear();
            self.used = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Drops bytes from the front, and the memory with the last of them.
    pub(crate) fn consume(&mut self, count: usize) {
        self.used += count;
        if self.is_empty() {
            *self = Self::default();
        }
    }
}

/// Waits until a socket can be read, or until a moment of the monotonic clock (zero: for ever).
///
/// # Errors
/// What `poll` gives; an interrupt by a signal is the end of the wait.
pub fn await_readable(socket: BorrowedFd<'_>, deadline: Millis) -> io::Result<()> {
    await_ready(socket, PollFlags::IN | PollFlags::RDHUP, deadline)
}

/// Waits until a socket can be written to; otherwise as [`await_readable`].
///
/// # Errors
/// As [`await_readable`].
pub fn await_writable(socket: BorrowedFd<'_>, deadline: Millis) -> io::Result<()> {
    await_ready(socket, PollFlags::OUT, deadline)
}

fn await_ready(socket: BorrowedFd<'_>, flags: PollFlags, deadline: Millis) -> io::Result<()> {
    let left = deadline.saturating_sub(crate::clock::micros() / 1000);
    let timeout = Timespec {
        tv_sec: i64::try_from(left / 1000).unwrap_or(i64::MAX),
        tv_nsec: (left % 1000 * 1_000_000) as _,
    };
    let mut descriptors = [PollFd::new(&socket, flags)];
    match poll(&mut descriptors, (deadline != 0).then_some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
