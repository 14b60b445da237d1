//! The engine as the gateways share it.
//!
//! Owns the lock. It is never held while Python code may run, so it is never waited for long: today
//! the thread that polls and the flush watcher take it, with threads each that answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bicorn_engine::{Engine, ExchangeId, Payload};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// An engine and its lock.
pub struct Core {
    engine: Mutex<Engine>,
    /// Whether a turn is being worked through; its end sends what was gathered.
    in_turn: AtomicBool,
    /// Whether requests have to be given back.
    has_places: bool,
}

impl Core {
    /// Wraps an engine.
    pub const fn new(engine: Engine) -> Self {
        Self {
            has_places: engine.has_places(),
            engine: Mutex::new(engine),
            in_turn: AtomicBool::new(false),
        }
    }

    /// The engine, for a call that runs no Python code.
    pub fn lock(&self) -> MutexGuard<'_, Engine> {
        // A panic in the engine has been reported; its tables are still whole.
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a turn is being worked through.
    pub fn is_in_turn(&self) -> bool {
        self.in_turn.load(Ordering::Relaxed)
    }

    /// Says that a turn begins or ends.
    pub fn set_in_turn(&self, value: bool) {
        self.in_turn.store(value, Ordering::Relaxed);
    }
}

/// A request's place among those that the application has in hand, until it is dropped.
pub struct Place(Arc<Core>);

impl Place {
    /// The place that the engine has given to a request with its event, where it counts them.
    pub fn of_request(core: &Arc<Core>) -> Option<Self> {
        core.has_places.then(|| Self(Arc::clone(core)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().give_back();
    }
}

/// `bytes` of the application as a response body, kept alive by reference where it has to wait.
pub struct PyBody<'a, 'py>(pub &'a Bound<'py, PyBytes>);

impl Payload for PyBody<'_, '_> {
    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn retain(&self) -> Box<dyn AsRef<[u8]> + Send> {
        Box::new(pyo3::pybacked::PyBackedBytes::from(self.0.clone()))
    }
}

/// A request's identity in logs: unlike any other of this process.
pub fn request_id(id: ExchangeId) -> String {
    request_id_in(std::process::id(), id)
}

/// The same, of a request in another process.
pub fn request_id_in(process: u32, id: ExchangeId) -> String {
    let connection = id.connection;
    format!(
        "{process:x}-{:x}.{:x}-{:x}",
        connection.index, connection.generation, id.serial
    )
}
