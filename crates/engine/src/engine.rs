//! The engine: turns, accepting and the ends of connections.
//!
//! Owns the connections and the order in which they are served. Further methods of [`Engine`] are in
//! `intake` (reading requests), `admission` (which of them wait), `reply` (answering), `deadlines`,
//! `linger` (closing) and `drain` (the end).

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::accepting::Accepting;
use crate::access_log::{AccessLog, LogDraft, Outcome};
use crate::accounts::Accounts;
use crate::admission::Admission;
use crate::clock::{Clock, Millis};
use crate::connection::{Connection, Local, Marks, Peer, Phase};
use crate::exchange::{Exchange, ExchangeId, InboundRequest, Waiting};
use crate::outbox::Outbox;
pub use crate::poller::Batch;
use crate::poller::{Poller, Readiness, Source};
use crate::scoreboard::Scoreboard;
use crate::settings::Settings;
use crate::table::{ConnectionId, Table};
use crate::wheel::Wheel;

/// How long lines may wait for company before they go to the log.
const LOG_DELAY: Millis = 100;
/// Most steps of connections in one turn. What is left over, as where one peer sends without pause or
/// has pipelined a thousand requests, waits for the next turn, so that the host's other tasks, timers
/// and new connections have theirs.
const STEPS_PER_TURN: usize = 128;
/// Outboxes and request buffers that are kept for the next request.
const SPARE: usize = 16;

/// Something for whoever drives the engine.
pub enum Event {
    /// A request for the application. The box goes back with [`Engine::next_event`].
    Request(ExchangeId, Box<InboundRequest>),
    /// What a reader or writer of this exchange waits for may have happened.
    Wake(ExchangeId),
    /// Connections cannot be accepted, for lack of what the error number says; they are for a while left
    /// where they are. At most one a second.
    Exhausted(i32),
    /// The drain is over: no connection is left.
    Drained,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Serving,
    Draining,
    /// As draining, and answers that are still under way are to be ended.
    Hurrying,
    Drained,
}

/// All sockets of one worker.
pub struct Engine {
    pub(crate) settings: Settings,
    pub(crate) poller: Poller,
    batch: Batch,
    pub(crate) connections: Table<Connection>,
    pub(crate) accepting: Accepting,
    work: VecDeque<ConnectionId>,
    events: VecDeque<Event>,
    pub(crate) gathering: Vec<ConnectionId>,
    pub(crate) clock: Clock,
    pub(crate) wheel: Wheel,
    pub(crate) armed: Option<Millis>,
    pub(crate) log_due: Millis,
    pub(crate) accounts: Accounts,
    pub(crate) log: Option<AccessLog>,
    /// Boxes, because they are handed to whoever drives the engine and come back.
    #[allow(clippy::vec_box)]
    requests: Vec<Box<InboundRequest>>,
    /// Boxes, because connections hold them by one pointer.
    #[allow(clippy::vec_box)]
    outboxes: Vec<Box<Outbox>>,
    /// Where a head and a small body are put together before they leave in one call.
    pub(crate) assembly: Vec<u8>,
    pub(crate) stage: Stage,
    /// When draining turns into hurrying, or zero.
    pub(crate) hurry_due: Millis,
    pub(crate) admission: Option<Admission>,
    /// Whether events are being handed out, so that nobody has to be woken for new ones.
    pub(crate) in_turn: bool,
    /// Whether the clock was read since the application was called, at the end of its answer.
    pub(crate) is_time_known: bool,
    steps_left: usize,
}

impl Engine {
    /// An engine without listeners.
    ///
    /// # Errors
    /// When descriptors run out or the access log cannot be opened.
    pub fn new(settings: Settings, board: Option<(Scoreboard, usize)>) -> io::Result<Self> {
        let log = settings
            .access_log
            .clone()
            .map(AccessLog::new)
            .transpose()?;
        let clock = Clock::new();
        let wheel = Wheel::new(clock.millis());
        let accounts = Accounts::new(board, millis(settings.beat_interval))?;
        let admission = settings.concurrency.map(Admission::new);
        Ok(Self {
            settings,
            poller: Poller::new(accounts.bell())?,
            batch: Batch::new(),
            connections: Table::new(),
            accepting: Accepting::new(),
            work: VecDeque::new(),
            events: VecDeque::new(),
            gathering: Vec::new(),
            clock,
            wheel,
            armed: None,
            log_due: 0,
            accounts,
            log,
            requests: Vec::new(),
            outboxes: Vec::new(),
            assembly: Vec::with_capacity(4096),
            stage: Stage::Serving,
            hurry_due: 0,
            admission,
            in_turn: false,
            is_time_known: false,
            steps_left: 0,
        })
    }

    /// The descriptor to wait for.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.poller.descriptor()
    }

    /// A descriptor that wakes whoever waits when a byte is written to it.
    #[must_use]
    pub fn wakeup_descriptor(&self) -> BorrowedFd<'_> {
        self.poller.wakeup_descriptor()
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Requests that are being answered.
    #[must_use]
    pub const fn exchanges(&self) -> u64 {
        self.accounts.open_exchanges()
    }

    /// Begins a turn: takes what is ready now.
    ///
    /// # Errors
    /// When the kernel refuses to say what is ready, which it has no reason to.
    pub fn begin_turn(&mut self) -> io::Result<()> {
        let mut batch = std::mem::take(&mut self.batch);
        let taken = self.poller.take(&mut batch);
        self.begin_turn_with(&batch);
        self.batch = batch;
        taken
    }

    /// Begins a turn with readiness that was waited for elsewhere.
    pub fn begin_turn_with(&mut self, batch: &Batch) {
        self.in_turn = true;
        self.steps_left = STEPS_PER_TURN;
        let now = self.clock.refresh();
        if self.accounts.begin_turn(&self.clock) {
            // A worker that was told of a connection may have died before it took it.
            self.accept_anywhere();
        }
        for &(source, readiness) in &batch.events {
            match source {
                Source::Connection(id) => self.note_readiness(id, readiness),
                Source::Listener(index) => self.accept(index as usize),
                Source::Bell => self.accept_anywhere(),
                Source::Wakeup => self.poller.drain_wakeup(),
                Source::Timer => self.poller.drain_timer(),
            }
        }
        self.handle_deadlines(now);
    }

    /// The next thing to do in this turn. `used` is the box of the request before, for the next one.
    pub fn next_event(&mut self, used: Option<Box<InboundRequest>>) -> Option<Event> {
        if let Some(request) = used {
            self.recycle(request);
        }
        let event = self.find_event();
        if self.accounts.is_calling() {
            self.accounts.set_calling(0);
            if event.is_some() {
                // The application has come back, and may have taken its time: this turn goes on nevertheless.
                if !self.is_time_known {
                    self.clock.refresh();
                }
                self.accounts.go_on(self.clock.millis());
            }
        }
        if matches!(event, Some(Event::Request(..))) {
            self.is_time_known = false;
            self.accounts.set_calling(1);
        }
        event
    }

    fn find_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.steps_left == 0 {
                return None;
            }
            self.steps_left -= 1;
            if let Some(event) = self.admit_next() {
                return Some(event);
            }
            let id = self.work.pop_front()?;
            if let Some(event) = self.advance(id) {
                return Some(event);
            }
        }
    }

    /// Ends a turn: what was gathered leaves, and the timer is set.
    pub fn end_turn(&mut self) {
        self.flush_gathered();
        self.end_drain();
        self.make_room();
        self.accounts.end_turn(self.connections.len());
        self.in_turn = false;
        self.set_timer();
        if self.has_more() {
            self.poller.wake();
        }
    }

    /// Whether there is something to do that no descriptor will tell of.
    fn has_more(&self) -> bool {
        !(self.events.is_empty() && self.work.is_empty() && self.gathering.is_empty())
            || self.admission.as_ref().is_some_and(Admission::is_due)
    }

    /// Whether this turn has more to do.
    pub(crate) fn has_work(&self) -> bool {
        self.steps_left > 0 && !self.work.is_empty()
    }

    pub(crate) fn recycle(&mut self, request: Box<InboundRequest>) {
        if request.buffer.len() == crate::exchange::BUFFER && self.requests.len() < SPARE {
            self.requests.push(request);
        }
    }

    pub(crate) fn take_request(&mut self) -> Box<InboundRequest> {
        self.requests
            .pop()
            .unwrap_or_else(InboundRequest::with_buffer)
    }

    pub(crate) fn take_outbox(&mut self) -> Box<Outbox> {
        self.outboxes.pop().unwrap_or_default()
    }

    pub(crate) fn keep_outbox(&mut self, outbox: Box<Outbox>) {
        if self.outboxes.len() < SPARE {
            self.outboxes.push(outbox);
        }
    }

    /// Where a connection arrived; `None` when it is gone.
    #[must_use]
    pub fn local(&self, id: ConnectionId) -> Option<Local> {
        let connection = self.connections.get(id)?;
        let address = rustix::net::getsockname(&connection.socket).ok()?;
        Some(match connection.peer {
            Peer::Internet(_) => Local::Internet(address.try_into().ok()?),
            Peer::Unix => Local::Unix(unix_path(address)),
        })
    }

    /// A connection's descriptor and its deadline in milliseconds of the monotonic clock (zero: none),
    /// for waiting for it alone. Valid while the exchange lives. A deadline that has passed is acted on.
    pub fn wait_handle(&mut self, id: ExchangeId) -> Option<(RawFd, Millis)> {
        let now = self.clock.refresh();
        let deadline = self.connections.get(id.connection)?.deadline;
        if deadline != 0 && deadline <= now {
            self.expire(id.connection);
        }
        let connection = self.connections.get(id.connection)?;
        connection.exchange.as_ref()?;
        Some((connection.socket.as_raw_fd(), connection.deadline))
    }

    /// Opens the access log's file again by its name.
    ///
    /// # Errors
    /// When it cannot be opened; the old one stays in use.
    pub fn reopen_log(&mut self) -> io::Result<()> {
        self.log.as_mut().map_or(Ok(()), AccessLog::reopen)
    }

    /// Ends every connection at once and writes the log out.
    pub fn close(&mut self) {
        self.forget_listeners();
        for id in self.connections.ids() {
            self.drop_connection(id);
        }
        self.log = None;
    }

    fn note_readiness(&mut self, id: ConnectionId, readiness: Readiness) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if readiness.is_end() {
            connection.marks.set(Marks::ENDED);
        }
        if readiness.is_readable() {
            connection.marks.set(Marks::READABLE);
            self.schedule(id);
        }
        if readiness.is_writable() {
            self.unblock(id);
        }
    }

    pub(crate) fn unblock(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id)
            && connection.marks.has(Marks::BLOCKED)
        {
            connection.marks.clear(Marks::BLOCKED);
            self.flush(id);
        }
    }

    /// Puts a connection on the list of work.
    pub(crate) fn schedule(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if !connection.marks.has(Marks::SCHEDULED) {
            connection.marks.set(Marks::SCHEDULED);
            self.work.push_back(id);
            self.wake_if_idle();
        }
    }

    pub(crate) fn announce(&mut self, event: Event) {
        self.events.push_back(event);
        self.wake_if_idle();
    }

    /// Makes the descriptor ready, from any thread.
    pub fn wake(&self) {
        self.poller.wake();
    }

    pub(crate) fn wake_if_idle(&self) {
        if !self.in_turn {
            self.poller.wake();
        }
    }

    /// Does what a connection's bytes and phase call for.
    fn advance(&mut self, id: ConnectionId) -> Option<Event> {
        let connection = self.connections.get_mut(id)?;
        connection.marks.clear(Marks::SCHEDULED);
        match connection.phase {
            Phase::Idle | Phase::Head { .. } => self.receive_head(id),
            Phase::Exchange => self.receive_content(id),
            Phase::Discarding { .. } => {
                self.discard(id);
                None
            }
            Phase::Farewell => None,
            Phase::Lingering { .. } => {
                self.linger_on(id);
                None
            }
        }
    }

    /// Closes a connection now, and tells an application that waits on it.
    pub(crate) fn drop_connection(&mut self, id: ConnectionId) {
        let Some(mut connection) = self.connections.remove(id) else {
            return;
        };
        if self.awaits_room() {
            self.wake_if_idle();
        }
        if let Some(exchange) = connection.exchange.take() {
            self.accounts.failed();
            self.end_exchange(connection.peer, &exchange);
            self.release(id, connection.serial, exchange.waiting);
        }
    }

    /// Wakes an application that waits for news of an exchange which has ended.
    pub(crate) fn release(&mut self, connection: ConnectionId, serial: u32, waiting: Waiting) {
        if waiting.content || waiting.room {
            self.announce(Event::Wake(ExchangeId { connection, serial }));
        }
    }

    /// Counts and logs an exchange that has ended, however it did.
    pub(crate) fn end_exchange(&mut self, peer: Peer, exchange: &Exchange) {
        self.clock.refresh();
        self.is_time_known = true;
        let micros = self.clock.micros().saturating_sub(exchange.started);
        self.accounts.exchange_ended(exchange.place, micros);
        self.forget_ticket(exchange.ticket);
        if let Some(draft) = &exchange.log {
            let outcome = Outcome {
                status: exchange.status,
                bytes: exchange.sent,
                micros,
            };
            self.log_line(peer, draft, &outcome);
        }
    }

    pub(crate) fn log_line(&mut self, peer: Peer, draft: &LogDraft, outcome: &Outcome) {
        if let Some(log) = &mut self.log {
            log.add(&self.clock, peer, draft, outcome);
            if self.log_due == 0 {
                self.log_due = self.clock.millis() + LOG_DELAY;
                if !self.in_turn {
                    self.set_timer();
                }
            }
        }
    }

    /// Marks a connection as possibly readable, for one who waited for its descriptor alone.
    pub fn note_readable(&mut self, id: ExchangeId) {
        if let Some(connection) = self.connections.get_mut(id.connection) {
            connection.marks.set(Marks::READABLE);
        }
    }

    pub(crate) fn exchange_mut(&mut self, id: ExchangeId) -> Option<&mut Exchange> {
        let connection = self.connections.get_mut(id.connection)?;
        if connection.serial != id.serial {
            return None;
        }
        connection.exchange.as_deref_mut()
    }

    /// Sends what waits for a connection, as far as the peer takes it.
    pub(crate) fn flush(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let Some(outbox) = &mut connection.outbox else {
            return;
        };
        if connection.marks.has(Marks::BLOCKED) {
            return;
        }
        let flow = outbox.flush(&connection.socket);
        let sent = outbox.take_sent();
        self.after_sending(id, flow, sent);
    }
}

impl AsFd for Engine {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor()
    }
}

pub(crate) fn millis(duration: std::time::Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX / 4)
}

fn unix_path(address: rustix::net::SocketAddrAny) -> Option<std::path::PathBuf> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let unix = rustix::net::SocketAddrUnix::try_from(address).ok()?;
    unix.path()
        .map(|path| OsStr::from_bytes(path.to_bytes()).into())
}
