//! Deadlines: what happens when something did not happen in time.
//!
//! Owns when a connection is looked at, and what its phase makes of a deadline that has passed. The
//! wheel and the timer descriptor do the waiting.

use bicorn_proto::Refusal;

use crate::access_log::AccessLog;
use crate::clock::Millis;
use crate::connection::{Marks, Phase};
use crate::engine::{Engine, millis};
use crate::exchange::{Inbound, Outbound};
use crate::table::ConnectionId;

impl Engine {
    /// Sets when something must have happened on a connection; zero for never.
    pub(crate) fn set_deadline(&mut self, id: ConnectionId, deadline: Millis) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.deadline = deadline;
        if deadline == 0 {
            return;
        }
        let tick = self.wheel.tick_of(deadline);
        if connection.tick == 0 || tick < connection.tick {
            connection.tick = tick;
            self.wheel.insert(tick, id);
            if !self.in_turn {
                self.set_timer();
            }
        }
    }

    pub(crate) fn handle_deadlines(&mut self, now: Millis) {
        while let Some((tick, due)) = self.wheel.take_due(now) {
            for id in due {
                self.look_at_deadline(id, tick, now);
            }
        }
        self.look_at_listeners(now);
        self.hurry(now);
        if self.log_due != 0 && self.log_due <= now {
            self.log_due = 0;
            self.log.iter_mut().for_each(AccessLog::hand_over);
        }
    }

    fn look_at_deadline(&mut self, id: ConnectionId, tick: u64, now: Millis) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if connection.tick != tick {
            // An earlier entry has taken this one's place.
            return;
        }
        connection.tick = 0;
        let deadline = connection.deadline;
        if deadline == 0 {
            return;
        }
        if deadline > now {
            self.set_deadline(id, deadline);
        } else {
            self.expire(id);
        }
    }

    /// What happens when a deadline has passed.
    pub(crate) fn expire(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        // The loop may have been blocked, and the kernel's news may wait for a later turn: what has
        // arrived in the meantime, and what can leave, is looked at first.
        connection.marks.set(Marks::READABLE);
        match connection.phase {
            Phase::Idle | Phase::Head { .. } => self.expire_head(id),
            Phase::Exchange => self.expire_exchange(id),
            Phase::Discarding { .. } | Phase::Farewell | Phase::Lingering { .. } => {
                self.drop_connection(id);
            }
        }
    }

    fn expire_head(&mut self, id: ConnectionId) {
        if let Some(event) = self.receive_head(id) {
            self.announce(event);
        }
        let Some(connection) = self.connections.get(id) else {
            return;
        };
        let is_waiting = matches!(connection.phase, Phase::Idle | Phase::Head { .. });
        if !is_waiting || connection.deadline > self.clock.millis() {
            return;
        }
        if connection.is_between_requests() {
            self.drop_connection(id);
        } else {
            self.refuse(id, Refusal::Timeout);
        }
    }

    pub(crate) fn set_timer(&mut self) {
        let log_due = (self.log_due != 0).then_some(self.log_due);
        let due = [
            self.wheel.next_due(),
            log_due,
            self.accepting.due(),
            self.accounts.beat_due(),
            self.next_hurry(),
        ];
        let due = due.into_iter().flatten().min();
        if due != self.armed && self.poller.arm(due).is_ok() {
            self.armed = due;
        }
    }

    /// Sets the earliest of an exchange's deadlines: the body's pace, and the peer's taking of the answer.
    pub(crate) fn refresh_deadline(&mut self, id: ConnectionId) {
        let (rate, grace) = (
            self.settings.body_rate,
            millis(self.settings.body_rate_grace),
        );
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let Some(exchange) = &connection.exchange else {
            return;
        };
        let body = match exchange.inbound {
            // Once the application has said all, its answer is what the peer is waited for.
            Inbound::Reading(_) if exchange.outbound != Outbound::Complete => {
                exchange.pace.deadline(rate, grace)
            }
            _ => 0,
        };
        let deadline = match (body, exchange.stall_deadline) {
            (0, stall) => stall,
            (body, 0) => body,
            (body, stall) => body.min(stall),
        };
        self.set_deadline(id, deadline);
    }

    /// A body came too slowly, the peer takes nothing of the answer, or there was no place in time.
    fn expire_exchange(&mut self, id: ConnectionId) {
        let now = self.clock.millis();
        if let Some(waiting) = self.waiting_exchange(id) {
            return self.turn_away(waiting);
        }
        if let Some(event) = self.receive_content(id) {
            self.announce(event);
        }
        self.unblock(id);
        let Some(connection) = self.connections.get(id) else {
            return;
        };
        let Some(exchange) = &connection.exchange else {
            return;
        };
        if connection.deadline == 0 || connection.deadline > now {
            return;
        }
        let is_stalled = exchange.stall_deadline != 0 && exchange.stall_deadline <= now;
        if is_stalled || exchange.outbound != Outbound::Pending {
            self.drop_connection(id);
        } else if let Some(event) = self.refuse(id, Refusal::Timeout) {
            self.announce(event);
        }
    }
}
