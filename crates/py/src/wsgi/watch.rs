//! PEP 3333's promise that a block is on its way before the application goes on.
//!
//! Owns a thread that sends what was gathered when the application computes or sleeps instead of coming
//! back: yielded blocks after about a millisecond, whole answers a little later, since those leave at the
//! end of the turn as a rule. It needs the engine's lock and not the interpreter's, and parks when
//! nothing is gathered.

use std::io;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::Thread;
use std::time::Duration;

use crate::core::Core;

/// Looks without anything to send after which the thread parks.
const QUIET_LOOKS: u32 = 3;

/// What is looked after, and so how often the thread looks.
#[derive(Clone, Copy)]
pub enum Pace {
    /// Whole answers, each of whose applications has returned. A timer's interrupt costs a virtual machine
    /// up to 90 us (docs/decisions/0004), so this is no shorter than it has to be.
    Answers = 1,
    /// Blocks of a response whose application goes on.
    Blocks = 2,
}

const PARKED: u8 = 0;
const ANSWERS: u8 = Pace::Answers as u8;
const BLOCKS: u8 = Pace::Blocks as u8;
const OVER: u8 = 3;

/// A handle to the thread.
pub struct Watcher {
    thread: Thread,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// A [`Pace`], `PARKED` or `OVER`.
    pace: AtomicU8,
    /// How often the application was called.
    calls: AtomicU64,
}

impl Watcher {
    /// Starts the thread; it ends with the engine.
    pub fn start(core: &Arc<Core>) -> io::Result<Arc<Self>> {
        let shared = Arc::new(Shared::default());
        let (core, theirs) = (Arc::downgrade(core), Arc::clone(&shared));
        let handle = std::thread::Builder::new()
            .name("bicorn-flush".to_owned())
            .stack_size(128 * 1024)
            .spawn(move || watch(&core, &theirs))?;
        Ok(Arc::new(Self {
            thread: handle.thread().clone(),
            shared,
        }))
    }

    /// Says that the application is called, so that the call before has come back.
    pub fn note_call(&self) {
        self.shared.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Says that something was gathered.
    pub fn arm(&self, pace: Pace) {
        let current = &self.shared.pace;
        if current.load(Ordering::Relaxed) < pace as u8
            && current.fetch_max(pace as u8, Ordering::AcqRel) < pace as u8
        {
            self.thread.unpark();
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.pace.store(OVER, Ordering::Release);
        self.thread.unpark();
    }
}

fn watch(core: &Weak<Core>, shared: &Shared) {
    let (mut quiet, mut calls) = (0, 0);
    loop {
        let pace = shared.pace.load(Ordering::Acquire);
        match pace {
            PARKED => std::thread::park(),
            ANSWERS => std::thread::park_timeout(Duration::from_millis(5)),
            BLOCKS => std::thread::park_timeout(Duration::from_millis(1)),
            _ => return,
        }
        // Lowered before the look, so that whoever gathers after it raises it again.
        let next = match pace {
            BLOCKS => ANSWERS,
            ANSWERS if quiet >= QUIET_LOOKS => PARKED,
            other => other,
        };
        let lowered = shared
            .pace
            .compare_exchange(pace, next, Ordering::AcqRel, Ordering::Relaxed);
        if pace == PARKED || lowered.is_err() {
            // It was raised, and a shorter interval begins.
            continue;
        }
        let Some(core) = core.upgrade() else { return };
        let former = std::mem::replace(&mut calls, shared.calls.load(Ordering::Relaxed));
        // Calls that come back soon end their turn soon, which sends whole answers for less.
        let is_stuck = former == calls || pace == BLOCKS || next == PARKED;
        quiet = match is_stuck {
            true if !core.lock().flush_waiting() => quiet + 1,
            _ => 0,
        };
    }
}
