//! The only crate that names PyO3: it converts between the engine and Python.
//!
//! Owns the Python objects of a request (scope, environ, awaitables) and the calls of the
//! application. It decides nothing about HTTP: what may be said and how it is framed is asked of the
//! engine and of `bicorn_proto`.

mod asgi;
mod config;
mod core;
mod engine;
mod errors;
mod objects;
mod scoreboard;
mod wsgi;

use pyo3::pymodule;

/// The native half of Bicorn: what touches bytes from strangers.
#[pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::asgi::AsgiGateway;
    #[pymodule_export]
    use crate::engine::Engine;
    #[pymodule_export]
    use crate::scoreboard::Scoreboard;
    #[pymodule_export]
    use crate::wsgi::WsgiGateway;

    /// Has this process killed when its parent ends, and ends it now if the parent is not `parent`
    /// any more. Does nothing where the system has no such thing.
    #[pyfunction]
    fn die_with_parent(parent: i32) {
        bicorn_engine::die_with_parent(parent);
    }

    /// Makes this process the parent of its descendants whose own parent ends. Returns whether the
    /// system does that.
    #[pyfunction]
    fn become_subreaper() -> bool {
        bicorn_engine::become_subreaper()
    }

    /// Lets processes of the same user look at this one and its children, which the kernel forbids when
    /// a process gives root up.
    #[pyfunction]
    fn stay_inspectable() {
        bicorn_engine::stay_inspectable();
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
