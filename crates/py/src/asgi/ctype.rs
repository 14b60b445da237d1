//! C-level types with the coroutine protocol.
//!
//! Owns what the two such types have in common: making a type, allocating, and the ways in which
//! CPython asks a coroutine to go on.
//!
//! CPython calls their functions with the interpreter attached, and they attach none the less: PyO3
//! counts for itself, and keeps what is dropped uncounted until the next turn. An upload that was read
//! in one go stayed in memory whole.

use std::ffi::{CStr, c_int, c_void};

use pyo3::exceptions::{PyStopIteration, PyTypeError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

/// What one step of a coroutine gave.
pub enum Step {
    /// Something for the event loop to wait for.
    Yield(Py<PyAny>),
    /// The result.
    Return(Py<PyAny>),
    /// An exception.
    Raise(PyErr),
}

/// A method with one signature for METH_NOARGS, METH_O and METH_VARARGS.
pub type Method =
    unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject) -> *mut ffi::PyObject;

/// A method's definition.
pub const fn method(name: &'static CStr, function: Method, flags: c_int) -> ffi::PyMethodDef {
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer {
            PyCFunction: function,
        },
        ml_flags: flags,
        ml_doc: std::ptr::null(),
    }
}

const fn slot(slot: c_int, pfunc: *mut c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot { slot, pfunc }
}

/// How a type does what every coroutine does.
pub struct Protocol {
    /// Drops the fields and frees the object.
    pub dealloc: unsafe extern "C" fn(*mut ffi::PyObject),
    /// Goes on with a value: CPython 3.11's way.
    pub am_send: unsafe extern "C" fn(
        *mut ffi::PyObject,
        *mut ffi::PyObject,
        *mut *mut ffi::PyObject,
    ) -> ffi::PySendResult,
    /// Goes on: the way of later versions.
    pub iternext: unsafe extern "C" fn(*mut ffi::PyObject) -> *mut ffi::PyObject,
    /// The method `send`, which takes a value.
    pub send: Method,
    /// The method `throw`, which takes a tuple.
    pub throw: Method,
    /// The method `close`, which takes nothing.
    pub close: Method,
}

/// Makes a type of objects of `size` bytes that can be awaited. It lives as long as the process, and
/// so do its definitions.
pub fn build(
    py: Python<'_>,
    name: &'static CStr,
    size: usize,
    protocol: &Protocol,
    mut attributes: Vec<ffi::PyGetSetDef>,
) -> PyResult<Py<PyType>> {
    let methods = Box::leak(Box::new([
        method(c"send", protocol.send, ffi::METH_O),
        method(c"throw", protocol.throw, ffi::METH_VARARGS),
        method(c"close", protocol.close, ffi::METH_NOARGS),
        ffi::PyMethodDef::zeroed(),
    ]));
    attributes.push(ffi::PyGetSetDef {
        name: std::ptr::null(),
        get: None,
        set: None,
        doc: std::ptr::null(),
        closure: std::ptr::null_mut(),
    });
    let mut slots = [
        slot(ffi::Py_tp_dealloc, protocol.dealloc as *mut c_void),
        slot(ffi::Py_am_await, itself as *mut c_void),
        slot(ffi::Py_am_send, protocol.am_send as *mut c_void),
        slot(ffi::Py_tp_iter, itself as *mut c_void),
        slot(ffi::Py_tp_iternext, protocol.iternext as *mut c_void),
        slot(ffi::Py_tp_methods, methods.as_mut_ptr().cast()),
        slot(ffi::Py_tp_getset, attributes.leak().as_mut_ptr().cast()),
        slot(0, std::ptr::null_mut()),
    ];
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: c_int::try_from(size)?,
        itemsize: 0,
        flags: (ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION).try_into()?,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the spec and its slots are well formed and live through the call, which copies them;
    // methods and attributes are leaked, so they outlive the type. The result is a new reference.
    unsafe {
        let kind = Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&raw mut spec))?;
        Ok(kind.cast_into_unchecked::<PyType>().unbind())
    }
}

/// A new object of a type made by [`build`], zeroed but for its header.
pub fn allocate(py: Python<'_>, kind: &Py<PyType>) -> PyResult<Py<PyAny>> {
    // SAFETY: the type is live and has no variable part.
    unsafe {
        let object = ffi::PyType_GenericAlloc(kind.as_ptr().cast(), 0);
        Bound::from_owned_ptr_or_err(py, object).map(Bound::unbind)
    }
}

/// Frees an object whose fields have been dropped.
///
/// # Safety
/// To be called from `tp_dealloc` only, as its last act.
pub unsafe fn free(object: *mut ffi::PyObject) {
    // SAFETY: the object was made by `allocate`, which took a reference to its type.
    unsafe {
        let kind = ffi::Py_TYPE(object);
        ffi::PyObject_Free(object.cast());
        ffi::Py_DECREF(kind.cast());
    }
}

/// Lets an iterator or coroutine go on with an argument.
pub fn advance(py: Python<'_>, inner: &Bound<'_, PyAny>, argument: *mut ffi::PyObject) -> Step {
    let mut result = std::ptr::null_mut();
    // SAFETY: both objects are live; `result` is a new reference unless the call fails.
    unsafe {
        let code = ffi::PyIter_Send(inner.as_ptr(), argument, &raw mut result);
        match (code, Bound::from_owned_ptr_or_opt(py, result)) {
            (ffi::PySendResult::PYGEN_NEXT, Some(yielded)) => Step::Yield(yielded.unbind()),
            (ffi::PySendResult::PYGEN_RETURN, Some(value)) => Step::Return(value.unbind()),
            _ => Step::Raise(PyErr::fetch(py)),
        }
    }
}

/// Throws into an iterator or coroutine.
pub fn throw_into(
    py: Python<'_>,
    inner: &Bound<'_, PyAny>,
    arguments: &Bound<'_, PyTuple>,
) -> Step {
    match inner.call_method1(intern!(py, "throw"), arguments) {
        Ok(yielded) => Step::Yield(yielded.unbind()),
        Err(error) if error.is_instance_of::<PyStopIteration>(py) => {
            let value = error.value(py).getattr(intern!(py, "value"));
            value.map_or_else(Step::Raise, |value| Step::Return(value.unbind()))
        }
        Err(error) => Step::Raise(error),
    }
}

/// What `throw(type[, value[, traceback]])` raises where nothing catches it.
pub fn raise_from(arguments: &Bound<'_, PyTuple>) -> Step {
    let mut given = arguments.iter().filter(|argument| !argument.is_none());
    let Some(first) = given.next() else {
        return Step::Raise(PyTypeError::new_err("throw() takes an exception"));
    };
    let value = given
        .next()
        .filter(|value| value.is_instance(&first).unwrap_or(false));
    Step::Raise(PyErr::from_value(value.unwrap_or(first)))
}

/// Answers `am_send`.
pub fn to_send(step: Step, py: Python<'_>, result: *mut *mut ffi::PyObject) -> ffi::PySendResult {
    let (object, code) = match step {
        Step::Yield(value) => (value.into_ptr(), ffi::PySendResult::PYGEN_NEXT),
        Step::Return(value) => (value.into_ptr(), ffi::PySendResult::PYGEN_RETURN),
        Step::Raise(error) => {
            error.restore(py);
            (std::ptr::null_mut(), ffi::PySendResult::PYGEN_ERROR)
        }
    };
    // SAFETY: the interpreter passes a place for the result, which takes over the reference.
    unsafe { *result = object };
    code
}

/// Answers `tp_iternext`: null without an exception stands for a return of None.
pub fn to_iternext(step: Step, py: Python<'_>) -> *mut ffi::PyObject {
    match step {
        Step::Yield(value) => value.into_ptr(),
        Step::Return(value) if value.is_none(py) => std::ptr::null_mut(),
        Step::Return(value) => {
            PyStopIteration::new_err((value,)).restore(py);
            std::ptr::null_mut()
        }
        Step::Raise(error) => {
            error.restore(py);
            std::ptr::null_mut()
        }
    }
}

/// Answers a method, where a return is always a StopIteration.
pub fn to_method(step: Step, py: Python<'_>) -> *mut ffi::PyObject {
    if let Step::Return(value) = step {
        PyStopIteration::new_err((value,)).restore(py);
        return std::ptr::null_mut();
    }
    to_iternext(step, py)
}

/// `__await__` and `__iter__` of an object that is its own iterator.
unsafe extern "C" fn itself(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: called with a live object; gives a new reference to it.
    unsafe { ffi::Py_NewRef(object) }
}
