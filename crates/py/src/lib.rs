//! Python bindings.
use pyo3::prelude::*;

/// The native half of Bicorn.
#[pymodule(gil_used = false)]
mod _native {}
