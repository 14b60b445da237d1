//! The scoreboard, as the parent sees it.

use bicorn_engine::{LATENCY_BUCKETS, Peer, RequestInFlight};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::core::request_id_in;

/// An anonymous shared mapping with one slot for each worker; make it before the first fork.
#[pyclass(frozen, module = "bicorn._native")]
pub struct Scoreboard {
    pub(crate) board: bicorn_engine::Scoreboard,
}

/// Identity, method, path, peer, age in milliseconds.
type Listed = (String, String, String, String, u64);

#[pymethods]
impl Scoreboard {
    #[new]
    fn new(slots: usize) -> PyResult<Self> {
        Ok(Self {
            board: bicorn_engine::Scoreboard::new(slots)?,
        })
    }

    fn __len__(&self) -> usize {
        self.board.count()
    }

    fn clear(&self, slot: usize) -> PyResult<()> {
        self.check(slot)?;
        self.board.clear(slot);
        Ok(())
    }

    fn set_generation(&self, slot: usize, generation: u64) -> PyResult<()> {
        self.check(slot)?;
        self.board.set_generation(slot, generation);
        Ok(())
    }

    fn read<'py>(&self, py: Python<'py>, slot: usize) -> PyResult<Bound<'py, PyDict>> {
        let counters = self.board.read(slot).ok_or_else(no_such_slot)?;
        let dict = PyDict::new(py);
        for (name, value) in counters.values {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    fn latency(&self, slot: usize) -> PyResult<[u64; LATENCY_BUCKETS]> {
        self.board.latency(slot).ok_or_else(no_such_slot)
    }

    fn requests(&self, slot: usize) -> PyResult<Vec<Listed>> {
        let process = self.board.process(slot);
        let requests = self.board.requests(slot).ok_or_else(no_such_slot)?;
        Ok(requests
            .iter()
            .map(|request| list(process, request))
            .collect())
    }
}

impl Scoreboard {
    fn check(&self, slot: usize) -> PyResult<()> {
        if slot < self.board.count() {
            Ok(())
        } else {
            Err(no_such_slot())
        }
    }
}

fn list(process: u32, request: &RequestInFlight) -> Listed {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let peer = match request.peer {
        Peer::Internet(address) => address.to_string(),
        Peer::Unix => "unix".to_owned(),
    };
    (
        request_id_in(process, request.id),
        text(&request.method),
        text(&request.path),
        peer,
        request.age,
    )
}

fn no_such_slot() -> PyErr {
    PyIndexError::new_err("no such slot")
}
