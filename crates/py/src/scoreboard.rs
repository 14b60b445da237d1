//! The scoreboard, as the parent sees it.

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// An anonymous shared mapping with one slot for each worker; make it before the first fork.
#[pyclass(frozen, module = "bicorn._native")]
pub struct Scoreboard {
    pub(crate) board: bicorn_engine::Scoreboard,
}

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

    fn clear(&self, slot: usize) {
        self.board.clear(slot);
    }

    fn read<'py>(&self, py: Python<'py>, slot: usize) -> PyResult<Bound<'py, PyDict>> {
        let counters = self.board.read(slot);
        let counters = counters.ok_or_else(|| PyIndexError::new_err("no such slot"))?;
        let dict = PyDict::new(py);
        for (name, value) in counters.values {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }
}
