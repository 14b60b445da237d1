//! Counting what happens, into this worker's slot of the scoreboard.
//!
//! Owns which event counts as what, and the heartbeat: that the serving loop is alive is said where it
//! serves, and nowhere else.

use std::io;
use std::os::fd::BorrowedFd;

use crate::clock::{Clock, Millis};
use crate::gate::{self, Rival};
use crate::in_flight::{Description, Place, Recorder};
use crate::scoreboard::{Scoreboard, Seat, Slot, State};

pub(crate) struct Accounts {
    seat: Seat,
    open_exchanges: u64,
    recorder: Recorder,
    /// How often the heart beats where nothing happens; zero for not at all.
    beat_interval: Millis,
    /// When the next beat is due, or zero.
    beat_due: Millis,
}

impl Accounts {
    /// Counts into a slot of the shared board, or into a board of one's own.
    pub(crate) fn new(
        shared: Option<(Scoreboard, usize)>,
        beat_interval: Millis,
    ) -> io::Result<Self> {
        let seat = match shared.and_then(|(board, index)| Seat::new(board, index)) {
            Some(seat) => seat,
            None => Seat::new(Scoreboard::new(1)?, 0).ok_or(io::ErrorKind::NotFound)?,
        };
        let accounts = Self {
            seat,
            open_exchanges: 0,
            recorder: Recorder::new(),
            beat_interval,
            beat_due: 0,
        };
        accounts.with(|slot| Slot::set(&slot.pid, u64::from(std::process::id())));
        accounts.enter(State::Starting);
        Ok(accounts)
    }

    fn with(&self, count: impl FnOnce(&Slot)) {
        count(self.seat.slot());
    }

    pub(crate) fn enter(&self, state: State) {
        self.with(|slot| Slot::set(&slot.state, state as u64));
    }

    pub(crate) const fn open_exchanges(&self) -> u64 {
        self.open_exchanges
    }

    /// What makes the engine look at its listeners, where there are other workers.
    pub(crate) fn bell(&self) -> Option<BorrowedFd<'_>> {
        self.seat.board().bell(self.seat.index())
    }

    /// Begins to serve, and to beat. The others' accepted connections are not made up for: a newcomer
    /// would get everything until it is level with them.
    pub(crate) fn begin_serving(&mut self, now: Millis) {
        let credit = gate::most_credit(self.seat.board());
        self.with(|slot| {
            Slot::set(&slot.credit, credit);
            Slot::set(&slot.heartbeat, now);
        });
        self.enter(State::Serving);
        if self.beat_interval != 0 {
            self.beat_due = now + self.beat_interval;
        }
    }

    /// A turn begins. Whether a beat was due, that is, whether nothing else may have happened for a while.
    pub(crate) fn begin_turn(&mut self, clock: &Clock) -> bool {
        let (now, due) = (clock.millis(), self.beat_due);
        self.with(|slot| {
            Slot::set(&slot.heartbeat, now);
            Slot::set(&slot.turn, 1);
            Slot::set(&slot.rung, 0);
        });
        if due == 0 || now < due {
            return false;
        }
        self.beat_due = now + self.beat_interval;
        let lag = clock.micros().saturating_sub(due * 1000);
        self.with(|slot| Slot::set(&slot.lag, lag));
        true
    }

    /// A turn has come so far that the application is called again.
    pub(crate) fn go_on(&self, now: Millis) {
        self.with(|slot| Slot::set(&slot.heartbeat, now));
    }

    pub(crate) fn end_turn(&self, connections: usize) {
        self.with(|slot| {
            Slot::set(&slot.turn, 0);
            Slot::set(&slot.connections, connections as u64);
        });
    }

    /// When the engine must have a turn for its heart to beat.
    pub(crate) fn beat_due(&self) -> Option<Millis> {
        (self.beat_due != 0).then_some(self.beat_due)
    }

    /// Whether the application is being called, as far as the engine has handed something out.
    pub(crate) fn is_calling(&self) -> bool {
        Slot::get(&self.seat.slot().busy_threads) != 0
    }

    pub(crate) fn set_calling(&self, threads: u64) {
        self.with(|slot| Slot::set(&slot.busy_threads, threads));
    }

    pub(crate) fn set_open(&self, is_open: bool) {
        self.with(|slot| Slot::set(&slot.open, u64::from(is_open)));
    }

    pub(crate) fn accepted(&self, connections: usize) {
        let least = gate::least_credit(self.seat.board());
        self.with(|slot| {
            Slot::add(&slot.accepted, 1);
            let credit = Slot::get(&slot.credit).max(least);
            Slot::set(&slot.credit, credit.wrapping_add(1));
            Slot::set(&slot.connections, connections as u64);
        });
    }

    /// Who should rather take the next connection than this worker with so many.
    pub(crate) fn rival(&self, connections: usize, now: Millis) -> Option<Rival> {
        gate::rival(
            self.seat.board(),
            self.seat.index(),
            connections as u64,
            now,
        )
    }

    /// Wakes another worker to look at the listeners; any other, where none is named.
    pub(crate) fn ring(&self, rival: Option<&Rival>, now: Millis) {
        let board = self.seat.board();
        let other = || gate::rival(board, self.seat.index(), u64::MAX / 2, now);
        let slot = rival.map_or_else(|| other().map(|other| other.slot), |rival| Some(rival.slot));
        if let Some(slot) = slot {
            board.ring(slot);
        }
    }

    /// Another worker did not come for a connection that it was left at a time.
    pub(crate) fn missed(&self, other: usize, left_at: Millis) {
        gate::note_late(self.seat.board(), other, left_at);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.with(|slot| Slot::add(&slot.bytes_in, bytes as u64));
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.with(|slot| Slot::add(&slot.bytes_out, bytes));
    }

    pub(crate) fn exchange_began(&mut self, what: &Description<'_>) -> Place {
        self.open_exchanges += 1;
        self.with(|slot| Slot::set(&slot.exchanges, self.open_exchanges));
        let recorded = &self.seat.slot().recorded;
        self.recorder.begin(self.seat.table(), recorded, what)
    }

    pub(crate) fn exchange_ended(&mut self, place: Place, micros: u64) {
        self.recorder.end(self.seat.table(), place);
        self.open_exchanges = self.open_exchanges.saturating_sub(1);
        self.with(|slot| {
            Slot::set(&slot.exchanges, self.open_exchanges);
            Slot::add(&slot.requests, 1);
            slot.took(micros);
        });
    }

    pub(crate) fn failed(&self) {
        self.with(|slot| Slot::add(&slot.errors, 1));
    }
}
