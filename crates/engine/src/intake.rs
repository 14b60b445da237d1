//! Reading requests: from bytes that arrived to an [`Event::Request`], and content for its reader.
//!
//! Owns when a connection is read, how far ahead, and what happens to a request that is refused.

use bicorn_proto::Refusal;
use bicorn_proto::http1::{self, BodyReader, Expectation, Framing, Progress, response};

use crate::access_log::LogDraft;
use crate::clock;
use crate::connection::{Connection, Marks, Phase, Received};
use crate::content::Content;
use crate::engine::{Engine, Event, Stage, millis};
use crate::exchange::{Exchange, ExchangeId, Inbound, InboundRequest, Intake, Outbound};
use crate::in_flight::Description;
use crate::settings::BodyMode;
use crate::table::ConnectionId;

/// Content that is read ahead of the application's own reading.
const READ_AHEAD: usize = 64 * 1024;
/// Content that is read and dropped to keep a connection whose application did not want it.
const DISCARD_BUDGET: usize = 256 * 1024;

/// What a look for a head gave.
enum Found {
    /// A head of so many bytes; what came behind it is in the inbox.
    Head(usize),
    /// More has to arrive.
    Incomplete,
    /// The peer has ended.
    End,
}

impl Engine {
    /// Looks for the next request on a connection.
    pub(crate) fn receive_head(&mut self, id: ConnectionId) -> Option<Event> {
        let mut request = self.take_request();
        let connection = self.connections.get_mut(id)?;
        let before = connection.inbox.bytes().len();
        match find_head(connection, &mut request, &self.settings.limits) {
            Ok(Found::Head(length)) => return self.begin_exchange(id, request, length),
            Ok(Found::Incomplete) => self.await_head(id, before),
            Ok(Found::End) => self.drop_connection(id),
            Err(refusal) => {
                self.refuse(id, refusal);
            }
        }
        self.recycle(request);
        None
    }

    fn await_head(&mut self, id: ConnectionId, before: usize) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if connection.is_between_requests() {
            if self.stage != Stage::Serving {
                self.close_idle(id);
            }
            return;
        }
        self.accounts
            .received(connection.inbox.bytes().len().saturating_sub(before));
        let is_readable = connection.marks.has(Marks::READABLE);
        // While draining, also on a new connection, which has waited for its first byte on other terms.
        let is_first = before == 0 && self.stage != Stage::Serving;
        if is_first || matches!(connection.phase, Phase::Idle) {
            self.set_deadline(
                id,
                self.clock.millis() + millis(self.settings.header_timeout),
            );
        }
        if let Some(connection) = self.connections.get_mut(id) {
            connection.phase = Phase::Head {
                judged: connection.inbox.bytes().len(),
            };
        }
        if is_readable {
            self.schedule(id);
        }
    }

    /// Makes an exchange of a request whose head is complete.
    fn begin_exchange(
        &mut self,
        id: ConnectionId,
        mut request: Box<InboundRequest>,
        length: usize,
    ) -> Option<Event> {
        let connection = self.connections.get_mut(id)?;
        let head = &request.head;
        let body = match BodyReader::new(head.framing, self.settings.limits.body) {
            Ok(body) => body,
            Err(refusal) => {
                self.recycle(request);
                self.refuse(id, refusal);
                return None;
            }
        };
        self.accounts.received(length);
        connection.serial = connection.serial.wrapping_add(1);
        request.peer = connection.peer;
        let place = self.accounts.exchange_began(&Description {
            id: ExchangeId {
                connection: id,
                serial: connection.serial,
            },
            method: head.method.of(&request.buffer),
            path: head.path.unwrap_or(head.target).of(&request.buffer),
            peer: connection.peer,
            began: self.clock.millis(),
        });
        let mut exchange = Exchange::new(&request, body, place, self.clock.millis());
        exchange.started = self.clock.micros();
        if self.log.is_some() {
            exchange.log = Some(LogDraft::new(head, &request.buffer));
            exchange.started = clock::micros();
        }
        connection.exchange = Some(Box::new(exchange));
        connection.phase = Phase::Exchange;
        connection.deadline = 0;
        let id = ExchangeId {
            connection: id,
            serial: connection.serial,
        };
        if request.head.framing == Framing::Empty {
            return self.offer(id, request, length);
        }
        self.begin_content(id, request, length)
    }

    /// Takes in the content that came with the head, and decides whether the request waits for the rest.
    fn begin_content(
        &mut self,
        id: ExchangeId,
        request: Box<InboundRequest>,
        length: usize,
    ) -> Option<Event> {
        if let Err(refusal) = self.take_from_inbox(id.connection) {
            self.recycle(request);
            self.refuse(id.connection, refusal);
            return None;
        }
        let is_stream = self.settings.body_mode == BodyMode::Stream;
        let now = self.clock.millis();
        let exchange = self.exchange_mut(id)?;
        if matches!(exchange.inbound, Inbound::Complete) {
            return self.offer(id, request, length);
        }
        if is_stream {
            if exchange.expectation == Expectation::Continue {
                // The client waits for the application, and not the other way round.
                exchange.pace.paused = now;
            }
            self.refresh_deadline(id.connection);
            self.schedule(id.connection);
            return self.offer(id, request, length);
        }
        exchange.held = Some(request.compact(length));
        self.recycle(request);
        self.send_continue(id);
        self.refresh_deadline(id.connection);
        self.schedule(id.connection);
        None
    }

    fn take_from_inbox(&mut self, id: ConnectionId) -> Result<(), Refusal> {
        let Some(connection) = self.connections.get_mut(id) else {
            return Ok(());
        };
        let inbox = std::mem::take(&mut connection.inbox);
        self.absorb(id, inbox.bytes())
    }

    /// Reads content that arrived, or notices that the peer left.
    pub(crate) fn receive_content(&mut self, id: ConnectionId) -> Option<Event> {
        let threshold = self.read_ahead();
        let connection = self.connections.get_mut(id)?;
        let is_ended = connection.marks.has(Marks::ENDED);
        let serial = connection.serial;
        let exchange = connection.exchange.as_mut()?;
        let name = ExchangeId {
            connection: id,
            serial,
        };
        if exchange.ticket != 0 {
            // Nothing more is read for it. Whoever ends its side while it waits is gone, as a rule.
            if is_ended {
                self.turn_away(name);
            }
            return None;
        }
        if !matches!(exchange.inbound, Inbound::Reading(_)) {
            return (is_ended && std::mem::take(&mut exchange.waiting.content))
                .then_some(Event::Wake(name));
        }
        if exchange.content.len() >= threshold as u64 {
            if exchange.pace.paused == 0 {
                exchange.pace.paused = self.clock.millis();
                self.refresh_deadline(id);
            }
            return None;
        }
        let mut request = self.take_request();
        let received = self.connections.get_mut(id)?.receive(&mut request.buffer);
        let outcome = match received {
            Received::Bytes(count) => {
                self.accounts.received(count);
                self.absorb(id, &request.buffer[..count])
            }
            Received::Nothing => Ok(()),
            Received::End => {
                self.recycle(request);
                return self.lose_content(name);
            }
        };
        self.recycle(request);
        if let Err(refusal) = outcome {
            return self.refuse(id, refusal);
        }
        self.after_content(name)
    }

    /// The content that one exchange may hold before it is no longer read.
    const fn read_ahead(&self) -> usize {
        match self.settings.body_mode {
            BodyMode::Stream => READ_AHEAD,
            BodyMode::Buffer(_) => usize::MAX,
        }
    }

    fn after_content(&mut self, id: ExchangeId) -> Option<Event> {
        self.refresh_deadline(id.connection);
        let connection = self.connections.get_mut(id.connection)?;
        let is_readable = connection.marks.has(Marks::READABLE);
        let exchange = connection.exchange.as_mut()?;
        let is_complete = matches!(exchange.inbound, Inbound::Complete);
        let has_news = is_complete || !exchange.content.is_empty();
        if is_complete && let Some(request) = exchange.held.take() {
            let length = request.len();
            return self.offer(id, request, length);
        }
        let is_awaited = has_news && std::mem::take(&mut exchange.waiting.content);
        if is_readable && !is_complete {
            self.schedule(id.connection);
        }
        is_awaited.then_some(Event::Wake(id))
    }

    /// The peer ended before its request did.
    fn lose_content(&mut self, id: ExchangeId) -> Option<Event> {
        let exchange = self.exchange_mut(id)?;
        if exchange.held.is_some() {
            // The application has not heard of the request, and never will.
            self.drop_connection(id.connection);
            return None;
        }
        exchange.inbound = Inbound::Broken;
        let event = std::mem::take(&mut exchange.waiting.content).then_some(Event::Wake(id));
        self.refresh_deadline(id.connection);
        event
    }

    /// Finds the content in bytes of the body; what comes behind the body goes to the inbox.
    fn absorb(&mut self, id: ConnectionId, bytes: &[u8]) -> Result<(), Refusal> {
        let Some(connection) = self.connections.get_mut(id) else {
            return Ok(());
        };
        let Some(exchange) = &mut connection.exchange else {
            return Ok(());
        };
        let Inbound::Reading(body) = &mut exchange.inbound else {
            return Ok(());
        };
        let threshold = match self.settings.body_mode {
            BodyMode::Stream => usize::MAX,
            BodyMode::Buffer(threshold) => threshold,
        };
        let mut rest = bytes;
        loop {
            match body.advance(rest)? {
                Progress::Content(range) => {
                    let content = &rest[range.clone()];
                    exchange.pace.received += content.len() as u64;
                    // A full disk is a limit of this machine on what a request may bring.
                    let kept = exchange.content.append(content, threshold);
                    kept.map_err(|_| Refusal::BodyTooLong)?;
                    rest = &rest[range.end..];
                }
                Progress::NeedMore => break,
                Progress::End(used) => {
                    rest = &rest[used..];
                    exchange.inbound = Inbound::Complete;
                    exchange.expectation = Expectation::None;
                    connection.inbox.append(rest);
                    break;
                }
            }
            if body.is_done() {
                exchange.inbound = Inbound::Complete;
                exchange.expectation = Expectation::None;
                connection.inbox.append(rest);
                break;
            }
        }
        Ok(())
    }

    /// Takes the whole content of a request, where the settings have it buffered first.
    pub fn take_content(&mut self, id: ExchangeId) -> Option<Content> {
        if self.settings.body_mode == BodyMode::Stream {
            return None;
        }
        self.exchange_mut(id)?.content.take().ok()
    }

    /// Gives an application the content that has arrived and was not read yet.
    pub fn read(&mut self, id: ExchangeId) -> Intake {
        if self.exchange_mut(id).is_none() {
            return Intake::Gone;
        }
        if self.has_unread_socket(id) {
            // What waits in the socket need not wait for the next turn.
            if let Some(event) = self.receive_content(id.connection) {
                self.announce(event);
            }
        }
        self.send_continue(id);
        let Some(connection) = self.connections.get_mut(id.connection) else {
            return Intake::Gone;
        };
        let Some(exchange) = &mut connection.exchange else {
            return Intake::Gone;
        };
        // Of a body that was cut short there is more to come, though it never will: it must not look whole.
        let more = !matches!(exchange.inbound, Inbound::Complete);
        if !exchange.content.is_empty() {
            let Ok(content) = exchange.content.take() else {
                return Intake::Gone;
            };
            if more && exchange.pace.paused != 0 {
                self.resume_pace(id);
                self.refresh_deadline(id.connection);
                self.schedule(id.connection);
            }
            return Intake::Content(content, more);
        }
        match exchange.inbound {
            Inbound::Broken => {
                connection.marks.set(Marks::TOLD);
                Intake::Gone
            }
            // Also where the peer has ended: it may have done so because it has said all.
            Inbound::Complete => Intake::Content(Content::new(), false),
            Inbound::Reading(_) => self.nothing_yet(id),
        }
    }

    /// What a reader hears that has read all: nothing yet, that the worker ends, or that the peer has left.
    /// If it is nothing, an [`Event::Wake`] follows.
    pub fn watch_peer(&mut self, id: ExchangeId) -> Intake {
        let Some(connection) = self.connections.get_mut(id.connection) else {
            return Intake::Gone;
        };
        let is_ended = connection.marks.has(Marks::ENDED);
        match &connection.exchange {
            Some(exchange)
                if connection.serial == id.serial && exchange.outbound != Outbound::Complete =>
            {
                if is_ended {
                    connection.marks.set(Marks::TOLD);
                    return Intake::Gone;
                }
                self.nothing_yet(id)
            }
            _ => Intake::Gone,
        }
    }

    /// What a reader gets for whom nothing has arrived.
    fn nothing_yet(&mut self, id: ExchangeId) -> Intake {
        if self.asks_to_end(id) {
            return Intake::Ending;
        }
        if let Some(exchange) = self.exchange_mut(id) {
            exchange.waiting.content = true;
        }
        Intake::Pending
    }

    fn has_unread_socket(&mut self, id: ExchangeId) -> bool {
        self.connections
            .get(id.connection)
            .is_some_and(|connection| {
                connection.marks.has(Marks::READABLE)
                    && connection.exchange.as_ref().is_some_and(|exchange| {
                        exchange.content.is_empty()
                            && matches!(exchange.inbound, Inbound::Reading(_))
                    })
            })
    }

    /// Tells a client that waits with its body to send it (RFC 9110 section 10.1.1).
    fn send_continue(&mut self, id: ExchangeId) {
        let Some(exchange) = self.exchange_mut(id) else {
            return;
        };
        if exchange.expectation != Expectation::Continue || exchange.outbound != Outbound::Pending {
            return;
        }
        exchange.expectation = Expectation::None;
        if exchange.content.is_empty() {
            self.resume_pace(id);
            self.send_raw(id.connection, response::CONTINUE);
            self.refresh_deadline(id.connection);
        }
    }

    /// Takes the time that an application needed off a body's account. It reads outside of turns too,
    /// when the clock may be old.
    fn resume_pace(&mut self, id: ExchangeId) {
        let now = self.clock.refresh();
        if let Some(exchange) = self.exchange_mut(id) {
            exchange.pace.resume(now);
        }
    }

    /// Reads and drops the rest of a body that its application did not want.
    pub(crate) fn discard(&mut self, id: ConnectionId) {
        let mut request = self.take_request();
        let received = match self.connections.get_mut(id) {
            Some(connection) => connection.receive(&mut request.buffer),
            None => Received::End,
        };
        match received {
            Received::Bytes(count) => {
                self.accounts.received(count);
                self.discard_bytes(id, &request.buffer[..count]);
            }
            Received::Nothing => {}
            Received::End => self.drop_connection(id),
        }
        self.recycle(request);
    }

    fn discard_bytes(&mut self, id: ConnectionId, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let Phase::Discarding { body, budget } = &mut connection.phase else {
            return;
        };
        *budget = budget.saturating_sub(bytes.len());
        let is_over_budget = *budget == 0;
        let mut rest = bytes;
        while !body.is_done() {
            match body.advance(rest) {
                Ok(Progress::Content(range)) => rest = &rest[range.end..],
                Ok(Progress::End(used)) => rest = &rest[used..],
                Ok(Progress::NeedMore) if !is_over_budget => {
                    if connection.marks.has(Marks::READABLE) {
                        self.schedule(id);
                    }
                    return;
                }
                Ok(Progress::NeedMore) | Err(_) => return self.linger(id),
            }
        }
        connection.inbox.append(rest);
        self.clock.refresh();
        self.become_idle(id);
    }

    /// Leaves the rest of a body to be dropped, if it is short enough to be worth it.
    pub(crate) fn begin_discard(&mut self, id: ConnectionId, body: BodyReader) {
        if !is_worth_discarding(&body) {
            return self.linger(id);
        }
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.phase = Phase::Discarding {
            body,
            budget: DISCARD_BUDGET,
        };
        self.set_deadline(
            id,
            self.clock.millis() + millis(self.settings.body_rate_grace),
        );
        self.schedule(id);
    }
}

/// Whether the rest of a body is short enough to be read and dropped, as far as that is known.
pub(crate) fn is_worth_discarding(body: &BodyReader) -> bool {
    let remaining = body.remaining();
    remaining.is_none_or(|remaining| remaining <= DISCARD_BUDGET as u64)
}

/// Looks for a head in the inbox, or in what one read from the socket gives.
fn find_head(
    connection: &mut Connection,
    request: &mut InboundRequest,
    limits: &bicorn_proto::Limits,
) -> Result<Found, Refusal> {
    let judged = match connection.phase {
        Phase::Head { judged } => judged,
        _ => 0,
    };
    if connection.inbox.is_empty() {
        return match connection.receive(&mut request.buffer) {
            Received::Nothing => Ok(Found::Incomplete),
            Received::End => Ok(Found::End),
            Received::Bytes(count) => {
                let bytes = &request.buffer[..count];
                let length = http1::parse(bytes, 0, limits, &mut request.head)?;
                connection.inbox.append(&bytes[length.unwrap_or(0)..]);
                Ok(length.map_or(Found::Incomplete, Found::Head))
            }
        };
    }
    // What came behind the last request is judged before more is read.
    if judged == 0
        && let Some(length) = take_head(connection, request, 0, limits)?
    {
        return Ok(Found::Head(length));
    }
    let known = connection.inbox.bytes().len();
    match connection.receive(&mut request.buffer) {
        Received::Nothing => Ok(Found::Incomplete),
        Received::End => Ok(Found::End),
        Received::Bytes(count) => {
            connection.inbox.append(&request.buffer[..count]);
            let length = take_head(connection, request, known, limits)?;
            Ok(length.map_or(Found::Incomplete, Found::Head))
        }
    }
}

/// Moves a complete head from the inbox into the request's own buffer.
fn take_head(
    connection: &mut Connection,
    request: &mut InboundRequest,
    judged: usize,
    limits: &bicorn_proto::Limits,
) -> Result<Option<usize>, Refusal> {
    let bytes = connection.inbox.bytes();
    let Some(length) = http1::parse(bytes, judged, limits, &mut request.head)? else {
        return Ok(None);
    };
    if request.buffer.len() < length {
        request.buffer.resize(length, 0);
    }
    request.buffer[..length].copy_from_slice(&bytes[..length]);
    connection.inbox.consume(length);
    Ok(Some(length))
}
