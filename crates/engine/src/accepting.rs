//! Accepting: when connections are taken from the listeners, and when they are left.
//!
//! Owns the listeners and whether they are watched. All workers watch the same sockets. A connection is
//! announced once, and not until it is taken: so whoever leaves one to another worker wakes that one,
//! and looks again after a moment, since the other may be blocked. Whose turn it is decides `gate`.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::clock::Millis;
use crate::connection::{Connection, Peer};
use crate::engine::{Engine, Event, millis};
use crate::gate::Rival;
use crate::listener::{ACCEPTS_PER_TURN, Accepted, Listener};
use crate::scoreboard::State;

/// How long accepting rests when descriptors run out.
const EXHAUSTION_REST: Millis = 500;
/// The error log hears of that once in this time.
const NOTICE_INTERVAL: Millis = 1000;
/// Most connections taken from a listener before it is closed, so that an end is one, whoever connects.
const LAST_ACCEPTS: usize = 4096;
/// How long a connection is left to the worker that should take it, by the next in order and by the others.
const RETRY: Millis = 4;
const LATER_RETRY: Millis = 12;

/// Whether connections are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    /// As many connections are open as are allowed.
    Full,
    /// Descriptors ran out; until then nothing is tried.
    Resting(Millis),
}

/// Somebody who was left to another worker.
#[derive(Debug, Clone, Copy)]
struct Left {
    to: usize,
    at: Millis,
}

pub(crate) struct Accepting {
    listeners: Vec<Listener>,
    door: Door,
    /// When to look at the listeners without being told to, or zero.
    again_at: Millis,
    left: Option<Left>,
    next_notice: Millis,
}

impl Accepting {
    pub(crate) const fn new() -> Self {
        Self {
            listeners: Vec::new(),
            door: Door::Open,
            again_at: 0,
            left: None,
            next_notice: 0,
        }
    }

    /// When the engine must have a turn for the listeners' sake.
    pub(crate) fn due(&self) -> Option<Millis> {
        match self.door {
            Door::Resting(until) => Some(until),
            _ => (self.again_at != 0).then_some(self.again_at),
        }
    }
}

impl Engine {
    /// Accepts connections from a listening socket.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated or watched.
    pub fn add_listener(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let socket = socket.try_clone_to_owned()?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        let index = self.accepting.listeners.len() as u32;
        if self.accepting.door == Door::Open {
            self.poller.add_listener(&socket, index)?;
        }
        self.accepting.listeners.push(Listener { socket });
        if index == 0 {
            let now = self.clock.refresh();
            self.accounts.begin_serving(now);
            self.accounts.set_open(true);
            self.set_timer();
        }
        Ok(())
    }

    /// Serves a connection that somebody else has made: one end of a socket pair, as a rule.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated or watched.
    pub fn adopt(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let socket = socket.try_clone_to_owned()?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        self.clock.refresh();
        self.welcome(socket, Peer::Unix);
        Ok(())
    }

    /// Ends accepting for good.
    pub(crate) fn forget_listeners(&mut self) {
        self.accounts.enter(State::Draining);
        self.unwatch();
        self.accepting.listeners.clear();
    }

    /// Takes whoever waits at a listener and is no other worker's.
    pub(crate) fn accept(&mut self, index: usize) {
        let now = self.clock.millis();
        for _ in 0..ACCEPTS_PER_TURN {
            if self.accepting.door != Door::Open {
                return;
            }
            if self.is_full() {
                return self.shut(Door::Full);
            }
            if let Some(rival) = self.accounts.rival(self.connections.len(), now) {
                return self.leave(index, &rival, now);
            }
            if !self.take(index) {
                return;
            }
        }
        // More may wait, of whom nothing will tell.
        self.accepting.again_at = now.max(1);
        self.accepting.left = None;
    }

    /// Looks at all listeners.
    pub(crate) fn accept_anywhere(&mut self) {
        for index in 0..self.accepting.listeners.len() {
            self.accept(index);
        }
    }

    /// Does what is due at the listeners.
    pub(crate) fn look_at_listeners(&mut self, now: Millis) {
        if let Door::Resting(until) = self.accepting.door
            && until <= now
        {
            self.open_door();
        }
        if self.accepting.again_at == 0 || now < self.accepting.again_at {
            return;
        }
        self.accepting.again_at = 0;
        if let Some(left) = self.accepting.left.take() {
            self.take_over(left);
        }
        self.accept_anywhere();
    }

    /// Lets connections in again when some have ended.
    pub(crate) fn make_room(&mut self) {
        if self.accepting.door == Door::Full && !self.is_full() {
            self.open_door();
        }
    }

    /// Whether an ended connection makes room for one that waits.
    pub(crate) fn awaits_room(&self) -> bool {
        self.accepting.door == Door::Full
    }

    /// Takes those who have connected by now: the kernel would reset them with the listener's end.
    pub(crate) fn accept_waiting(&mut self) {
        for index in 0..self.accepting.listeners.len() {
            let mut takes = 0..LAST_ACCEPTS;
            while takes.next().is_some() && self.take(index) {}
        }
    }

    fn is_full(&self) -> bool {
        let most = self.settings.max_connections;
        most != 0 && self.connections.len() >= most
    }

    /// Takes one connection; whether there was one.
    fn take(&mut self, index: usize) -> bool {
        let Some(listener) = self.accepting.listeners.get(index) else {
            return false;
        };
        match listener.accept() {
            Accepted::Connection(socket, peer) => {
                self.welcome(socket, peer);
                true
            }
            Accepted::Nobody => false,
            Accepted::Exhausted(error) => {
                self.rest(error);
                false
            }
        }
    }

    fn welcome(&mut self, socket: OwnedFd, peer: Peer) {
        let id = self
            .connections
            .insert(Connection::new(socket, peer, self.clock.millis()));
        self.accounts.accepted(self.connections.len());
        let watched = match self.connections.get(id) {
            Some(connection) => self.poller.add_connection(&connection.socket, id),
            None => return,
        };
        match watched {
            Ok(()) => self.set_deadline(
                id,
                self.clock.millis() + millis(self.settings.header_timeout),
            ),
            Err(_) => drop(self.connections.remove(id)),
        }
    }

    /// Leaves whoever waits to another worker, and looks again soon.
    fn leave(&mut self, index: usize, rival: &Rival, now: Millis) {
        let listener = self.accepting.listeners.get(index);
        if !listener.is_some_and(Listener::is_waited_at) {
            return;
        }
        self.accounts.ring(Some(rival), now);
        let again_at = now + if rival.rank == 1 { RETRY } else { LATER_RETRY };
        if self.accepting.again_at == 0 || again_at < self.accepting.again_at {
            self.accepting.again_at = again_at;
            self.accepting.left = Some(Left {
                to: rival.slot,
                at: now,
            });
        }
    }

    /// Takes one of those who were left to another worker, if that one has not come.
    fn take_over(&mut self, left: Left) {
        for index in 0..self.accepting.listeners.len() {
            let is_waited_at = self.accepting.listeners[index].is_waited_at();
            if is_waited_at && self.accepting.door == Door::Open && !self.is_full() {
                self.accounts.missed(left.to, left.at);
                self.take(index);
            }
        }
    }

    /// Descriptors ran out: a listener that cannot accept is left alone for a while.
    fn rest(&mut self, error: i32) {
        let now = self.clock.millis();
        if self.accepting.next_notice <= now {
            self.accepting.next_notice = now + NOTICE_INTERVAL;
            self.announce(Event::Exhausted(error));
        }
        self.shut(Door::Resting(now + EXHAUSTION_REST));
    }

    fn shut(&mut self, door: Door) {
        self.accepting.door = door;
        self.unwatch();
    }

    /// Watches the listeners no longer. What was announced to this worker alone is passed on.
    fn unwatch(&mut self) {
        self.accepting.again_at = 0;
        self.accepting.left = None;
        self.accounts.set_open(false);
        let mut is_waited_at = false;
        for listener in &self.accepting.listeners {
            // It was watched, or rests unwatched; both are fine.
            let _not_watched = self.poller.remove_listener(&listener.socket);
            is_waited_at |= listener.is_waited_at();
        }
        if is_waited_at {
            self.accounts.ring(None, self.clock.millis());
        }
    }

    /// Watches them again; whoever waits already is announced.
    fn open_door(&mut self) {
        self.accepting.door = Door::Open;
        self.accounts.set_open(!self.accepting.listeners.is_empty());
        for (index, listener) in self.accepting.listeners.iter().enumerate() {
            let _watched_already = self.poller.add_listener(&listener.socket, index as u32);
        }
    }
}
