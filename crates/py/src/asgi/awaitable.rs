//! What `receive()` and `send()` return: an awaitable that costs next to nothing when there is
//! nothing to wait for.
//!
//! Owns one C-level type. It passes for a `collections.abc.Coroutine`, so that `create_task`,
//! `wait_for`, `gather` and anyio's task groups take it as they take a coroutine; a type with
//! `__await__` alone fails there. CPython 3.11 awaits it through `am_send`, later ones through
//! `tp_iternext`, where null without an exception means None.

use std::ptr;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use super::ctype::{self, Step};
use super::exchange::{AsgiExchange, Interest};

/// The object's layout.
#[repr(C)]
struct Awaitable {
    base: ffi::PyObject,
    state: State,
}

enum State {
    /// Gives None, again and again: the one result of every `send` that need not wait.
    Done,
    /// Waits until the exchange has news of this kind.
    Waiting(Wait),
    /// Has given its result.
    Spent,
}

struct Wait {
    exchange: Py<AsgiExchange>,
    interest: Interest,
    /// The iterator of the host's future, while one is waited for.
    iterator: Option<Py<PyAny>>,
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
        c"bicorn._native.Awaitable",
        size_of::<Awaitable>(),
        &protocol,
        Vec::new(),
    )
}

/// The awaitable that is done already.
pub fn done(py: Python<'_>, kind: &Py<PyType>) -> PyResult<Py<PyAny>> {
    make(py, kind, State::Done)
}

/// An awaitable that waits for news.
pub fn waiting(
    py: Python<'_>,
    kind: &Py<PyType>,
    exchange: Py<AsgiExchange>,
    interest: Interest,
) -> PyResult<Py<PyAny>> {
    make(
        py,
        kind,
        State::Waiting(Wait {
            exchange,
            interest,
            iterator: None,
        }),
    )
}

fn make(py: Python<'_>, kind: &Py<PyType>, state: State) -> PyResult<Py<PyAny>> {
    let object = ctype::allocate(py, kind)?;
    // SAFETY: `allocate` gave a new object of this type, whose state nobody has seen or written yet.
    unsafe { ptr::write(&raw mut (*object.as_ptr().cast::<Awaitable>()).state, state) };
    Ok(object)
}

/// The state of an object of our type.
///
/// # Safety
/// `object` must be a live `Awaitable`, and no other reference to its state may be in use. The type's
/// functions are called with the interpreter attached and keep no reference over a call into Python.
unsafe fn state_of<'a>(object: *mut ffi::PyObject) -> &'a mut State {
    // SAFETY: the caller's promise.
    unsafe { &mut (*object.cast::<Awaitable>()).state }
}

impl Wait {
    fn step(&mut self, py: Python<'_>, argument: *mut ffi::PyObject) -> Step {
        let mut argument = argument;
        loop {
            if self.iterator.is_none() {
                match self.exchange.get().look(py, self.interest) {
                    Ok(Some(value)) => return Step::Return(value),
                    Ok(None) => {}
                    Err(error) => return Step::Raise(error),
                }
                match self.exchange.get().wait(py) {
                    Ok(iterator) => self.iterator = Some(iterator),
                    Err(error) => return Step::Raise(error),
                }
                // SAFETY: a call that gives a borrowed reference to an immortal object.
                argument = unsafe { ffi::Py_None() };
            }
            let Some(iterator) = &self.iterator else {
                continue;
            };
            match ctype::advance(py, iterator.bind(py), argument) {
                Step::Return(_) => self.iterator = None,
                Step::Raise(error) => {
                    self.iterator = None;
                    return Step::Raise(error);
                }
                yielded => return yielded,
            }
        }
    }
}

/// Takes the state out, so that nothing refers to it while Python code runs.
fn step(py: Python<'_>, object: *mut ffi::PyObject, argument: *mut ffi::PyObject) -> Step {
    // SAFETY: the slots are called with live objects of the type; the reference ends with the statement.
    let state = unsafe { state_of(object) };
    match std::mem::replace(state, State::Spent) {
        State::Done => {
            *state = State::Done;
            Step::Return(py.None())
        }
        State::Waiting(mut wait) => {
            let step = wait.step(py, argument);
            if matches!(step, Step::Yield(_)) {
                // SAFETY: as above; Python code has run since, and may have left the state as it was.
                *unsafe { state_of(object) } = State::Waiting(wait);
            }
            step
        }
        State::Spent => Step::Raise(PyRuntimeError::new_err(
            "cannot reuse already awaited coroutine",
        )),
    }
}

unsafe extern "C" fn am_send(
    object: *mut ffi::PyObject,
    argument: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult {
    Python::attach(|py| ctype::to_send(step(py, object, argument), py, result))
}

unsafe extern "C" fn iternext(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: None is a borrowed reference to an immortal object.
    let none = unsafe { ffi::Py_None() };
    Python::attach(|py| ctype::to_iternext(step(py, object, none), py))
}

unsafe extern "C" fn send(
    object: *mut ffi::PyObject,
    argument: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    Python::attach(|py| ctype::to_method(step(py, object, argument), py))
}

unsafe extern "C" fn throw(
    object: *mut ffi::PyObject,
    arguments: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    Python::attach(|py| throw_attached(py, object, arguments))
}

fn throw_attached(
    py: Python<'_>,
    object: *mut ffi::PyObject,
    arguments: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: METH_VARARGS passes a live tuple.
    let arguments =
        unsafe { Bound::from_borrowed_ptr(py, arguments).cast_into_unchecked::<PyTuple>() };
    // SAFETY: as in `step`.
    let state = std::mem::replace(unsafe { state_of(object) }, State::Spent);
    let step = match state {
        State::Waiting(mut wait) => match wait.iterator.take() {
            Some(iterator) => {
                let step = ctype::throw_into(py, iterator.bind(py), &arguments);
                if let Step::Yield(_) = step {
                    wait.iterator = Some(iterator);
                    // SAFETY: as in `step`.
                    *unsafe { state_of(object) } = State::Waiting(wait);
                }
                step
            }
            None => ctype::raise_from(&arguments),
        },
        State::Done => {
            // SAFETY: as in `step`.
            *unsafe { state_of(object) } = State::Done;
            ctype::raise_from(&arguments)
        }
        State::Spent => ctype::raise_from(&arguments),
    };
    ctype::to_method(step, py)
}

unsafe extern "C" fn close(
    object: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as in `step`.
    let state = unsafe { state_of(object) };
    if !matches!(state, State::Done) {
        Python::attach(|_| drop(std::mem::replace(state, State::Spent)));
    }
    // SAFETY: gives a new reference to None.
    unsafe { ffi::Py_NewRef(ffi::Py_None()) }
}

unsafe extern "C" fn dealloc(object: *mut ffi::PyObject) {
    // SAFETY: the last reference is gone, so the state is ours to drop, once.
    unsafe {
        Python::attach(|_| ptr::drop_in_place(&raw mut (*object.cast::<Awaitable>()).state));
        ctype::free(object);
    }
}
