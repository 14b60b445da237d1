//! What a worker shows to its parent.
//!
//! Owns an anonymous shared mapping with one slot for each worker. A slot is written with plain
//! atomic stores and adds, and can be read while its worker is blocked, holds the GIL or is dead.

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// One worker's counters. A slot fills two cache lines of its own, so that workers do not disturb
/// each other.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub struct Slot {
    /// The worker's process.
    pub pid: AtomicU64,
    /// Milliseconds of the monotonic clock at the last turn of the serving loop.
    pub heartbeat: AtomicU64,
    /// Connections that are open.
    pub connections: AtomicU64,
    /// Requests that are being answered.
    pub exchanges: AtomicU64,
    /// Connections accepted so far.
    pub accepted: AtomicU64,
    /// Requests answered so far.
    pub requests: AtomicU64,
    /// Requests refused, failed or broken off so far.
    pub errors: AtomicU64,
    /// Bytes received so far.
    pub bytes_in: AtomicU64,
    /// Bytes sent so far.
    pub bytes_out: AtomicU64,
}

/// A slot's values at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Name and value of each counter, in the order of [`Slot`].
    pub values: [(&'static str, u64); 9],
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

    const fn fields(&self) -> [(&'static str, &AtomicU64); 9] {
        [
            ("pid", &self.pid),
            ("heartbeat_ms", &self.heartbeat),
            ("connections", &self.connections),
            ("exchanges", &self.exchanges),
            ("accepted", &self.accepted),
            ("requests", &self.requests),
            ("errors", &self.errors),
            ("bytes_in", &self.bytes_in),
            ("bytes_out", &self.bytes_out),
        ]
    }
}

/// The mapping. Made before the first fork, and shared by all that come of it.
#[derive(Debug, Clone)]
pub struct Scoreboard {
    mapping: Arc<Mapping>,
}

#[derive(Debug)]
struct Mapping {
    slots: NonNull<Slot>,
    count: usize,
}

// SAFETY: the mapping holds nothing but atomics, and lives until the last owner drops it.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Scoreboard {
    /// A board with `count` empty slots.
    ///
    /// # Errors
    /// When the kernel has no memory for the mapping.
    pub fn new(count: usize) -> io::Result<Self> {
        let length = count.max(1) * size_of::<Slot>();
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory in use.
        let start = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
            )
        }?;
        let slots = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            mapping: Arc::new(Mapping {
                slots,
                count: count.max(1),
            }),
        })
    }

    /// How many slots there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.mapping.count
    }

    /// A slot.
    #[must_use]
    pub fn slot(&self, index: usize) -> Option<&Slot> {
        if index >= self.mapping.count {
            return None;
        }
        // SAFETY: the index is inside the mapping, which is page-aligned, was zeroed by the kernel,
        // for which all-zero bytes are a valid `Slot`, and lives as long as `self`.
        Some(unsafe { self.mapping.slots.add(index).as_ref() })
    }

    /// Sets a slot's counters to zero, for the next worker.
    pub fn clear(&self, index: usize) {
        for (_, counter) in self.slot(index).iter().flat_map(|slot| slot.fields()) {
            Slot::set(counter, 0);
        }
    }

    /// A slot's values now.
    #[must_use]
    pub fn read(&self, index: usize) -> Option<Counters> {
        let values = |slot: &Slot| {
            slot.fields()
                .map(|(name, n)| (name, n.load(Ordering::Relaxed)))
        };
        self.slot(index).map(|slot| Counters {
            values: values(slot),
        })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `Scoreboard::new` with this length, and nobody holds it any more.
        let _unmapped =
            unsafe { munmap(self.slots.as_ptr().cast(), self.count * size_of::<Slot>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_apart_and_can_be_cleared() {
        let board = Scoreboard::new(2).unwrap();
        Slot::add(&board.slot(1).unwrap().requests, 3);
        assert_eq!(board.read(0).unwrap().values[5], ("requests", 0));
        assert_eq!(board.read(1).unwrap().values[5], ("requests", 3));
        board.clear(1);
        assert_eq!(board.read(1).unwrap().values[5], ("requests", 0));
        assert!(board.slot(2).is_none() && board.read(2).is_none());
    }
}
