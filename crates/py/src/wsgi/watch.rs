//! PEP 3333's promise that a yielded block is on its way before the application goes on.
//!
//! Owns a thread that sends gathered blocks which have waited for about a millisecond, while the
//! application computes or sleeps before its next one. It needs the engine's lock and not the
//! interpreter's, and parks when nothing is streaming.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::Thread;
use std::time::Duration;

use crate::core::Core;

const TICK: Duration = Duration::from_millis(1);
/// Ticks without gathered blocks after which the thread parks.
const QUIET_TICKS: u32 = 3;

/// A handle to the thread.
pub struct Watcher {
    thread: Thread,
    is_awake: Arc<AtomicBool>,
}

impl Watcher {
    /// Starts the thread; it ends with the engine.
    pub fn start(core: &Arc<Core>) -> io::Result<Arc<Self>> {
        let is_awake = Arc::new(AtomicBool::new(false));
        let (core, flag) = (Arc::downgrade(core), Arc::clone(&is_awake));
        let handle = std::thread::Builder::new()
            .name("bicorn-flush".to_owned())
            .stack_size(128 * 1024)
            .spawn(move || watch(&core, &flag))?;
        Ok(Arc::new(Self {
            thread: handle.thread().clone(),
            is_awake,
        }))
    }

    /// Says that a block was gathered.
    pub fn arm(&self) {
        if !self.is_awake.load(Ordering::Relaxed) && !self.is_awake.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.is_awake.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

fn watch(core: &Weak<Core>, is_awake: &AtomicBool) {
    let mut quiet = 0;
    loop {
        std::thread::sleep(TICK);
        let Some(core) = core.upgrade() else { return };
        if core.lock().flush_waiting() {
            quiet = 0;
            continue;
        }
        quiet += 1;
        if quiet >= QUIET_TICKS {
            is_awake.store(false, Ordering::Release);
            // Whoever gathered a block after the last look, and found this thread awake, is seen now.
            if core.lock().flush_waiting() {
                is_awake.store(true, Ordering::Release);
                quiet = 0;
                continue;
            }
            drop(core);
            while !is_awake.load(Ordering::Acquire) {
                std::thread::park();
            }
            quiet = 0;
        }
    }
}
