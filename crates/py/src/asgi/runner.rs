//! The coroutine of a request's task: the application's own, with an end.
//!
//! Owns that every request has exactly one end, whatever its application does: it returns, raises
//! (also SystemExit, which must not end the worker), is cancelled, or is thrown away. It wraps the
//! application's coroutine without a Python frame of its own, and shows that coroutine's attributes,
//! which debuggers and anyio look at.

use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::Arc;

use pyo3::exceptions::asyncio::CancelledError;
use pyo3::exceptions::{PyGeneratorExit, PyRuntimeError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::Shared;
use super::ctype::{self, Step};
use super::exchange::AsgiExchange;

/// The object's layout.
#[repr(C)]
struct Runner {
    base: ffi::PyObject,
    work: Option<Work>,
    /// The application's coroutine, shown also after its end.
    inner: Option<Py<PyAny>>,
}

/// What is under way.
struct Work {
    inner: Py<PyAny>,
    exchange: Py<AsgiExchange>,
    scope: Py<PyDict>,
    shared: Arc<Shared>,
    key: u64,
}

/// Makes the type.
pub fn make_type(py: Python<'_>) -> PyResult<Py<PyType>> {
    let protocol = ctype::Protocol {
        dealloc,
        am_send,
        iternext,
        send,
        throw,
        close,
    };
    ctype::build(
        py,
        c"bicorn._native.RequestCoroutine",
        size_of::<Runner>(),
        &protocol,
        SHOWN.map(shown).into(),
    )
}

/// The coroutine of a new task.
///
/// # Errors
/// When the application returned nothing that can be awaited.
pub fn make<'py>(
    py: Python<'py>,
    shared: &Arc<Shared>,
    awaitable: &Bound<'py, PyAny>,
    exchange: &Bound<'py, AsgiExchange>,
    scope: &Bound<'py, PyDict>,
    key: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let inner = iterator_of(awaitable)?.unbind();
    let object = ctype::allocate(py, &shared.runner_type)?;
    let work = Work {
        inner: inner.clone_ref(py),
        exchange: exchange.clone().unbind(),
        scope: scope.clone().unbind(),
        shared: Arc::clone(shared),
        key,
    };
    // SAFETY: a new object of our type, whose fields nobody has seen or written yet.
    unsafe {
        let runner = object.as_ptr().cast::<Runner>();
        ptr::write(&raw mut (*runner).work, Some(work));
        ptr::write(&raw mut (*runner).inner, Some(inner));
    }
    Ok(object.into_bound(py))
}

/// Whether the request has ended.
pub fn is_finished(runner: &Bound<'_, PyAny>) -> bool {
    // SAFETY: only called with objects that `make` gave.
    unsafe { work_of(runner.as_ptr()) }.is_none()
}

fn iterator_of<'py>(awaitable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: looks at a live object's type.
    if unsafe { ffi::PyCoro_CheckExact(awaitable.as_ptr()) } == 1 {
        return Ok(awaitable.clone());
    }
    awaitable
        .call_method0(intern!(awaitable.py(), "__await__"))
        .map_err(|cause| {
            let (py, kind) = (awaitable.py(), awaitable.get_type());
            let error = crate::errors::contract(format!(
                "the application returned {kind}, which cannot be awaited"
            ));
            error.set_cause(py, Some(cause));
            error
        })
}

/// # Safety
/// `object` must be a live `Runner`, and no other reference to its work may be in use.
unsafe fn work_of<'a>(object: *mut ffi::PyObject) -> &'a mut Option<Work> {
    // SAFETY: the caller's promise.
    unsafe { &mut (*object.cast::<Runner>()).work }
}

/// Goes on with the application, and ends the request when the application ends.
fn go_on(
    py: Python<'_>,
    object: *mut ffi::PyObject,
    step: impl FnOnce(&Bound<'_, PyAny>) -> Step,
) -> Step {
    // SAFETY: called with a live object of the type; the work is taken out, so that no reference to
    // it is held while the application runs.
    let Some(work) = unsafe { work_of(object) }.take() else {
        return Step::Raise(PyRuntimeError::new_err(
            "cannot reuse already awaited coroutine",
        ));
    };
    match step(work.inner.bind(py)) {
        Step::Yield(value) => {
            // SAFETY: as above.
            *unsafe { work_of(object) } = Some(work);
            Step::Yield(value)
        }
        Step::Return(_) => work.finish(py, None),
        Step::Raise(error) => work.finish(py, Some(error)),
    }
}

impl Work {
    /// Ends the request. Only a cancellation goes on to the task, which has to know of it: anything
    /// else an application raises has been reported, and is no reason for the loop to stop.
    fn finish(self, py: Python<'_>, error: Option<PyErr>) -> Step {
        let task = self.shared.tasks().remove(&self.key);
        let passed_on = error
            .as_ref()
            .filter(|error| error.is_instance_of::<CancelledError>(py));
        let passed_on = passed_on.map(|error| error.clone_ref(py));
        self.exchange.get().end(py, error, self.scope.bind(py));
        drop(task);
        passed_on.map_or_else(|| Step::Return(py.None()), Step::Raise)
    }
}

unsafe extern "C" fn am_send(
    object: *mut ffi::PyObject,
    argument: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult {
    Python::attach(|py| {
        let step = go_on(py, object, |inner| ctype::advance(py, inner, argument));
        ctype::to_send(step, py, result)
    })
}

unsafe extern "C" fn iternext(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: None is a borrowed reference to an immortal object.
    let none = unsafe { ffi::Py_None() };
    Python::attach(|py| {
        let step = go_on(py, object, |inner| ctype::advance(py, inner, none));
        ctype::to_iternext(step, py)
    })
}

unsafe extern "C" fn send(
    object: *mut ffi::PyObject,
    argument: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    Python::attach(|py| {
        let step = go_on(py, object, |inner| ctype::advance(py, inner, argument));
        ctype::to_method(step, py)
    })
}

unsafe extern "C" fn throw(
    object: *mut ffi::PyObject,
    arguments: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    Python::attach(|py| {
        // SAFETY: METH_VARARGS passes a live tuple.
        let arguments =
            unsafe { Bound::from_borrowed_ptr(py, arguments).cast_into_unchecked::<PyTuple>() };
        let step = go_on(py, object, |inner| ctype::throw_into(py, inner, &arguments));
        ctype::to_method(step, py)
    })
}

unsafe extern "C" fn close(
    object: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: called with a live object of the type.
    let work = unsafe { work_of(object) }.take();
    Python::attach(|py| {
        let Some(work) = work else { return };
        let closed = work.inner.bind(py).call_method0(intern!(py, "close"));
        let error = closed.err().unwrap_or_else(|| PyGeneratorExit::new_err(()));
        drop(work.finish(py, Some(error)));
    });
    // SAFETY: gives a new reference to None.
    unsafe { ffi::Py_NewRef(ffi::Py_None()) }
}

unsafe extern "C" fn dealloc(object: *mut ffi::PyObject) {
    // SAFETY: the last reference is gone, so the fields are ours to drop, once.
    unsafe {
        // A task that was thrown away: its request still gets an end.
        ffi::Py_DECREF(close(object, ptr::null_mut()));
        Python::attach(|_| {
            ptr::drop_in_place(&raw mut (*object.cast::<Runner>()).work);
            ptr::drop_in_place(&raw mut (*object.cast::<Runner>()).inner);
        });
        ctype::free(object);
    }
}

/// The attributes of the application's coroutine that the runner shows as its own.
const SHOWN: [&CStr; 7] = [
    c"cr_await",
    c"cr_code",
    c"cr_frame",
    c"cr_running",
    c"cr_suspended",
    c"__name__",
    c"__qualname__",
];

const fn shown(name: &'static CStr) -> ffi::PyGetSetDef {
    ffi::PyGetSetDef {
        name: name.as_ptr(),
        get: Some(show),
        set: None,
        doc: ptr::null(),
        closure: name.as_ptr().cast_mut().cast(),
    }
}

unsafe extern "C" fn show(object: *mut ffi::PyObject, name: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: `name` is the C string that `shown` put into the definition; `inner` is set for the
    // whole life of the object.
    unsafe {
        match &(*object.cast::<Runner>()).inner {
            Some(inner) => ffi::PyObject_GetAttrString(inner.as_ptr(), name.cast()),
            None => ffi::Py_NewRef(ffi::Py_None()),
        }
    }
}
