//! The end of a worker, as its connections see it.
//!
//! Owns what happens between [`Engine::drain`] and [`Event::Drained`]. A connection has three ways out: it is
//! closed because it is idle, its next answer says that it is the last one (`reply`), or its time is up.

use crate::clock::Millis;
use crate::connection::Marks;
use crate::engine::{Engine, Event, Stage, millis};
use crate::exchange::{ExchangeId, Outbound};
use crate::table::ConnectionId;

/// How long after its last answer, or its beginning, a connection may bring one more request. A client that
/// asks without pause does so long before, and never finds the connection closed under its request.
const LATE_REQUEST: Millis = 1_000;
/// How long a connection that was closed while it was idle is read on: a request that has crossed our end
/// on the way then finds an end, and no reset.
const IDLE_LINGER: Millis = 1_000;

impl Engine {
    /// Stops accepting, closes idle connections, and ends the others with the answer that is under
    /// way. [`Event::Drained`] follows when none is left.
    pub fn drain(&mut self) {
        if self.stage != Stage::Serving {
            return;
        }
        self.stage = Stage::Draining;
        let now = self.clock.refresh();
        let hurry_due = self.settings.stream_grace.map(|grace| now + millis(grace));
        self.hurry_due = hurry_due.unwrap_or(0);
        self.accept_waiting();
        self.forget_listeners();
        for id in self.connections.ids() {
            // An idle connection is read once more: a request already on the wire is answered.
            if let Some(connection) = self.connections.get_mut(id)
                && connection.is_between_requests()
            {
                connection.marks.set(Marks::READABLE);
                self.schedule(id);
            }
        }
        self.poller.wake();
    }

    /// Says so when the last connection has gone.
    pub(crate) fn end_drain(&mut self) {
        let is_draining = matches!(self.stage, Stage::Draining | Stage::Hurrying);
        if is_draining && self.connections.len() == 0 {
            self.stage = Stage::Drained;
            self.announce(Event::Drained);
        }
    }

    /// Closes a connection on which nothing of a request has arrived, unless it was in use a moment ago.
    pub(crate) fn close_idle(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get(id) else {
            return;
        };
        let end = connection.used + LATE_REQUEST;
        if self.clock.millis() < end {
            self.set_deadline(id, end);
        } else {
            self.linger_for(id, IDLE_LINGER);
        }
    }

    /// When an idle connection is closed whose last answer leaves now.
    pub(crate) fn idle_end(&self, now: Millis) -> Millis {
        now + match self.stage {
            Stage::Serving => millis(self.settings.keep_alive_timeout),
            _ => LATE_REQUEST,
        }
    }

    /// When answers that are under way are to be ended, if they are and have not been asked to.
    pub(crate) fn next_hurry(&self) -> Option<Millis> {
        (self.stage == Stage::Draining && self.hurry_due != 0).then_some(self.hurry_due)
    }

    /// Asks applications to end the answers that they have begun, once their time is up.
    pub(crate) fn hurry(&mut self, now: Millis) {
        if self.next_hurry().is_some_and(|due| due <= now) {
            self.stage = Stage::Hurrying;
            for id in self.connections.ids() {
                self.hurry_up(id);
            }
        }
    }

    /// Wakes an application that waits for a message while it answers, if it is to be asked to end that.
    pub(crate) fn hurry_up(&mut self, id: ConnectionId) {
        if self.stage != Stage::Hurrying {
            return;
        }
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let serial = connection.serial;
        if let Some(exchange) = &mut connection.exchange
            && matches!(exchange.outbound, Outbound::Open(_))
            && !exchange.is_asked_to_end
            && std::mem::take(&mut exchange.waiting.content)
        {
            let connection = id;
            self.announce(Event::Wake(ExchangeId { connection, serial }));
        }
    }

    /// Whether an application that would wait for a message is asked to end its answer instead: once.
    pub(crate) fn asks_to_end(&mut self, id: ExchangeId) -> bool {
        if self.stage != Stage::Hurrying {
            return false;
        }
        self.exchange_mut(id).is_some_and(|exchange| {
            matches!(exchange.outbound, Outbound::Open(_))
                && !std::mem::replace(&mut exchange.is_asked_to_end, true)
        })
    }
}
