//! Deadlines of many connections at the price of few.
//!
//! Owns when a connection is looked at again. A deadline that moves later, which is what happens
//! with every request of a kept-alive connection, costs nothing: the entry stays where it is, and
//! whoever is told of it compares with the real deadline and enters it anew.

use crate::clock::Millis;
use crate::table::ConnectionId;

/// The wheel's resolution. Deadlines are seconds, so a tenth is fine.
pub(crate) const TICK: Millis = 100;
const SLOTS: usize = 1024;

/// A hashed timing wheel: an entry for tick `n` lies in slot `n % SLOTS`.
pub(crate) struct Wheel {
    slots: Vec<Vec<ConnectionId>>,
    /// The last tick that was handled.
    hand: u64,
    entries: usize,
    /// The first tick that has entries, so that nobody searches for it in every turn.
    soonest: Option<u64>,
}

impl Wheel {
    pub(crate) fn new(now: Millis) -> Self {
        Self {
            slots: vec![Vec::new(); SLOTS],
            hand: now / TICK,
            entries: 0,
            soonest: None,
        }
    }

    /// The tick in which a deadline is looked at: never before it has passed, and at most one round
    /// of the wheel away, where a later deadline is entered anew.
    pub(crate) fn tick_of(&self, deadline: Millis) -> u64 {
        (deadline / TICK + 1).clamp(self.hand + 1, self.hand + SLOTS as u64 - 1)
    }

    pub(crate) fn insert(&mut self, tick: u64, id: ConnectionId) {
        self.slots[slot(tick)].push(id);
        self.entries += 1;
        self.soonest = Some(self.soonest.map_or(tick, |soonest| soonest.min(tick)));
    }

    /// Takes the entries of the next tick that is not later than `now`; the tick with them.
    pub(crate) fn take_due(&mut self, now: Millis) -> Option<(u64, Vec<ConnectionId>)> {
        let end = now / TICK;
        match self.soonest {
            Some(tick) if tick <= end => {
                let due = std::mem::take(&mut self.slots[slot(tick)]);
                self.hand = tick;
                self.entries -= due.len();
                self.soonest = self.search();
                Some((tick, due))
            }
            _ => {
                self.hand = self.hand.max(end);
                None
            }
        }
    }

    /// When the next entry is due, if there is one.
    pub(crate) fn next_due(&self) -> Option<Millis> {
        self.soonest.map(|tick| tick * TICK)
    }

    fn search(&self) -> Option<u64> {
        if self.entries == 0 {
            return None;
        }
        let round = self.hand + 1..=self.hand + SLOTS as u64;
        round
            .into_iter()
            .find(|&tick| !self.slots[slot(tick)].is_empty())
    }
}

fn slot(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_when_their_deadline_has_passed() {
        let mut wheel = Wheel::new(1_000);
        let id = ConnectionId {
            index: 7,
            generation: 1,
        };
        let tick = wheel.tick_of(1_450);
        wheel.insert(tick, id);
        assert_eq!(wheel.next_due(), Some(1_500));
        assert!(wheel.take_due(1_499).is_none());
        assert_eq!(wheel.take_due(1_500), Some((15, vec![id])));
        assert_eq!(wheel.next_due(), None);
    }

    #[test]
    fn far_deadlines_come_back_within_a_round() {
        let wheel = Wheel::new(0);
        assert_eq!(wheel.tick_of(u64::MAX / 2), SLOTS as u64 - 1);
        assert_eq!(wheel.tick_of(0), 1);
    }
}
