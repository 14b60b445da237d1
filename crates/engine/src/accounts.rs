//! Counting what happens, into this worker's slot of the scoreboard.
//!
//! Owns which event counts as what.

use std::io;

use crate::clock::Millis;
use crate::scoreboard::{Scoreboard, Slot};

pub(crate) struct Accounts {
    board: Scoreboard,
    index: usize,
    open_exchanges: u64,
}

impl Accounts {
    /// Counts into a slot of the shared board, or into a board of one's own.
    pub(crate) fn new(shared: Option<(Scoreboard, usize)>) -> io::Result<Self> {
        let (board, index) = match shared {
            Some((board, index)) if index < board.count() => (board, index),
            _ => (Scoreboard::new(1)?, 0),
        };
        let accounts = Self {
            board,
            index,
            open_exchanges: 0,
        };
        accounts.with(|slot| Slot::set(&slot.pid, u64::from(std::process::id())));
        Ok(accounts)
    }

    fn with(&self, count: impl FnOnce(&Slot)) {
        if let Some(slot) = self.board.slot(self.index) {
            count(slot);
        }
    }

    pub(crate) const fn open_exchanges(&self) -> u64 {
        self.open_exchanges
    }

    pub(crate) fn beat(&self, now: Millis, connections: usize) {
        self.with(|slot| {
            Slot::set(&slot.heartbeat, now);
            Slot::set(&slot.connections, connections as u64);
        });
    }

    pub(crate) fn accepted(&self) {
        self.with(|slot| Slot::add(&slot.accepted, 1));
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.with(|slot| Slot::add(&slot.bytes_in, bytes as u64));
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.with(|slot| Slot::add(&slot.bytes_out, bytes));
    }

    pub(crate) fn exchange_began(&mut self) {
        self.open_exchanges += 1;
        self.with(|slot| Slot::set(&slot.exchanges, self.open_exchanges));
    }

    pub(crate) fn exchange_ended(&mut self) {
        self.open_exchanges = self.open_exchanges.saturating_sub(1);
        self.with(|slot| {
            Slot::set(&slot.exchanges, self.open_exchanges);
            Slot::add(&slot.requests, 1);
        });
    }

    pub(crate) fn failed(&self) {
        self.with(|slot| Slot::add(&slot.errors, 1));
    }
}
