//! Closing a connection in good order: our side ends first, and what still arrives is read and dropped.
//!
//! Owns how long and for how many bytes. A socket that is closed with unread bytes, or that receives more,
//! answers with a reset, which takes from the peer what it has not read yet (RFC 9112 section 9.6).

use rustix::net::{Shutdown, shutdown};

use crate::clock::Millis;
use crate::connection::{Inbox, Marks, Phase, Received};
use crate::engine::Engine;
use crate::table::ConnectionId;

/// How long a connection is read after our last answer.
const LINGER: Millis = 5_000;
/// And for how many bytes.
const LINGER_BUDGET: usize = 16 * 1024 * 1024;

impl Engine {
    /// Ends our side after the last answer, and stays until the peer has ended its own, within bounds.
    pub(crate) fn linger(&mut self, id: ConnectionId) {
        self.linger_for(id, LINGER);
    }

    /// Ends our side, and stays for so long at most.
    pub(crate) fn linger_for(&mut self, id: ConnectionId, time: Millis) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if shutdown(&connection.socket, Shutdown::Write).is_err() {
            return self.drop_connection(id);
        }
        connection.phase = Phase::Lingering {
            budget: LINGER_BUDGET,
        };
        connection.inbox = Inbox::default();
        connection.marks.set(Marks::READABLE);
        self.set_deadline(id, self.clock.millis() + time);
        self.schedule(id);
    }

    /// Reads and drops what still arrives.
    pub(crate) fn linger_on(&mut self, id: ConnectionId) {
        let mut request = self.take_request();
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let received = connection.receive(&mut request.buffer);
        self.recycle(request);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let Phase::Lingering { budget } = &mut connection.phase else {
            return;
        };
        match received {
            Received::Nothing => {}
            Received::Bytes(count) if count < *budget => {
                *budget -= count;
                if connection.marks.has(Marks::READABLE) {
                    self.schedule(id);
                }
            }
            _ => self.drop_connection(id),
        }
    }
}
