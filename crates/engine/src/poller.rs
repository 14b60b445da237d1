//! Readiness by epoll.
//!
//! Owns the epoll instance, the wake-up pipe and the timer descriptor; it watches a bell that others ring. The instance is itself
//! pollable, which is what lets any event loop drive the engine. Its kqueue counterpart would have
//! the same interface.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::clock::Millis;
use crate::table::ConnectionId;

/// Most events taken in one turn. A turn with more would keep the loop's other tasks waiting: with
/// 1,000 ready connections 0.8 ms at 64, 11 ms at 4,096, at the same throughput.
pub(crate) const EVENTS_PER_TURN: usize = 64;

/// Readiness as the kernel reported it, not yet looked at.
pub struct Batch {
    pub(crate) events: Vec<(Source, Readiness)>,
}

/// What became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Connection(ConnectionId),
    Listener(u32),
    Wakeup,
    Timer,
    /// Another worker asks to look at the listeners.
    Bell,
}

/// What it became ready for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Readiness(EventFlags);

impl Readiness {
    pub(crate) fn is_readable(self) -> bool {
        self.0
            .intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR)
    }

    pub(crate) fn is_writable(self) -> bool {
        self.0
            .intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR)
    }

    /// The peer will send nothing more.
    pub(crate) fn is_end(self) -> bool {
        self.0
            .intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR)
    }
}

/// Generations never reach the top bit in practice, so these tokens name no connection.
const LISTENER: u64 = 1 << 63;
const WAKEUP: u64 = LISTENER | 1 << 62;
const TIMER: u64 = WAKEUP | 1;
const BELL: u64 = WAKEUP | 2;

pub(crate) struct Poller {
    epoll: OwnedFd,
    timer: OwnedFd,
    wakeup_reader: OwnedFd,
    wakeup_writer: OwnedFd,
}

impl Poller {
    pub(crate) fn new(bell: Option<BorrowedFd<'_>>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        let (wakeup_reader, wakeup_writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        epoll::add(
            &epoll,
            &wakeup_reader,
            EventData::new_u64(WAKEUP),
            EventFlags::IN,
        )?;
        if let Some(bell) = bell {
            // Edge-triggered, so that it need not be read: each ring is an edge.
            let flags = EventFlags::IN | EventFlags::ET;
            epoll::add(&epoll, bell, EventData::new_u64(BELL), flags)?;
        }
        Ok(Self {
            epoll,
            timer,
            wakeup_reader,
            wakeup_writer,
        })
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    pub(crate) fn wakeup_descriptor(&self) -> BorrowedFd<'_> {
        self.wakeup_writer.as_fd()
    }

    /// Registers a connection once for its whole life, edge-triggered: a system call saved each
    /// time that a level-triggered one would be switched on and off.
    pub(crate) fn add_connection(&self, socket: &OwnedFd, id: ConnectionId) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(
            &self.epoll,
            socket,
            EventData::new_u64(id.to_token()),
            flags,
        )?)
    }

    /// Listeners are edge-triggered, so that a worker may leave a connection to another without being told of
    /// it again and again. Where the engine's own loop waits, the kernel wakes one of those that wait; nested
    /// in another loop's instance, as asyncio has it, it wakes all of them.
    pub(crate) fn add_listener(&self, socket: &OwnedFd, index: u32) -> io::Result<()> {
        let data = EventData::new_u64(LISTENER | u64::from(index));
        let flags = EventFlags::IN | EventFlags::ET | EventFlags::EXCLUSIVE;
        Ok(epoll::add(&self.epoll, socket, data, flags)?)
    }

    /// Closing is not enough for a listener: the parent shares it, and epoll watches what is shared.
    pub(crate) fn remove_listener(&self, socket: &OwnedFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// Takes what is ready now.
    pub(crate) fn take(&self, batch: &mut Batch) -> io::Result<()> {
        batch.take_ready(self.epoll.as_fd())
    }

    /// Sets the timer to a moment of the monotonic clock, or off.
    pub(crate) fn arm(&self, due: Option<Millis>) -> io::Result<()> {
        let due = due.unwrap_or(0);
        let value = Timespec {
            tv_sec: i64::try_from(due / 1000).unwrap_or(i64::MAX),
            tv_nsec: (due % 1000 * 1_000_000) as _,
        };
        let spec = Itimerspec {
            it_interval: Timespec::default(),
            it_value: value,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &spec)?;
        Ok(())
    }

    pub(crate) fn wake(&self) {
        // A full pipe wakes just as well.
        let _full = rustix::io::write(&self.wakeup_writer, &[0]);
    }

    pub(crate) fn drain_wakeup(&self) {
        let mut sink = [0_u8; 64];
        while matches!(rustix::io::read(&self.wakeup_reader, &mut sink), Ok(64)) {}
    }

    pub(crate) fn drain_timer(&self) {
        let mut expirations = [0_u8; 8];
        let _not_expired = rustix::io::read(&self.timer, &mut expirations);
    }
}

impl Batch {
    /// A batch without events.
    #[must_use]
    pub fn new() -> Self {
        Self {
            events: Vec::with_capacity(EVENTS_PER_TURN),
        }
    }

    /// Waits until the engine behind `descriptor` has work, and takes it. Needs no access to the
    /// engine itself.
    ///
    /// # Errors
    /// What `epoll_wait` gives; an interrupt by a signal counts as an empty batch.
    pub fn wait(&mut self, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        self.take(descriptor, None)
    }

    /// Takes what is ready now.
    ///
    /// # Errors
    /// As [`Batch::wait`].
    pub fn take_ready(&mut self, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        self.take(descriptor, Some(Timespec::default()))
    }

    fn take(&mut self, descriptor: BorrowedFd<'_>, timeout: Option<Timespec>) -> io::Result<()> {
        self.events.clear();
        let mut room = [const { MaybeUninit::uninit() }; EVENTS_PER_TURN];
        match epoll::wait(descriptor, &mut room[..], timeout.as_ref()) {
            Ok((events, _)) => self.events.extend(events.iter().map(decode)),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Whether nothing was ready.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

fn decode(event: &epoll::Event) -> (Source, Readiness) {
    let (token, flags) = (event.data.u64(), event.flags);
    let source = match token {
        TIMER => Source::Timer,
        WAKEUP => Source::Wakeup,
        BELL => Source::Bell,
        token if token & LISTENER != 0 => Source::Listener(token as u32),
        token => Source::Connection(ConnectionId::from_token(token)),
    };
    (source, Readiness(flags))
}
