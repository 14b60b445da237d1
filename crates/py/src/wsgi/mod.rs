//! The WSGI gateway (PEP 3333): the application is called in the thread that polls.
//!
//! Owns the call, the iteration over what it returns, and that `close()` is called exactly once.
//! The environ is made in `environ`, the head of the response kept in `response`.

mod environ;
mod input;
mod response;
mod watch;

use std::sync::{Arc, OnceLock};

use bicorn_engine::{ExchangeId, InboundRequest};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::core::{Core, request_id};
use crate::errors::{ClientDisconnected, contract};
use crate::objects;
use environ::EnvironMaker;
use response::{START_RESPONSE, WsgiExchange};
use watch::Watcher;

/// Calls a WSGI application.
#[pyclass(frozen, module = "bicorn._native")]
pub struct WsgiGateway {
    app: Py<PyAny>,
    multiprocess: bool,
    report: Py<PyAny>,
    joined: OnceLock<Joined>,
}

/// What the gateway has once it is joined to an engine.
struct Joined {
    core: Arc<Core>,
    environs: EnvironMaker,
    watcher: Arc<Watcher>,
    file_wrapper: Py<PyAny>,
}

#[pymethods]
impl WsgiGateway {
    #[new]
    #[pyo3(signature = (app, *, multiprocess, report))]
    fn new(app: Py<PyAny>, multiprocess: bool, report: Py<PyAny>) -> Self {
        Self {
            app,
            multiprocess,
            report,
            joined: OnceLock::new(),
        }
    }
}

impl WsgiGateway {
    /// Joins the gateway to its engine.
    pub fn attach(&self, py: Python<'_>, core: &Arc<Core>, root_path: &str) -> PyResult<()> {
        let file_wrapper = py.import("wsgiref.util")?.getattr("FileWrapper")?;
        let environs = EnvironMaker::new(py, root_path, self.multiprocess, &file_wrapper)?;
        let joined = Joined {
            core: Arc::clone(core),
            environs,
            watcher: Watcher::start(core)?,
            file_wrapper: file_wrapper.unbind(),
        };
        let is_free = self.joined.set(joined).is_ok();
        if is_free {
            Ok(())
        } else {
            Err(contract("the gateway has an engine already"))
        }
    }

    /// Calls the application for a request, and sends what it answers.
    pub fn answer(&self, py: Python<'_>, id: ExchangeId, request: &InboundRequest) {
        let Some(joined) = self.joined.get() else {
            return;
        };
        let line = || request_line(request);
        let environ = match joined.environs.make(py, &joined.core, id, request) {
            Ok(environ) => environ,
            Err(error) => return self.end(py, id, &joined.core, Err(error), &line()),
        };
        let outcome = joined.call(py, self.app.bind(py), id, &environ);
        if outcome.is_err() {
            self.end(py, id, &joined.core, outcome, &line());
        }
    }

    fn end(&self, py: Python<'_>, id: ExchangeId, core: &Core, outcome: PyResult<()>, line: &str) {
        let Err(error) = outcome else { return };
        core.lock().fail(id);
        // The peer's leaving is no fault of an application that lets the exception pass.
        if error.is_instance_of::<ClientDisconnected>(py) {
            return;
        }
        let told = self
            .report
            .bind(py)
            .call1((error.into_value(py), line, request_id(id)));
        if let Err(failure) = told {
            failure.write_unraisable(py, None);
        }
    }
}

impl Joined {
    fn call<'py>(
        &self,
        py: Python<'py>,
        app: &Bound<'py, PyAny>,
        id: ExchangeId,
        environ: &Bound<'py, PyDict>,
    ) -> PyResult<()> {
        let exchange = WsgiExchange::new(py, &self.core, &self.watcher, id)?;
        let start_response = objects::bind(&START_RESPONSE, exchange.as_any())?;
        self.watcher.note_call();
        let result = objects::call(app, &[environ.as_any(), &start_response])?;
        let sent = self.send(exchange.get(), &result);
        // PEP 3333: called in every case, once, and after all else.
        let closed = close(&result);
        sent?;
        closed
    }

    fn send(&self, exchange: &WsgiExchange, result: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = result.py();
        if let Some(blocks) = known_blocks(result) {
            return exchange.send_all(py, &blocks);
        }
        if result.get_type().as_ptr() == self.file_wrapper.as_ptr() && exchange.send_file(result)? {
            return Ok(());
        }
        // SAFETY: a live object; gives a new reference or null with an exception set.
        let iterator =
            unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyObject_GetIter(result.as_ptr())) };
        let iterator = iterator.map_err(|cause| {
            let error = contract(format!(
                "the application returned {}, which cannot be iterated",
                result.get_type()
            ));
            error.set_cause(py, Some(cause));
            error
        })?;
        while let Some(block) = next(&iterator)? {
            exchange.write_block(&block)?;
        }
        exchange.finish(py)
    }
}

/// The blocks of a list or tuple, whose length is known before any is sent.
fn known_blocks<'py>(result: &Bound<'py, PyAny>) -> Option<Vec<Bound<'py, PyBytes>>> {
    let blocks = |items: &mut dyn Iterator<Item = Bound<'py, PyAny>>| {
        items
            .map(|item| item.cast_into::<PyBytes>().ok())
            .collect::<Option<Vec<_>>>()
    };
    if let Ok(list) = result.cast_exact::<PyList>() {
        return blocks(&mut list.iter());
    }
    result
        .cast_exact::<PyTuple>()
        .ok()
        .and_then(|tuple| blocks(&mut tuple.iter()))
}

fn next<'py>(iterator: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    // SAFETY: `PyObject_GetIter` made sure that it is an iterator; null without an exception is the end.
    unsafe {
        let item = ffi::PyIter_Next(iterator.as_ptr());
        match Bound::from_owned_ptr_or_opt(iterator.py(), item) {
            Some(item) => Ok(Some(item)),
            None => PyErr::take(iterator.py()).map_or(Ok(None), Err),
        }
    }
}

fn close(result: &Bound<'_, PyAny>) -> PyResult<()> {
    if result.cast_exact::<PyList>().is_ok() || result.cast_exact::<PyTuple>().is_ok() {
        return Ok(());
    }
    match result.getattr_opt(intern!(result.py(), "close"))? {
        Some(close) => close.call0().map(drop),
        None => Ok(()),
    }
}

fn request_line(request: &InboundRequest) -> String {
    let head = &request.head;
    let version = match head.version {
        bicorn_proto::http1::Version::Http10 => "1.0",
        bicorn_proto::http1::Version::Http11 => "1.1",
    };
    let method = String::from_utf8_lossy(request.bytes(head.method));
    let target = String::from_utf8_lossy(request.bytes(head.target));
    format!("{method} {target} HTTP/{version}")
}
