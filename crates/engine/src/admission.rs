//! Admission: how many requests the application has in hand, and which wait for a place.
//!
//! Owns the order of those that wait, and what becomes of the ones that wait in vain. A request that waits
//! costs its head and its connection: no thread, no call, and no more of its body than came with the head.

use std::collections::BTreeMap;

use crate::clock::Millis;
use crate::connection::Marks;
use crate::engine::{Engine, Event, millis};
use crate::exchange::{ExchangeId, InboundRequest};
use crate::settings::Concurrency;
use crate::table::ConnectionId;

/// The places and the queue before them.
pub(crate) struct Admission {
    bounds: Concurrency,
    /// Requests that the application has in hand.
    in_hand: usize,
    /// Those that wait, by their tickets, which are numbered in the order of arrival.
    waiting: BTreeMap<u64, ExchangeId>,
    last_ticket: u64,
}

impl Admission {
    pub(crate) const fn new(bounds: Concurrency) -> Self {
        Self {
            bounds,
            in_hand: 0,
            waiting: BTreeMap::new(),
            last_ticket: 0,
        }
    }

    /// Whether a request that waits can have a place.
    pub(crate) fn is_due(&self) -> bool {
        self.has_place() && !self.waiting.is_empty()
    }

    const fn has_place(&self) -> bool {
        self.in_hand < self.bounds.most
    }

    fn take_place(&mut self) -> bool {
        let is_free = self.has_place() && self.waiting.is_empty();
        self.in_hand += usize::from(is_free);
        is_free
    }

    fn take_ticket(&mut self, id: ExchangeId) -> Option<u64> {
        if self.waiting.len() >= self.bounds.queue {
            return None;
        }
        self.last_ticket += 1;
        self.waiting.insert(self.last_ticket, id);
        Some(self.last_ticket)
    }

    fn call_next(&mut self) -> Option<ExchangeId> {
        if !self.has_place() {
            return None;
        }
        let (_, id) = self.waiting.pop_first()?;
        self.in_hand += 1;
        Some(id)
    }
}

impl Engine {
    /// Whether an application has to say when it returns from a request: [`Engine::give_back`].
    #[must_use]
    pub const fn has_places(&self) -> bool {
        self.admission.is_some()
    }

    /// The application has returned from a request, in whatever way: its place is free.
    pub fn give_back(&mut self) {
        if let Some(admission) = &mut self.admission {
            admission.in_hand = admission.in_hand.saturating_sub(1);
            if admission.is_due() {
                self.wake_if_idle();
            }
        }
    }

    /// Gives the application a request, whose head is the first `length` bytes of its buffer, or has it wait.
    pub(crate) fn offer(
        &mut self,
        id: ExchangeId,
        request: Box<InboundRequest>,
        length: usize,
    ) -> Option<Event> {
        let Some(admission) = &mut self.admission else {
            return Some(Event::Request(id, request));
        };
        if admission.take_place() {
            return Some(Event::Request(id, request));
        }
        let patience = millis(admission.bounds.patience);
        match admission.take_ticket(id) {
            Some(ticket) => self.enqueue(id, &request, length, (ticket, patience)),
            None => self.turn_away(id),
        }
        self.recycle(request);
        None
    }

    fn enqueue(
        &mut self,
        id: ExchangeId,
        request: &InboundRequest,
        length: usize,
        (ticket, patience): (u64, Millis),
    ) {
        let now = self.clock.millis();
        let Some(exchange) = self.exchange_mut(id) else {
            return self.forget_ticket(ticket);
        };
        exchange.ticket = ticket;
        exchange.held = Some(request.compact(length));
        // The client waits for us, and not the other way round.
        exchange.pace.pause(now);
        self.set_deadline(id.connection, now + patience);
        let connection = self.connections.get(id.connection);
        if connection.is_some_and(|connection| connection.marks.has(Marks::ENDED)) {
            self.schedule(id.connection);
        }
    }

    /// The next request of those that wait, if there is a place.
    pub(crate) fn admit_next(&mut self) -> Option<Event> {
        let id = self.admission.as_mut()?.call_next()?;
        let now = self.clock.millis();
        let exchange = self.exchange_mut(id);
        let Some((exchange, request)) = exchange.and_then(|exchange| {
            exchange.ticket = 0;
            let request = exchange.held.take()?;
            Some((exchange, request))
        }) else {
            self.give_back();
            return None;
        };
        exchange.go_on(now);
        self.refresh_deadline(id.connection);
        self.schedule(id.connection);
        Some(Event::Request(id, request))
    }

    /// The exchange of a connection, if it waits for a place.
    pub(crate) fn waiting_exchange(&self, connection: ConnectionId) -> Option<ExchangeId> {
        let entry = self.connections.get(connection)?;
        let serial = entry.serial;
        let is_waiting = entry.exchange.as_ref()?.ticket != 0;
        is_waiting.then_some(ExchangeId { connection, serial })
    }

    /// Takes a request off the queue that has ended or was given up.
    pub(crate) fn forget_ticket(&mut self, ticket: u64) {
        if ticket != 0
            && let Some(admission) = &mut self.admission
        {
            admission.waiting.remove(&ticket);
        }
    }

    /// Answers a request that finds no place, or waits for one no longer.
    pub(crate) fn turn_away(&mut self, id: ExchangeId) {
        if let Some(exchange) = self.exchange_mut(id) {
            exchange.held = None;
            let ticket = std::mem::take(&mut exchange.ticket);
            self.forget_ticket(ticket);
        }
        self.answer_overload(id);
    }
}
