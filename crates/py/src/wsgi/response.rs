//! A WSGI response: `start_response`, `write`, and the blocks of the body.
//!
//! Owns the order that PEP 3333 prescribes, and when the head leaves: with the first block that is
//! not empty, or with the end.

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bicorn_engine::{ExchangeId, Part, Sent};
use bicorn_proto::http1::ResponseHead;
use pyo3::exceptions::{PyAssertionError, PyTypeError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use super::watch::{Pace, Watcher};
use crate::core::{Core, PyBody};
use crate::errors::{contract, from_reply};
use crate::objects::{self, Definition};

/// How far a response has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// `start_response` was not called.
    Nothing,
    /// It was, and the head can still be replaced.
    Started,
    /// The head has left.
    Sent { missing: Option<u64> },
    /// All has.
    Done,
}

struct State {
    stage: Stage,
    head: ResponseHead,
}

/// A response in the making.
#[pyclass(frozen, module = "bicorn._native")]
pub struct WsgiExchange {
    core: Arc<Core>,
    watcher: Arc<Watcher>,
    id: ExchangeId,
    state: Mutex<State>,
}

/// The bound function that an application knows as `start_response`.
pub static START_RESPONSE: Definition = Definition(ffi::PyMethodDef {
    ml_name: c"start_response".as_ptr(),
    ml_meth: ffi::PyMethodDefPointer {
        PyCFunctionFastWithKeywords: start_response,
    },
    ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
    ml_doc: std::ptr::null(),
});
/// The bound function that `start_response` returns.
static WRITE: Definition = Definition(ffi::PyMethodDef {
    ml_name: c"write".as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunction: write },
    ml_flags: ffi::METH_O,
    ml_doc: std::ptr::null(),
});

impl WsgiExchange {
    pub fn new<'py>(
        py: Python<'py>,
        core: &Arc<Core>,
        watcher: &Arc<Watcher>,
        id: ExchangeId,
    ) -> PyResult<Bound<'py, Self>> {
        let state = State {
            stage: Stage::Nothing,
            head: ResponseHead::default(),
        };
        let (core, watcher) = (Arc::clone(core), Arc::clone(watcher));
        Bound::new(
            py,
            Self {
                core,
                watcher,
                id,
                state: Mutex::new(state),
            },
        )
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a block of the body.
    pub fn write_block(&self, block: &Bound<'_, PyAny>) -> PyResult<()> {
        let block = block.cast::<PyBytes>().map_err(|_| {
            contract(format!(
                "the application gave a block of {}, not bytes",
                block.get_type()
            ))
        })?;
        let is_early = self.state().stage == Stage::Nothing;
        if is_early {
            return Err(contract("a block came before start_response() was called"));
        }
        if block.as_bytes().is_empty() {
            return Ok(());
        }
        self.send_part(block, false).map(drop)
    }

    /// Sends a body of which all blocks are at hand.
    pub fn send_all(&self, py: Python<'_>, blocks: &[Bound<'_, PyBytes>]) -> PyResult<()> {
        if let [only] = blocks {
            return self.send_part(only, true).map(drop);
        }
        let all: Vec<&[u8]> = blocks.iter().map(|block| block.as_bytes()).collect();
        self.send_part(&PyBytes::new(py, &all.concat()), true)
            .map(drop)
    }

    /// Ends the body.
    pub fn finish(&self, py: Python<'_>) -> PyResult<()> {
        let is_done = self.state().stage == Stage::Done;
        if is_done {
            return Ok(());
        }
        self.send_part(&PyBytes::new(py, b""), true).map(drop)
    }

    /// Sends a block. With the last byte of an announced length the response is complete, whatever
    /// the iteration still does: the peer need not wait for it.
    fn send_part(&self, block: &Bound<'_, PyBytes>, end: bool) -> PyResult<Sent> {
        let mut state = self.state();
        let length = block.as_bytes().len() as u64;
        let (is_first, missing) = match state.stage {
            Stage::Nothing => return Err(contract("start_response() was not called")),
            Stage::Done => return Err(contract("the body is longer than its Content-Length")),
            Stage::Started => (true, state.head.content_length()),
            Stage::Sent { missing } => (false, missing),
        };
        let end = end || missing == Some(length);
        let part = Part {
            head: is_first.then_some(&state.head),
            body: PyBody(block),
            end,
        };
        let sent = self.core.lock().send(self.id, &part).map_err(from_reply)?;
        let missing = missing.map(|missing| missing.saturating_sub(length));
        state.stage = if end {
            Stage::Done
        } else {
            Stage::Sent { missing }
        };
        drop(state);
        match sent {
            Sent::Gathered if end => self.watcher.arm(Pace::Answers),
            Sent::Gathered => self.watcher.arm(Pace::Blocks),
            Sent::Full => self.await_room(block.py())?,
            Sent::Done => {}
        }
        Ok(sent)
    }

    /// Waits until the peer has taken what is on the disk for it, up to the engine's own deadline.
    fn await_room(&self, py: Python<'_>) -> PyResult<()> {
        while !self.core.lock().send_spilled(self.id).map_err(from_reply)? {
            let waiting = self.core.lock().wait_handle(self.id);
            if let Some((descriptor, deadline)) = waiting {
                // SAFETY: the exchange holds the connection open while its application is called, in this thread.
                let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
                py.detach(|| bicorn_engine::await_writable(descriptor, deadline))?;
            }
            py.check_signals()?;
        }
        Ok(())
    }

    /// Has the kernel send what a file wrapper wraps, if that is a real file and nothing was sent.
    pub fn send_file(&self, wrapper: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Some((descriptor, offset, length)) = file_range(wrapper) else {
            return Ok(false);
        };
        // SAFETY: the file object holds the descriptor open; it is duplicated before anything else runs.
        let file = unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()?;
        let mut state = self.state();
        if state.stage != Stage::Started {
            return Ok(false);
        }
        let length = state
            .head
            .content_length()
            .map_or(length, |announced| announced.min(length));
        let sent = self
            .core
            .lock()
            .send_file(self.id, Some(&state.head), file, (offset, length));
        sent.map_err(from_reply)?;
        state.stage = Stage::Done;
        Ok(true)
    }

    /// PEP 3333: a second call needs `exc_info`, and one after the head has left raises it again.
    fn start(
        &self,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let stage = self.state().stage;
        match (stage, exc_info) {
            (Stage::Nothing, _) | (Stage::Started, Some(_)) => {}
            (_, Some(exc_info)) => return Err(raised_again(exc_info)),
            (_, None) => {
                let message = "start_response() was called already, and exc_info is not given";
                return Err(PyAssertionError::new_err(message));
            }
        }
        let (code, reason) = parse_status(status)?;
        let headers = headers.cast::<PyList>().map_err(|_| {
            contract(format!(
                "start_response() takes a list of headers, not {}",
                headers.get_type()
            ))
        })?;
        let mut head = ResponseHead::default();
        head.begin(code, Some(&reason))
            .map_err(|error| contract(error.to_string()))?;
        for header in headers.iter() {
            add_header(&mut head, &header)?;
        }
        let mut state = self.state();
        state.head = head;
        state.stage = Stage::Started;
        Ok(())
    }
}

/// A status such as `200 OK`: three digits, and a reason phrase that may be missing.
fn parse_status(status: &Bound<'_, PyAny>) -> PyResult<(u16, Vec<u8>)> {
    let wrong = || contract(format!("{status} is no status such as '200 OK'"));
    let text = status.cast::<PyString>().map_err(|_| wrong())?;
    let text = native(text).ok_or_else(wrong)?;
    let (code, reason) = text.split_at_checked(3).ok_or_else(wrong)?;
    let code = std::str::from_utf8(code)
        .ok()
        .and_then(|code| code.parse().ok())
        .ok_or_else(wrong)?;
    match reason {
        [] => Ok((code, Vec::new())),
        [b' ', reason @ ..] => Ok((code, reason.to_vec())),
        _ => Err(wrong()),
    }
}

fn add_header(head: &mut ResponseHead, header: &Bound<'_, PyAny>) -> PyResult<()> {
    let wrong = || contract(format!("{header} is not a pair of str for a header"));
    let tuple = header.cast::<PyTuple>().map_err(|_| wrong())?;
    if tuple.len() != 2 {
        return Err(wrong());
    }
    let (name, value) = (tuple.get_borrowed_item(0)?, tuple.get_borrowed_item(1)?);
    let name = name.cast::<PyString>().map_err(|_| wrong())?;
    let value = value.cast::<PyString>().map_err(|_| wrong())?;
    let (name, value) = (
        native(&name).ok_or_else(wrong)?,
        native(&value).ok_or_else(wrong)?,
    );
    head.field(&name, &value)
        .map_err(|error| contract(format!("{error}: {:?}", String::from_utf8_lossy(&name))))
}

/// The bytes of a native string (PEP 3333): one for each character, none beyond U+00FF.
fn native<'a>(text: &'a Bound<'_, PyString>) -> Option<std::borrow::Cow<'a, [u8]>> {
    let utf8 = text.to_str().ok()?;
    if utf8.is_ascii() {
        return Some(utf8.as_bytes().into());
    }
    utf8.chars()
        .map(|character| u8::try_from(u32::from(character)).ok())
        .collect::<Option<Vec<_>>>()
        .map(Into::into)
}

fn raised_again(exc_info: &Bound<'_, PyAny>) -> PyErr {
    match exc_info.get_item(1) {
        Ok(value) if !value.is_none() => PyErr::from_value(value),
        _ => PyTypeError::new_err("exc_info is not the triple that sys.exc_info() gives"),
    }
}

/// The descriptor, position and remaining length of the regular file that a wrapper wraps.
fn file_range(wrapper: &Bound<'_, PyAny>) -> Option<(RawFd, u64, u64)> {
    let py = wrapper.py();
    let file = wrapper.getattr(intern!(py, "filelike")).ok()?;
    let descriptor: RawFd = file
        .call_method0(intern!(py, "fileno"))
        .ok()?
        .extract()
        .ok()?;
    let offset: u64 = file
        .call_method0(intern!(py, "tell"))
        .ok()?
        .extract()
        .ok()?;
    let length = bicorn_engine::regular_file_length(descriptor)?;
    Some((descriptor, offset, length.saturating_sub(offset)))
}

unsafe extern "C" fn start_response(
    object: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: called with the interpreter attached, `count` live positional arguments, behind them those
    // of the keywords, and a tuple of their names or null. The object is ours: `bind`.
    let (py, exchange, values, names) = unsafe {
        let py = Python::assume_attached();
        let names = Bound::from_borrowed_ptr_or_opt(py, keywords)
            .map(|names| names.cast_into_unchecked::<PyTuple>());
        let total = count.unsigned_abs() + names.as_ref().map_or(0, |names| names.len());
        let values = std::slice::from_raw_parts(arguments, total);
        let exchange = Bound::from_borrowed_ptr(py, object).cast_into_unchecked::<WsgiExchange>();
        (py, exchange, values, names)
    };
    let started = place(values, count.unsigned_abs(), names.as_ref()).and_then(|places| {
        // SAFETY: the places hold arguments of this call, which are live as long as it lasts.
        let [status, headers, exc_info] =
            places.map(|place| unsafe { Bound::from_borrowed_ptr_or_opt(py, place) });
        let exc_info = exc_info.filter(|exc_info| !exc_info.is_none());
        let (Some(status), Some(headers)) = (status, headers) else {
            let message = "start_response() takes status, headers and perhaps exc_info";
            return Err(PyTypeError::new_err(message));
        };
        exchange.get().start(&status, &headers, exc_info.as_ref())
    });
    let write = started.and_then(|()| objects::bind(&WRITE, exchange.as_any()));
    give(py, write.map(Bound::unbind))
}

/// Sorts arguments into the places of `start_response(status, headers, exc_info=None)`.
fn place(
    values: &[*mut ffi::PyObject],
    positional: usize,
    names: Option<&Bound<'_, PyTuple>>,
) -> PyResult<[*mut ffi::PyObject; 3]> {
    const NAMES: [&str; 3] = ["status", "headers", "exc_info"];
    let mut places = [std::ptr::null_mut(); NAMES.len()];
    if positional > places.len() {
        let message = format!("start_response() takes 2 or 3 arguments, not {positional}");
        return Err(PyTypeError::new_err(message));
    }
    places[..positional].copy_from_slice(&values[..positional]);
    for (name, value) in names.into_iter().flatten().zip(&values[positional..]) {
        let name = name.cast_into::<PyString>()?;
        let at = NAMES.iter().position(|known| name == *known);
        match at.filter(|&at| places[at].is_null()) {
            Some(at) => places[at] = *value,
            None => {
                let message = format!("start_response() got an unexpected argument {name:?}");
                return Err(PyTypeError::new_err(message));
            }
        }
    }
    Ok(places)
}

unsafe extern "C" fn write(
    object: *mut ffi::PyObject,
    block: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: called with the interpreter attached and live objects, the first one ours: `bind`.
    let (py, exchange, block) = unsafe {
        let py = Python::assume_attached();
        let exchange = Bound::from_borrowed_ptr(py, object).cast_into_unchecked::<WsgiExchange>();
        (py, exchange, Bound::from_borrowed_ptr(py, block))
    };
    give(py, exchange.get().write_block(&block).map(|()| py.None()))
}

fn give(py: Python<'_>, result: PyResult<Py<PyAny>>) -> *mut ffi::PyObject {
    match result {
        Ok(object) => object.into_ptr(),
        Err(error) => {
            error.restore(py);
            std::ptr::null_mut()
        }
    }
}
