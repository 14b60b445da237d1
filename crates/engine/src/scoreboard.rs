//! What a worker shows to its parent, and to the other workers.
//!
//! Owns an anonymous shared mapping with one slot and one table of requests in flight for each worker,
//! and the bells by which workers wake each other. A slot is written with plain atomic stores and adds,
//! and can be read while its worker is blocked, holds the GIL or is dead. What is read may come from a
//! worker that has gone mad: no number of it is trusted as an index or a length.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{EventfdFlags, eventfd};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::clock;
use crate::in_flight::{Entry, RequestInFlight, TABLE};

/// Buckets of the latency histogram: one for each power of two of a microsecond, the last for the rest.
pub const LATENCY_BUCKETS: usize = 32;
/// Bells at most. Workers beyond that share them, and are woken together: a descriptor for each of a
/// thousand slots would use up what a process may have open.
const BELLS: usize = 64;

/// How far a worker has come, as its slot says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It has an engine, and no listener.
    Starting = 1,
    /// It has a listener.
    Serving = 2,
    /// It accepts nothing any more.
    Draining = 3,
}

/// One worker's counters. A slot fills cache lines of its own, so that workers do not disturb each other.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct Slot {
    /// A [`State`], or zero before there is an engine.
    pub(crate) state: AtomicU64,
    /// The worker's process.
    pub(crate) pid: AtomicU64,
    /// The parent's number for the worker's kind: it changes with each reload.
    generation: AtomicU64,
    /// Milliseconds of the monotonic clock when the serving loop was last seen alive.
    pub(crate) heartbeat: AtomicU64,
    /// Whether the engine handles events now; otherwise it waits, or the host's other tasks run.
    pub(crate) turn: AtomicU64,
    /// Threads in which the application was called by the engine's driver and has not come back.
    pub(crate) busy_threads: AtomicU64,
    /// Microseconds by which the last heartbeat that a timer asked for was late.
    pub(crate) lag: AtomicU64,
    /// Connections that are open.
    pub(crate) connections: AtomicU64,
    /// Requests that are being answered.
    pub(crate) exchanges: AtomicU64,
    /// Connections accepted so far.
    pub(crate) accepted: AtomicU64,
    /// Requests that have ended so far.
    pub(crate) requests: AtomicU64,
    /// Requests refused, failed or broken off so far.
    pub(crate) errors: AtomicU64,
    /// Bytes received so far.
    pub(crate) bytes_in: AtomicU64,
    /// Bytes sent so far.
    pub(crate) bytes_out: AtomicU64,
    /// Whether it accepts connections now. For the other workers, like the next three.
    pub(crate) open: AtomicU64,
    /// Connections accepted, counted from where the others were when it began.
    pub(crate) credit: AtomicU64,
    /// The heartbeat at which another worker found that it did not come for a connection.
    pub(crate) late: AtomicU64,
    /// Whether its bell was rung since its last turn began.
    pub(crate) rung: AtomicU64,
    /// Entries of the table of requests in flight that were ever used.
    pub(crate) recorded: AtomicU64,
    /// Requests that have ended, by the time that they took.
    latency: [AtomicU64; LATENCY_BUCKETS],
}

/// A slot's values at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Name and value of each counter that the parent may want.
    pub values: [(&'static str, u64); 14],
}

impl Slot {
    /// Adds to a counter of which this worker is the only writer.
    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        // A load and a store instead of a locked add: a slot has one writer.
        counter.store(
            counter.load(Ordering::Relaxed).wrapping_add(amount),
            Ordering::Relaxed,
        );
    }

    pub(crate) fn set(counter: &AtomicU64, value: u64) {
        counter.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// Counts a request that took so long.
    pub(crate) fn took(&self, micros: u64) {
        Self::add(&self.latency[bucket_of(micros)], 1);
    }

    const fn fields(&self) -> [(&'static str, &AtomicU64); 14] {
        [
            ("state", &self.state),
            ("pid", &self.pid),
            ("generation", &self.generation),
            ("heartbeat_ms", &self.heartbeat),
            ("turn", &self.turn),
            ("busy_threads", &self.busy_threads),
            ("lag_us", &self.lag),
            ("connections", &self.connections),
            ("exchanges", &self.exchanges),
            ("accepted", &self.accepted),
            ("requests", &self.requests),
            ("errors", &self.errors),
            ("bytes_in", &self.bytes_in),
            ("bytes_out", &self.bytes_out),
        ]
    }

    const fn internals(&self) -> [&AtomicU64; 5] {
        [
            &self.open,
            &self.credit,
            &self.late,
            &self.rung,
            &self.recorded,
        ]
    }
}

/// Bucket `i` counts what took less than 2 to the power of `i` microseconds, and no less than half of that.
const fn bucket_of(micros: u64) -> usize {
    let bits = (u64::BITS - micros.leading_zeros()) as usize;
    if bits < LATENCY_BUCKETS {
        bits
    } else {
        LATENCY_BUCKETS - 1
    }
}

/// The mapping. Made before the first fork, and shared by all that come of it.
#[derive(Debug, Clone)]
pub struct Scoreboard {
    mapping: Arc<Mapping>,
}

/// First the slots, then the tables, which are touched only as far as they are used.
#[derive(Debug)]
struct Mapping {
    slots: NonNull<Slot>,
    tables: NonNull<[Entry; TABLE]>,
    count: usize,
    bells: Vec<OwnedFd>,
}

// SAFETY: the mapping holds nothing but atomics, and lives until the last owner drops it.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

const fn length_of(count: usize) -> usize {
    count * (size_of::<Slot>() + size_of::<[Entry; TABLE]>())
}

impl Scoreboard {
    /// A board with `count` empty slots.
    ///
    /// # Errors
    /// When the kernel has no memory or no descriptors for it.
    pub fn new(count: usize) -> io::Result<Self> {
        let count = count.max(1);
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        // Somebody alone has nobody to wake.
        let bells = (0..count.min(BELLS)).filter(|_| count > 1);
        let bells = bells.map(|_| eventfd(0, flags)).collect::<Result<_, _>>()?;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory in use.
        let start = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                length_of(count),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::NORESERVE,
            )
        }?;
        let slots = NonNull::new(start.cast::<Slot>()).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: inside the mapping, whose length has room for the tables behind the slots.
        let tables = unsafe { slots.add(count) }.cast();
        Ok(Self {
            mapping: Arc::new(Mapping {
                slots,
                tables,
                count,
                bells,
            }),
        })
    }

    /// How many slots there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.mapping.count
    }

    /// A slot.
    pub(crate) fn slot(&self, index: usize) -> Option<&Slot> {
        if index >= self.mapping.count {
            return None;
        }
        // SAFETY: the index is inside the mapping, which is page-aligned, was zeroed by the kernel,
        // for which all-zero bytes are a valid `Slot`, and lives as long as `self`.
        Some(unsafe { self.mapping.slots.add(index).as_ref() })
    }

    /// A slot's table of requests in flight.
    pub(crate) fn table(&self, index: usize) -> Option<&[Entry; TABLE]> {
        if index >= self.mapping.count {
            return None;
        }
        // SAFETY: as in `slot`; the tables lie behind the slots, whose size is a multiple of the alignment
        // of an `Entry`.
        Some(unsafe { self.mapping.tables.add(index).as_ref() })
    }

    /// Sets a slot's counters to zero, for the next worker. Its table needs no clearing: an entry counts
    /// once it was written by a worker that came after.
    pub fn clear(&self, index: usize) {
        let Some(slot) = self.slot(index) else { return };
        for counter in slot.internals() {
            Slot::set(counter, 0);
        }
        for (_, counter) in slot.fields() {
            Slot::set(counter, 0);
        }
        for counter in &slot.latency {
            Slot::set(counter, 0);
        }
    }

    /// Notes the parent's number for the next worker's kind, after `clear`.
    pub fn set_generation(&self, index: usize, generation: u64) {
        if let Some(slot) = self.slot(index) {
            Slot::set(&slot.generation, generation);
        }
    }

    /// A slot's values now.
    #[must_use]
    pub fn read(&self, index: usize) -> Option<Counters> {
        let slot = self.slot(index)?;
        Some(Counters {
            values: slot.fields().map(|(name, n)| (name, Slot::get(n))),
        })
    }

    /// The process of a slot's worker, or zero.
    #[must_use]
    pub fn process(&self, index: usize) -> u32 {
        self.slot(index)
            .map_or(0, |slot| Slot::get(&slot.pid) as u32)
    }

    /// How many requests of a slot took how long: bucket `i` counts those of less than 2 to the power of
    /// `i` microseconds that are in no bucket before, and the last one all that took longer.
    #[must_use]
    pub fn latency(&self, index: usize) -> Option<[u64; LATENCY_BUCKETS]> {
        let slot = self.slot(index)?;
        Some(std::array::from_fn(|i| Slot::get(&slot.latency[i])))
    }

    /// The requests that a slot's worker is answering, and what remains of a dead one's.
    #[must_use]
    pub fn requests(&self, index: usize) -> Option<Vec<RequestInFlight>> {
        let recorded = self.slot(index)?.recorded.load(Ordering::Acquire);
        let recorded = usize::try_from(recorded).unwrap_or(TABLE).min(TABLE);
        let now = clock::micros() / 1000;
        let entries = &self.table(index)?[..recorded];
        Some(entries.iter().filter_map(|entry| entry.read(now)).collect())
    }

    /// What a slot's worker waits for besides its sockets, where there are several.
    pub(crate) fn bell(&self, index: usize) -> Option<BorrowedFd<'_>> {
        let bells = &self.mapping.bells;
        bells
            .get(index % bells.len().max(1))
            .map(|bell| bell.as_fd())
    }

    /// Wakes a slot's worker, unless somebody has done so since its last turn began.
    pub(crate) fn ring(&self, index: usize) {
        let (Some(slot), Some(bell)) = (self.slot(index), self.bell(index)) else {
            return;
        };
        if slot.rung.swap(1, Ordering::AcqRel) == 0 {
            // A full counter wakes just as well.
            let _full = rustix::io::write(bell, &1_u64.to_ne_bytes());
        }
    }
}

/// A worker's own place on the board, looked up once: it is written several times for each request.
pub(crate) struct Seat {
    board: Scoreboard,
    index: usize,
    slot: NonNull<Slot>,
    table: NonNull<[Entry; TABLE]>,
}

// SAFETY: as for `Mapping`, which it keeps alive.
unsafe impl Send for Seat {}

impl Seat {
    /// A slot of a board, if there is one of that number.
    pub(crate) fn new(board: Scoreboard, index: usize) -> Option<Self> {
        let (slot, table) = (board.slot(index)?.into(), board.table(index)?.into());
        Some(Self {
            board,
            index,
            slot,
            table,
        })
    }

    pub(crate) const fn board(&self) -> &Scoreboard {
        &self.board
    }

    pub(crate) const fn index(&self) -> usize {
        self.index
    }

    pub(crate) const fn slot(&self) -> &Slot {
        // SAFETY: taken from a reference into the mapping, which lives as long as `board`.
        unsafe { self.slot.as_ref() }
    }

    pub(crate) const fn table(&self) -> &[Entry; TABLE] {
        // SAFETY: as above.
        unsafe { self.table.as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `Scoreboard::new` with this length, and nobody holds it any more.
        let _unmapped = unsafe { munmap(self.slots.as_ptr().cast(), length_of(self.count)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(board: &Scoreboard, index: usize, name: &str) -> u64 {
        let counters = board.read(index).unwrap();
        let found = counters.values.iter().find(|(key, _)| *key == name);
        found.unwrap().1
    }

    #[test]
    fn slots_are_apart_and_can_be_cleared() {
        let board = Scoreboard::new(2).unwrap();
        board.set_generation(1, 7);
        let slot = board.slot(1).unwrap();
        Slot::add(&slot.requests, 3);
        slot.took(5);
        assert_eq!(value(&board, 0, "requests"), 0);
        assert_eq!(value(&board, 1, "requests"), 3);
        assert_eq!(value(&board, 1, "generation"), 7);
        board.clear(1);
        assert_eq!(value(&board, 1, "requests"), 0);
        assert_eq!(value(&board, 1, "generation"), 0);
        assert_eq!(board.latency(1).unwrap(), [0; LATENCY_BUCKETS]);
        assert!(board.slot(2).is_none() && board.read(2).is_none());
        assert!(board.requests(2).is_none() && board.latency(2).is_none());
    }

    #[test]
    fn times_fall_into_the_bucket_of_their_power_of_two() {
        let buckets = [0, 1, 2, 3, 4, 1023, 1024, u64::MAX].map(bucket_of);
        assert_eq!(buckets, [0, 1, 2, 2, 3, 10, 11, LATENCY_BUCKETS - 1]);
    }

    #[test]
    fn a_bell_is_rung_once_until_it_is_heard() {
        let board = Scoreboard::new(2).unwrap();
        let heard = || {
            let mut count = [0; 8];
            match rustix::io::read(board.bell(1).unwrap(), &mut count) {
                Ok(_) => u64::from_ne_bytes(count),
                Err(_) => 0,
            }
        };
        board.ring(1);
        board.ring(1);
        assert_eq!(heard(), 1);
        Slot::set(&board.slot(1).unwrap().rung, 0);
        board.ring(1);
        assert_eq!(heard(), 1);
        assert_eq!(heard(), 0);
    }

    #[test]
    fn one_alone_has_no_bell_and_many_share_theirs() {
        assert!(Scoreboard::new(1).unwrap().bell(0).is_none());
        let board = Scoreboard::new(BELLS + 2).unwrap();
        assert_eq!(board.mapping.bells.len(), BELLS);
        assert!(board.bell(BELLS + 1).is_some());
    }
}
