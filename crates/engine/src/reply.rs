//! Answering: from an application's head and body to bytes on the wire, and what becomes of the
//! connection afterwards.
//!
//! Owns when bytes are gathered and when they leave, and how an exchange ends.

use std::os::fd::OwnedFd;

use bicorn_proto::http1::response::Circumstances;
use bicorn_proto::http1::{BodyWriter, Expectation, HeadError, Persistence, ResponseHead};
use rustix::net::sockopt::set_socket_linger;

use crate::clock::Millis;
use crate::connection::{Marks, Phase};
use crate::engine::{Engine, Event, Stage, millis};
use crate::exchange::{Exchange, ExchangeId, Inbound, MethodKind, Outbound};
use crate::intake::is_worth_discarding;
use crate::outbox::{COPY_BELOW, Flow, Outbox, Payload};
use crate::refuse::plain_head;
use crate::table::ConnectionId;

/// Gathered bytes leave at this size without waiting for the end of the turn, and a writer is
/// suspended while more than this waits for the peer.
const HIGH_WATER: usize = 64 * 1024;
/// A suspended writer goes on when no more than this waits.
const LOW_WATER: usize = 16 * 1024;
/// Bytes that may wait in memory for a peer whose writer cannot be suspended.
const SPILL_ABOVE: usize = 1024 * 1024;
/// Bytes that one response may have in a temporary file. Then its writer waits all the same, until they have
/// left: one that produces without end would fill the disk.
const SPILL_MOST: u64 = 256 * 1024 * 1024;
/// Whole answers that leave together at most. The kernel's way of sending is cold in the processor's
/// caches after a large application has run; one cold run for several answers is cheaper than one each.
const GATHERED_ANSWERS: usize = 16;

/// What an application says at once.
pub struct Part<'a, B> {
    /// The head, with the first part.
    pub head: Option<&'a ResponseHead>,
    /// Some of the body.
    pub body: B,
    /// Whether it is the last part.
    pub end: bool,
}

/// What became of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It has left, or is on its way with nothing more to do.
    Done,
    /// It is gathered with what follows; [`Engine::flush_gathered`] has to be called once the tasks
    /// that are ready have run.
    Gathered,
    /// More waits for the peer than should; an [`Event::Wake`] tells when to go on.
    Full,
}

/// Why a part was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyError {
    /// The peer is gone, or the exchange has ended.
    Gone,
    /// The application broke the rules; nothing of the part was sent.
    Contract(HeadError),
}

impl From<HeadError> for ReplyError {
    fn from(error: HeadError) -> Self {
        Self::Contract(error)
    }
}

impl Engine {
    /// Takes a part of a response.
    ///
    /// # Errors
    /// [`ReplyError`]; after a contract error the exchange is where it was.
    pub fn send(
        &mut self,
        id: ExchangeId,
        part: &Part<'_, impl Payload>,
    ) -> Result<Sent, ReplyError> {
        let writer = self.open(id, part.head, part.body.bytes().len() as u64, part.end)?;
        if part.head.is_some() {
            self.hurry_up(id.connection);
        }
        let connection = self
            .connections
            .get_mut(id.connection)
            .ok_or(ReplyError::Gone)?;
        let has_queue = connection.outbox.is_some();
        match (writer, part.end && !has_queue) {
            (BodyWriter::Discard, true) => Ok(self.send_whole(id.connection, writer, &&b""[..])),
            (BodyWriter::Discard, false) => Ok(self.queue(id, writer, &&b""[..], part.end)),
            (_, true) => Ok(self.send_whole(id.connection, writer, &part.body)),
            (_, false) => Ok(self.queue(id, writer, &part.body, part.end)),
        }
    }

    /// Sends what was gathered since the last time. Whoever answers outside a turn calls it when the
    /// tasks that are ready have run.
    pub fn flush_gathered(&mut self) {
        let mut gathering = std::mem::take(&mut self.gathering);
        for id in gathering.drain(..) {
            if let Some(connection) = self.connections.get_mut(id) {
                connection.marks.clear(Marks::GATHERING);
                self.flush(id);
            }
        }
        if self.gathering.is_empty() {
            self.gathering = gathering;
        }
    }

    /// Sends what waits for a peer whose application does not come back, for one who watches it;
    /// whether there was anything. No turn hears of room meanwhile, so this tries again, and holds the
    /// peer to its deadline.
    pub fn flush_waiting(&mut self) -> bool {
        let waiting = std::mem::take(&mut self.gathering);
        if waiting.is_empty() {
            return false;
        }
        let now = self.clock.refresh();
        for id in waiting {
            if let Some(connection) = self.connections.get_mut(id) {
                connection.marks.clear(Marks::GATHERING);
                connection.marks.clear(Marks::BLOCKED);
                self.flush(id);
                self.keep_trying(id, now);
            }
        }
        // The application goes on.
        self.is_time_known = false;
        true
    }

    /// Leaves a blocked response to the next [`Engine::flush_waiting`], while its application goes on.
    fn keep_trying(&mut self, id: ConnectionId, now: Millis) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let Some(exchange) = &connection.exchange else {
            return;
        };
        if !connection.marks.has(Marks::BLOCKED) || exchange.outbound == Outbound::Complete {
            return;
        }
        if exchange.stall_deadline <= now {
            return self.drop_connection(id);
        }
        self.join_gathering(id);
    }

    /// Takes a head and a part of a file (its offset and length) as the whole response; the kernel
    /// reads the file.
    ///
    /// # Errors
    /// As [`Engine::send`].
    pub fn send_file(
        &mut self,
        id: ExchangeId,
        head: Option<&ResponseHead>,
        file: OwnedFd,
        (offset, length): (u64, u64),
    ) -> Result<Sent, ReplyError> {
        let writer = self.open(id, head, length, true)?;
        let mut outbox = self.claim_outbox(id.connection);
        writer.open_chunk(
            usize::try_from(length).unwrap_or(usize::MAX),
            &mut self.assembly,
        );
        outbox.gather(|buffer| buffer.extend_from_slice(&self.assembly));
        if writer != BodyWriter::Discard {
            outbox.push_file(file, offset, length);
        }
        let tail = writer.close_chunk(usize::try_from(length).unwrap_or(usize::MAX), true);
        outbox.gather(|buffer| buffer.extend_from_slice(tail));
        self.return_outbox(id.connection, outbox);
        self.flush(id.connection);
        Ok(Sent::Done)
    }

    /// Whether a writer that was told [`Sent::Full`] may go on; if not, an [`Event::Wake`] follows.
    ///
    /// # Errors
    /// [`ReplyError::Gone`].
    pub fn has_room(&mut self, id: ExchangeId) -> Result<bool, ReplyError> {
        let connection = self
            .connections
            .get_mut(id.connection)
            .ok_or(ReplyError::Gone)?;
        let queued = connection
            .outbox
            .as_ref()
            .map_or(0, |outbox| outbox.queued());
        let exchange = self.exchange_mut(id).ok_or(ReplyError::Gone)?;
        exchange.waiting.room = queued > LOW_WATER;
        Ok(queued <= LOW_WATER)
    }

    /// Answers for an application that failed: with 500 where nothing was said, with a body that is
    /// visibly broken off where something was, and not at all where all was. Whether there was still
    /// a peer that waited.
    pub fn fail(&mut self, id: ExchangeId) -> bool {
        let Some(exchange) = self.exchange_mut(id) else {
            return false;
        };
        let (outbound, is_asked_to_end) = (exchange.outbound, exchange.is_asked_to_end);
        let connection = self.connections.get(id.connection);
        if connection.is_some_and(|connection| connection.marks.has(Marks::TOLD)) {
            self.drop_connection(id.connection);
            return false;
        }
        match outbound {
            Outbound::Pending => {
                self.answer_instead(id, plain_head(500), "Internal Server Error");
            }
            Outbound::Open(writer) => {
                self.break_off(id.connection, writer);
                // One that takes the worker's end for the peer's leaves its answer as it is, and may.
                return !is_asked_to_end;
            }
            Outbound::Complete => return false,
        }
        true
    }

    /// Ends a response before its end, so that the peer can tell: the length or the last chunk is
    /// missing, and where neither was promised, a reset says so (RFC 9112 section 8).
    fn break_off(&mut self, id: ConnectionId, writer: BodyWriter) {
        self.flush(id);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if writer == BodyWriter::UntilClose || connection.marks.has(Marks::BLOCKED) {
            let _unsupported =
                set_socket_linger(&connection.socket, Some(std::time::Duration::ZERO));
            return self.drop_connection(id);
        }
        if let Some(exchange) = connection.exchange.take() {
            let (peer, serial) = (connection.peer, connection.serial);
            self.accounts.failed();
            self.end_exchange(peer, &exchange);
            self.release(id, serial, exchange.waiting);
        }
        self.linger(id);
    }

    /// Frames the next `length` bytes of the body. A head is left in `assembly`, which is empty
    /// otherwise. What the application got wrong shows before anything has changed.
    fn open(
        &mut self,
        id: ExchangeId,
        head: Option<&ResponseHead>,
        length: u64,
        end: bool,
    ) -> Result<BodyWriter, ReplyError> {
        self.assembly.clear();
        let may_keep = self.stage == Stage::Serving && !self.settings.keep_alive_timeout.is_zero();
        let connection = self
            .connections
            .get_mut(id.connection)
            .ok_or(ReplyError::Gone)?;
        if connection.serial != id.serial || connection.marks.has(Marks::TOLD) {
            return Err(ReplyError::Gone);
        }
        let exchange = connection.exchange.as_deref_mut().ok_or(ReplyError::Gone)?;
        let mut writer = match (exchange.outbound, head) {
            (Outbound::Open(writer), None) => writer,
            (Outbound::Pending, Some(head)) => {
                let may_persist = may_keep && may_persist(exchange, end);
                let around = Circumstances {
                    version: exchange.version,
                    is_head: exchange.method == MethodKind::Head,
                    persistence: if may_persist {
                        Persistence::Keep
                    } else {
                        Persistence::Close
                    },
                    date: if self.settings.date_header {
                        self.clock.date_line()
                    } else {
                        b""
                    },
                    server: if self.settings.server_header {
                        SERVER
                    } else {
                        b""
                    },
                    whole: end.then_some(length),
                };
                let (mut writer, persistence) = head.finish(&around, &mut self.assembly);
                writer.admit(length, end)?;
                exchange.answer_persistence = persistence;
                exchange.status = head.status();
                exchange.outbound = if end {
                    Outbound::Complete
                } else {
                    Outbound::Open(writer)
                };
                return Ok(writer);
            }
            _ => return Err(ReplyError::Gone),
        };
        writer.admit(length, end)?;
        exchange.outbound = if end {
            Outbound::Complete
        } else {
            Outbound::Open(writer)
        };
        Ok(writer)
    }

    /// Sends the last part past an empty queue, in one call; or with other answers, where it is small.
    fn send_whole(&mut self, id: ConnectionId, writer: BodyWriter, body: &impl Payload) -> Sent {
        let bytes = body.bytes();
        let is_small = bytes.len() <= COPY_BELOW;
        let may_gather = is_small && self.may_gather_answers();
        writer.open_chunk(bytes.len(), &mut self.assembly);
        let tail = writer.close_chunk(bytes.len(), true);
        let mut outbox = self.take_outbox();
        let Some(connection) = self.connections.get_mut(id) else {
            return Sent::Done;
        };
        if is_small {
            self.assembly.extend_from_slice(bytes);
            self.assembly.extend_from_slice(tail);
        }
        if may_gather {
            outbox.gather(|buffer| buffer.extend_from_slice(&self.assembly));
            connection.outbox = Some(outbox);
            self.join_gathering(id);
            return Sent::Gathered;
        }
        let flow = if is_small {
            outbox.send_copied(&connection.socket, &self.assembly)
        } else {
            outbox.send_now(&connection.socket, &self.assembly, body, tail)
        };
        let sent = outbox.take_sent();
        connection.outbox = Some(outbox);
        self.after_sending(id, flow, sent);
        Sent::Done
    }

    /// Whether an answer may wait for the next ones: somebody looks after it, and they are about to come.
    fn may_gather_answers(&mut self) -> bool {
        if !(self.settings.gather_answers && self.in_turn && self.has_work()) {
            return false;
        }
        if self.gathering.len() >= GATHERED_ANSWERS {
            self.flush_gathered();
        }
        true
    }

    /// Puts a part behind what waits already, and sends when there is enough or nothing will follow.
    fn queue(
        &mut self,
        id: ExchangeId,
        writer: BodyWriter,
        body: &impl Payload,
        end: bool,
    ) -> Sent {
        let connection = id.connection;
        let length = body.bytes().len();
        let mut outbox = self.claim_outbox(connection);
        writer.open_chunk(length, &mut self.assembly);
        outbox.gather(|buffer| buffer.extend_from_slice(&self.assembly));
        outbox.push(body, 0);
        let tail = writer.close_chunk(length, end);
        outbox.gather(|buffer| buffer.extend_from_slice(tail));
        let is_enough = end || outbox.queued() >= HIGH_WATER;
        self.return_outbox(connection, outbox);
        if is_enough {
            self.flush(connection);
            return self.limit_queue(id, end);
        }
        let entry = self.connections.get(connection);
        if entry.is_some_and(|entry| !entry.marks.has(Marks::BLOCKED)) {
            self.join_gathering(connection);
        }
        Sent::Gathered
    }

    /// Keeps what waits for a slow peer within bounds: its writer waits, or the disk takes it.
    fn limit_queue(&mut self, id: ExchangeId, end: bool) -> Sent {
        let Some(connection) = self.connections.get_mut(id.connection) else {
            return Sent::Done;
        };
        let Some(outbox) = &mut connection.outbox else {
            return Sent::Done;
        };
        if !self.settings.spill {
            if end || outbox.queued() < HIGH_WATER {
                return Sent::Done;
            }
            if let Some(exchange) = &mut connection.exchange {
                exchange.waiting.room = true;
            }
            return Sent::Full;
        }
        if outbox.spill(SPILL_ABOVE).is_err() {
            // No room on disk: what was announced cannot be kept, and the peer must see it.
            self.drop_connection(id.connection);
            return Sent::Done;
        }
        if end {
            return Sent::Done;
        }
        let is_full = outbox.has_spilled(SPILL_MOST);
        self.keep_trying(id.connection, 0);
        if is_full { Sent::Full } else { Sent::Gathered }
    }

    /// Sends what it can of a response that [`Sent::Full`] was said of, for a writer that waits in its own
    /// thread; whether that may go on.
    ///
    /// # Errors
    /// [`ReplyError::Gone`].
    pub fn send_spilled(&mut self, id: ExchangeId) -> Result<bool, ReplyError> {
        self.flush_waiting();
        self.exchange_mut(id).ok_or(ReplyError::Gone)?;
        let connection = self.connections.get(id.connection);
        let outbox = connection.and_then(|connection| connection.outbox.as_ref());
        Ok(outbox.is_none_or(|outbox| !outbox.has_spilled(SPILL_MOST)))
    }

    /// Sends bytes that belong to no response's body, behind what waits already.
    pub(crate) fn send_raw(&mut self, id: ConnectionId, bytes: &[u8]) {
        let mut outbox = self.claim_outbox(id);
        outbox.gather(|buffer| buffer.extend_from_slice(bytes));
        self.return_outbox(id, outbox);
        self.flush(id);
    }

    fn claim_outbox(&mut self, id: ConnectionId) -> Box<Outbox> {
        let held = self
            .connections
            .get_mut(id)
            .and_then(|connection| connection.outbox.take());
        held.unwrap_or_else(|| self.take_outbox())
    }

    fn return_outbox(&mut self, id: ConnectionId, outbox: Box<Outbox>) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.outbox = Some(outbox);
        }
    }

    /// Draws the consequences of what the peer's socket took.
    pub(crate) fn after_sending(&mut self, id: ConnectionId, flow: Flow, sent: u64) {
        self.accounts.sent(sent);
        // A writer outside of a turn, or in a long one, finds the clock as the turn left it.
        let now = match flow {
            Flow::Blocked => self.clock.refresh(),
            Flow::Clear | Flow::Paused | Flow::Gone => 0,
        };
        let stall_deadline = now + millis(self.settings.write_timeout);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let queued = connection
            .outbox
            .as_ref()
            .map_or(0, |outbox| outbox.queued());
        if let Some(exchange) = &mut connection.exchange {
            exchange.sent += sent;
            exchange.stall_deadline = match flow {
                Flow::Blocked if sent > 0 || exchange.stall_deadline == 0 => stall_deadline,
                Flow::Blocked => exchange.stall_deadline,
                Flow::Clear | Flow::Paused | Flow::Gone => 0,
            };
            if queued <= LOW_WATER && std::mem::take(&mut exchange.waiting.room) {
                let serial = connection.serial;
                self.announce(Event::Wake(ExchangeId {
                    connection: id,
                    serial,
                }));
            }
        }
        match flow {
            Flow::Gone => self.drop_connection(id),
            Flow::Blocked => {
                self.mark_blocked(id);
                self.refresh_deadline(id);
            }
            Flow::Paused => {
                self.refresh_deadline(id);
                self.join_gathering(id);
                self.wake_if_idle();
            }
            Flow::Clear => self.after_clearing(id),
        }
    }

    /// Has a connection's queue flushed at the end of this turn, or of the next.
    fn join_gathering(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id)
            && !connection.marks.has(Marks::GATHERING)
        {
            connection.marks.set(Marks::GATHERING);
            self.gathering.push(id);
        }
    }

    fn mark_blocked(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.marks.set(Marks::BLOCKED);
        }
    }

    /// Nothing waits for the peer any more.
    fn after_clearing(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let outbox = connection.outbox.take();
        let is_farewell = matches!(connection.phase, Phase::Farewell);
        let is_complete = connection
            .exchange
            .as_ref()
            .is_some_and(|exchange| exchange.outbound == Outbound::Complete);
        if let Some(outbox) = outbox {
            self.keep_outbox(outbox);
        }
        if is_complete {
            self.conclude(id);
        } else if is_farewell {
            self.linger(id);
        } else if self
            .connections
            .get(id)
            .is_some_and(|connection| connection.deadline != 0)
        {
            self.refresh_deadline(id);
        }
    }

    /// The answer has left: the exchange ends, and the connection goes on or does not.
    fn conclude(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let Some(exchange) = connection.exchange.take() else {
            return;
        };
        let (peer, serial) = (connection.peer, connection.serial);
        self.end_exchange(peer, &exchange);
        self.release(id, serial, exchange.waiting);
        // Also while draining: an answer that promised it had left before, and another one has to take it back.
        let keeps = exchange.answer_persistence == Persistence::Keep;
        match exchange.inbound {
            Inbound::Reading(body) if keeps => self.begin_discard(id, body),
            Inbound::Complete if keeps => self.become_idle(id),
            // Also where the client asked for the close: an old one's stray CRLF behind its request would
            // draw a reset, and the reset eat our answer.
            _ => self.linger(id),
        }
    }

    /// Waits for the next request, from the moment that the clock was read last.
    pub(crate) fn become_idle(&mut self, id: ConnectionId) {
        let now = self.clock.millis();
        let deadline = self.idle_end(now);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.phase = Phase::Idle;
        connection.used = now;
        connection.marks.clear(Marks::TOLD);
        if !connection.inbox.is_empty() || connection.marks.has(Marks::READABLE) {
            self.schedule(id);
        }
        self.set_deadline(id, deadline);
    }
}

const SERVER: &[u8] = b"server: bicorn\r\n";

/// Whether a request leaves the connection fit for another one. A client that still waits for 100
/// (Continue) may or may not send its body now (RFC 9110 section 10.1.1).
fn may_persist(exchange: &Exchange, is_whole: bool) -> bool {
    let is_readable = match &exchange.inbound {
        Inbound::Broken => false,
        // With the whole answer given, what is left of the body will be dropped, if that is worth it.
        Inbound::Reading(body) if is_whole => is_worth_discarding(body),
        Inbound::Reading(_) | Inbound::Complete => true,
    };
    exchange.persistence == Persistence::Keep
        && exchange.expectation == Expectation::None
        && is_readable
}
