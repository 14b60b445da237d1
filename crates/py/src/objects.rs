//! Making Python objects where it is hot.
//!
//! Owns the few calls of the C interface that a measurement paid for: header names from a table of
//! ready-made objects, strings from bytes without a detour over Rust's `str`, dictionaries from a
//! template. Everything cold uses PyO3's own types.

use std::sync::{Mutex, PoisonError};

use bicorn_engine::ConnectionId;
use bicorn_proto::fields;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

/// A new `bytes`.
#[inline]
pub fn bytes<'py>(py: Python<'py>, value: &[u8]) -> Bound<'py, PyAny> {
    PyBytes::new(py, value).into_any()
}

/// A new `str` with one character for each byte (ISO 8859-1), as PEP 3333 wants its strings.
#[inline]
pub fn latin1<'py>(py: Python<'py>, value: &[u8]) -> Bound<'py, PyAny> {
    // SAFETY: the pointer and the length are those of a slice, and the interpreter is attached. The
    // call gives a new reference; every byte is a character of Latin-1, so only memory can run out.
    unsafe {
        let text = ffi::PyUnicode_DecodeLatin1(
            value.as_ptr().cast(),
            value.len().cast_signed(),
            std::ptr::null(),
        );
        Bound::from_owned_ptr(py, text)
    }
}

/// Sets an item without converting anything.
#[inline]
pub fn set(dict: &Bound<'_, PyDict>, key: &Py<PyString>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    // SAFETY: all three are live objects of the attached interpreter; the call takes no ownership.
    let code = unsafe { ffi::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) };
    if code == 0 {
        Ok(())
    } else {
        Err(PyErr::fetch(dict.py()))
    }
}

/// A list of (name, value) pairs.
pub fn pairs<'py>(
    py: Python<'py>,
    count: usize,
    mut pair: impl FnMut(usize) -> (Bound<'py, PyAny>, Bound<'py, PyAny>),
) -> PyResult<Bound<'py, PyList>> {
    // SAFETY: a new list of `count` empty places, each filled below before anyone sees the list; the
    // tuple is new, and both calls that fill take over the references that `into_ptr` gives up.
    unsafe {
        let list = ffi::PyList_New(count.cast_signed());
        let list: Bound<'py, PyList> =
            Bound::from_owned_ptr_or_err(py, list)?.cast_into_unchecked();
        for at in 0..count {
            let (name, value) = pair(at);
            let tuple = ffi::PyTuple_New(2);
            if tuple.is_null() {
                return Err(PyErr::fetch(py));
            }
            ffi::PyTuple_SET_ITEM(tuple, 0, name.into_ptr());
            ffi::PyTuple_SET_ITEM(tuple, 1, value.into_ptr());
            ffi::PyList_SET_ITEM(list.as_ptr(), at.cast_signed(), tuple);
        }
        Ok(list)
    }
}

/// Calls with positional arguments, without a tuple for them.
#[inline]
pub fn call<'py>(
    callable: &Bound<'py, PyAny>,
    arguments: &[&Bound<'py, PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    let pointers: [*mut ffi::PyObject; 4] = std::array::from_fn(|at| {
        arguments
            .get(at)
            .map_or(std::ptr::null_mut(), |a| a.as_ptr())
    });
    debug_assert!(arguments.len() <= pointers.len());
    // SAFETY: the callable and the arguments are live, the count is that of the filled places, and
    // the result is a new reference or null with an exception set.
    unsafe {
        let result = ffi::PyObject_Vectorcall(
            callable.as_ptr(),
            pointers.as_ptr(),
            arguments.len(),
            std::ptr::null_mut(),
        );
        Bound::from_owned_ptr_or_err(callable.py(), result)
    }
}

/// A built-in function bound to an object.
pub fn bind<'py>(
    definition: &'static Definition,
    owner: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the definition is static and well formed, CPython only reads it, and the call takes its
    // own reference to the owner.
    unsafe {
        let method = std::ptr::from_ref(&definition.0).cast_mut();
        let function = ffi::PyCFunction_NewEx(method, owner.as_ptr(), std::ptr::null_mut());
        Bound::from_owned_ptr_or_err(owner.py(), function)
    }
}

/// A method definition that lives as long as the process.
pub struct Definition(pub ffi::PyMethodDef);

// SAFETY: it holds pointers to static data that nobody writes.
unsafe impl Sync for Definition {}

/// The text of a header name table, ready as Python objects.
pub struct Names {
    objects: Vec<Py<PyAny>>,
}

impl Names {
    /// Header names as ASGI has them: lower-case `bytes`.
    pub fn lower_case(py: Python<'_>) -> Self {
        let object = |name: &&str| bytes(py, name.as_bytes()).unbind();
        Self {
            objects: fields::KNOWN.iter().map(object).collect(),
        }
    }

    /// Header names as WSGI has them: `HTTP_...`, or the two that CGI names otherwise.
    pub fn environ_keys(py: Python<'_>) -> Self {
        let object = |name: &&str| PyString::intern(py, &environ_key(name)).into_any().unbind();
        Self {
            objects: fields::KNOWN.iter().map(object).collect(),
        }
    }

    /// The ready-made object of a known name.
    #[inline]
    pub fn get<'py>(&self, py: Python<'py>, identity: u8) -> Option<&Bound<'py, PyAny>> {
        self.objects
            .get(usize::from(identity))
            .map(|object| object.bind(py))
    }
}

/// Request methods as ready-made `str`.
pub struct Methods {
    objects: Vec<Py<PyAny>>,
}

const METHODS: [&str; 7] = ["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"];

impl Methods {
    /// Those that come up often.
    pub fn new(py: Python<'_>) -> Self {
        let object = |name: &&str| PyString::intern(py, name).into_any().unbind();
        Self {
            objects: METHODS.iter().map(object).collect(),
        }
    }

    /// A method's `str`.
    #[inline]
    pub fn get<'py>(&self, py: Python<'py>, name: &[u8]) -> Bound<'py, PyAny> {
        match METHODS.iter().position(|known| known.as_bytes() == name) {
            Some(at) => self.objects[at].bind(py).clone(),
            None => latin1(py, name),
        }
    }
}

/// Python objects that are the same for all requests of a connection.
pub struct PerConnection<V> {
    entries: Mutex<Vec<Option<(u32, V)>>>,
}

impl<V> PerConnection<V> {
    /// No connection yet.
    pub fn new() -> Self {
        Self {
            entries: Mutex::default(),
        }
    }

    /// What `read` takes from a connection's value, which is made with its first request.
    pub fn read<R>(
        &self,
        id: ConnectionId,
        make: impl FnOnce() -> PyResult<V>,
        read: impl Fn(&V) -> R,
    ) -> PyResult<R> {
        let lock = || self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let index = id.index as usize;
        if let Some(Some((generation, value))) = lock().get(index)
            && *generation == id.generation
        {
            return Ok(read(value));
        }
        let value = make()?;
        let result = read(&value);
        let mut entries = lock();
        if entries.len() <= index {
            entries.resize_with(index + 1, || None);
        }
        let former = entries[index].replace((id.generation, value));
        drop(entries);
        drop(former);
        Ok(result)
    }
}

/// The environ key of a field name (RFC 3875 section 4.1.18).
pub fn environ_key(name: &str) -> String {
    let upper = name.to_ascii_uppercase().replace('-', "_");
    match upper.as_str() {
        "CONTENT_TYPE" | "CONTENT_LENGTH" => upper,
        _ => format!("HTTP_{upper}"),
    }
}

/// Decodes `%XX`; anything else, also a lone percent sign, stays (RFC 3986 section 2.1).
pub fn percent_decode(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut at = 0;
    while at < path.len() {
        let pair = (path[at] == b'%')
            .then(|| path.get(at + 1..at + 3))
            .flatten();
        let value = pair.and_then(|pair| Some(hex(pair[0])? << 4 | hex(pair[1])?));
        decoded.push(value.unwrap_or(path[at]));
        at += if value.is_some() { 3 } else { 1 };
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// The bytes of an object that an application gave as `bytes`, `bytearray` or `memoryview`.
pub fn body_bytes<'py>(object: &Bound<'py, PyAny>) -> Option<Bound<'py, PyBytes>> {
    if let Ok(exact) = object.cast::<PyBytes>() {
        return Some(exact.clone());
    }
    let is_buffer = object.cast::<pyo3::types::PyByteArray>().is_ok()
        || object.cast::<pyo3::types::PyMemoryView>().is_ok();
    if !is_buffer {
        return None;
    }
    let converted = object.py().get_type::<PyBytes>().call1((object,)).ok()?;
    converted.cast_into().ok()
}

/// The two halves of a header that an application gave as a pair.
pub fn pair_of<'py>(header: &Bound<'py, PyAny>) -> Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    if let Ok(tuple) = header.cast::<PyTuple>() {
        return match tuple.len() {
            2 => Some((tuple.get_item(0).ok()?, tuple.get_item(1).ok()?)),
            _ => None,
        };
    }
    let items: Vec<Bound<'py, PyAny>> = header.try_iter().ok()?.collect::<PyResult<_>>().ok()?;
    <[_; 2]>::try_from(items)
        .ok()
        .map(|[name, value]| (name, value))
}
