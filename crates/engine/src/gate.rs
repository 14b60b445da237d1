//! Which of several workers should take the next connection.
//!
//! Owns the rule, which each worker applies for itself to what the scoreboard says of the others: the one
//! with the fewest open connections, and among equals the one that has accepted the fewest, unless it is
//! late. It must not know of sockets. Measured against others in docs/decisions/0009-accepting.md.

use crate::clock::Millis;
use crate::scoreboard::{Scoreboard, Slot};

/// After so long in one turn a worker counts as busy, and connections are not left to it.
const PATIENCE: Millis = 2;
/// With so many more open connections than another that waits, or that is at work, one leaves the next to it;
/// and what comes on top where there are many. It costs a wake-up, so it is not done for each.
const MORE: [u64; 2] = [1, 3];
const MORE_OF_MANY: u64 = 32;
/// Connections that one may have accepted more than another with no more open ones.
const CREDIT_SLACK: [u64; 2] = [16, 64];
/// Accepted connections that one who was busy may make up for; it would get all that come otherwise.
const ARREARS: u64 = 4096;

/// Another worker that should rather take a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rival {
    pub(crate) slot: usize,
    /// How many others should rather take it, this one included.
    pub(crate) rank: usize,
}

/// The others that accept connections, and are not known to be late.
fn others(board: &Scoreboard, me: usize, now: Millis) -> impl Iterator<Item = (usize, &Slot)> {
    (0..board.count())
        .filter(move |&index| index != me)
        .filter_map(|index| Some((index, board.slot(index)?)))
        .filter(move |(_, slot)| Slot::get(&slot.open) != 0 && !is_late(slot, now))
}

/// Whether a worker is busy or blocked. One that seems to wait is believed until it has missed a connection,
/// and again when its heart has beaten since.
fn is_late(slot: &Slot, now: Millis) -> bool {
    let heartbeat = Slot::get(&slot.heartbeat);
    if Slot::get(&slot.turn) != 0 {
        return now.saturating_sub(heartbeat) > PATIENCE;
    }
    Slot::get(&slot.late) == heartbeat && heartbeat != 0
}

/// Who should take a connection rather than `me`, which has so many: the best of them.
pub(crate) fn rival(board: &Scoreboard, me: usize, connections: u64, now: Millis) -> Option<Rival> {
    let credit = Slot::get(&board.slot(me)?.credit);
    let mut best: Option<(bool, u64, u64, usize)> = None;
    let mut rank = 0;
    for (index, slot) in others(board, me, now) {
        let (theirs, their_credit) = (Slot::get(&slot.connections), Slot::get(&slot.credit));
        let is_busy = Slot::get(&slot.turn) != 0;
        let more = MORE[usize::from(is_busy)] + theirs / MORE_OF_MANY;
        let has_fewer = theirs.saturating_add(more) <= connections;
        let least_credit = credit.saturating_sub(CREDIT_SLACK[usize::from(is_busy)]);
        if has_fewer || (theirs <= connections && their_credit < least_credit) {
            rank += 1;
            let key = (is_busy, theirs, their_credit, index);
            best = Some(best.map_or(key, |best| best.min(key)));
        }
    }
    best.map(|(_, _, _, slot)| Rival { slot, rank })
}

/// What a worker is credited with at least, however little it has accepted.
pub(crate) fn least_credit(board: &Scoreboard) -> u64 {
    most_credit(board).saturating_sub(ARREARS)
}

/// The largest number of accepted connections that a serving worker is credited with.
pub(crate) fn most_credit(board: &Scoreboard) -> u64 {
    let credit = |index| board.slot(index).filter(|slot| Slot::get(&slot.open) != 0);
    (0..board.count())
        .filter_map(credit)
        .map(|slot| Slot::get(&slot.credit))
        .max()
        .unwrap_or(0)
}

/// Notes that a worker's heart has not beaten since a connection was left to it.
pub(crate) fn note_late(board: &Scoreboard, index: usize, left_at: Millis) {
    if let Some(slot) = board.slot(index) {
        let heartbeat = Slot::get(&slot.heartbeat);
        if heartbeat < left_at {
            Slot::set(&slot.late, heartbeat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 10_000;

    /// A board of serving workers with so many connections, each of which has accepted as many.
    fn board(connections: &[u64]) -> Scoreboard {
        let board = Scoreboard::new(connections.len() + 1).unwrap();
        for (index, &count) in connections.iter().enumerate() {
            let slot = board.slot(index).unwrap();
            Slot::set(&slot.open, 1);
            Slot::set(&slot.heartbeat, NOW - 300);
            Slot::set(&slot.connections, count);
            Slot::set(&slot.credit, count);
        }
        board
    }

    fn slot(board: &Scoreboard, index: usize) -> &Slot {
        board.slot(index).unwrap()
    }

    fn choice(board: &Scoreboard, me: usize) -> Option<(usize, usize)> {
        let connections = Slot::get(&slot(board, me).connections);
        rival(board, me, connections, NOW).map(|rival| (rival.slot, rival.rank))
    }

    #[test]
    fn the_one_with_the_fewest_takes_it() {
        let board = board(&[2, 1, 0]);
        assert_eq!(choice(&board, 0), Some((2, 2)));
        assert_eq!(choice(&board, 1), Some((2, 1)));
        assert_eq!(choice(&board, 2), None);
    }

    #[test]
    fn equals_take_what_they_see() {
        let board = board(&[5, 5, 5]);
        assert_eq!((0..3).filter_map(|me| choice(&board, me)).count(), 0);
    }

    #[test]
    fn of_many_a_small_part_more_is_no_reason() {
        let board = board(&[66, 64]);
        assert_eq!(choice(&board, 0), None);
        Slot::set(&slot(&board, 0).connections, 67);
        assert_eq!(choice(&board, 0), Some((1, 1)));
    }

    #[test]
    fn among_equals_the_one_that_accepted_far_less_takes_it() {
        let board = board(&[5, 5]);
        for is_busy in [0, 1] {
            let other = slot(&board, 1);
            Slot::set(&other.turn, is_busy);
            Slot::set(&other.heartbeat, NOW);
            let slack = CREDIT_SLACK[is_busy as usize];
            Slot::set(&slot(&board, 0).credit, 5 + slack);
            assert_eq!(choice(&board, 0), None);
            Slot::set(&slot(&board, 0).credit, 6 + slack);
            assert_eq!(choice(&board, 0), Some((1, 1)));
        }
    }

    #[test]
    fn one_that_is_at_work_gets_a_connection_only_when_it_has_far_fewer() {
        let board = board(&[2, 0]);
        Slot::set(&slot(&board, 1).turn, 1);
        Slot::set(&slot(&board, 1).heartbeat, NOW);
        assert_eq!(choice(&board, 0), None);
        Slot::set(&slot(&board, 0).connections, 3);
        assert_eq!(choice(&board, 0), Some((1, 1)));
    }

    #[test]
    fn one_that_has_been_at_work_for_long_gets_none() {
        let board = board(&[50, 0]);
        Slot::set(&slot(&board, 1).turn, 1);
        Slot::set(&slot(&board, 1).heartbeat, NOW - PATIENCE);
        assert_eq!(choice(&board, 0), Some((1, 1)));
        Slot::set(&slot(&board, 1).heartbeat, NOW - PATIENCE - 1);
        assert_eq!(choice(&board, 0), None);
    }

    #[test]
    fn one_that_missed_a_connection_gets_none_until_its_heart_beats() {
        let board = board(&[50, 0]);
        note_late(&board, 1, NOW - 300);
        assert_eq!(choice(&board, 0), Some((1, 1)));
        note_late(&board, 1, NOW - 10);
        assert_eq!(choice(&board, 0), None);
        Slot::set(&slot(&board, 1).heartbeat, NOW);
        assert_eq!(choice(&board, 0), Some((1, 1)));
    }

    #[test]
    fn one_that_does_not_accept_gets_none() {
        let board = board(&[50, 0]);
        Slot::set(&slot(&board, 1).open, 0);
        assert_eq!(choice(&board, 0), None);
    }

    #[test]
    fn a_newcomer_starts_level_with_the_others() {
        let board = board(&[50, 70]);
        assert_eq!(most_credit(&board), 70);
        assert_eq!(most_credit(&Scoreboard::new(3).unwrap()), 0);
    }

    #[test]
    fn arrears_are_forgiven_but_for_some() {
        let board = board(&[5, ARREARS + 10]);
        assert_eq!(least_credit(&board), 10);
        Slot::set(&slot(&board, 1).credit, 5);
        assert_eq!(least_credit(&board), 0);
    }
}
