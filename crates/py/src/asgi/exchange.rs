//! One request on the application's side: what `receive` and `send` do.
//!
//! Owns the order of ASGI messages (asgiref, HTTP) and what breaking it leads to. How a response is
//! framed and when it leaves is the engine's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bicorn_engine::{Content, ExchangeId, Intake, Part, ReplyError, Sent};
use bicorn_proto::http1::ResponseHead;
use pyo3::exceptions::asyncio::CancelledError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use super::{Shared, awaitable};
use crate::core::{Core, Place, PyBody, request_id};
use crate::errors::{self, ClientDisconnected, contract};
use crate::objects::{self, Definition};

/// What an awaitable waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// A message for `receive`.
    Message,
    /// Room for `send`.
    Room,
}

/// Ready-made messages and keys.
pub struct Messages {
    /// `http.request` with an empty body and nothing behind it.
    request: Py<PyDict>,
    disconnect: Py<PyDict>,
    body: Py<PyString>,
    more_body: Py<PyString>,
    r#true: Py<PyAny>,
}

impl Messages {
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        let request = PyDict::new(py);
        request.set_item("type", PyString::intern(py, "http.request"))?;
        request.set_item("body", PyBytes::new(py, b""))?;
        request.set_item("more_body", false)?;
        let disconnect = PyDict::new(py);
        disconnect.set_item("type", PyString::intern(py, "http.disconnect"))?;
        Ok(Self {
            request: request.unbind(),
            disconnect: disconnect.unbind(),
            body: PyString::intern(py, "body").unbind(),
            more_body: PyString::intern(py, "more_body").unbind(),
            r#true: true.into_pyobject(py)?.to_owned().into_any().unbind(),
        })
    }

    fn disconnect(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.disconnect.bind(py).copy()?.into_any().unbind())
    }

    fn request(&self, py: Python<'_>, content: &[u8], more: bool) -> PyResult<Py<PyAny>> {
        let message = self.request.bind(py).copy()?;
        if !content.is_empty() {
            objects::set(&message, &self.body, &objects::bytes(py, content))?;
        }
        if more {
            objects::set(&message, &self.more_body, self.r#true.bind(py))?;
        }
        Ok(message.into_any().unbind())
    }
}

/// How far the application has come with its request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// There is no body, and the message that says so has not been taken.
    Empty,
    /// There may be more to read.
    Open,
    /// All has been read.
    Done,
}

/// How far the application has come with its response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// Nothing was sent.
    Nothing,
    /// `http.response.start` was, and waits for the first of the body.
    Started,
    /// Some of the body was.
    Streaming,
    /// All of it was.
    Done,
    /// The peer left before that.
    Gone,
}

struct State {
    reading: Reading,
    writing: Writing,
    head: ResponseHead,
    /// Held until the application has returned.
    place: Option<Place>,
}

/// A request, as its `receive` and `send` share it.
#[pyclass(frozen, module = "bicorn._native")]
pub struct AsgiExchange {
    shared: Arc<Shared>,
    id: ExchangeId,
    state: Mutex<State>,
}

/// The bound function that an application knows as `receive`.
pub static RECEIVE: Definition =
    Definition(super::ctype::method(c"receive", receive, ffi::METH_NOARGS));
/// The bound function that an application knows as `send`.
pub static SEND: Definition = Definition(super::ctype::method(c"send", send, ffi::METH_O));

impl AsgiExchange {
    pub fn new<'py>(
        py: Python<'py>,
        shared: &Arc<Shared>,
        id: ExchangeId,
        has_body: bool,
        place: Option<Place>,
    ) -> PyResult<Bound<'py, Self>> {
        let reading = if has_body {
            Reading::Open
        } else {
            Reading::Empty
        };
        let state = State {
            reading,
            writing: Writing::Nothing,
            head: ResponseHead::default(),
            place,
        };
        Bound::new(
            py,
            Self {
                shared: Arc::clone(shared),
                id,
                state: Mutex::new(state),
            },
        )
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn core(&self) -> PyResult<&Arc<Core>> {
        self.shared.core()
    }

    /// The value that is waited for, if it is there.
    ///
    /// # Errors
    /// `ClientDisconnected` where room is waited for and the peer has left.
    pub fn look(&self, py: Python<'_>, interest: Interest) -> PyResult<Option<Py<PyAny>>> {
        match interest {
            Interest::Message => self.next_message(py),
            Interest::Room => match self.core()?.lock().has_room(self.id) {
                Ok(true) => Ok(Some(py.None())),
                Ok(false) => Ok(None),
                Err(error) => Err(errors::from_reply(error)),
            },
        }
    }

    /// Enters a future of the host among those that news of this exchange wakes; its iterator.
    pub fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let future = self.shared.create_future.bind(py).call0()?;
        let iterator = future.call_method0(intern!(py, "__await__"))?;
        let former = self.shared.waiters().remove(&self.id).unwrap_or_default();
        // An application that waits with a timeout, again and again, leaves a cancelled one each time.
        let mut waiting = Vec::with_capacity(former.len() + 1);
        for waiter in former {
            if !super::is_settled(waiter.bind(py))? {
                waiting.push(waiter);
            }
        }
        waiting.push(future.unbind());
        self.shared.waiters().insert(self.id, waiting);
        Ok(iterator.unbind())
    }

    fn next_message(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let messages = &self.shared.messages;
        let core = self.core()?;
        let reading = self.state().reading;
        let message = match reading {
            Reading::Empty => {
                self.state().reading = Reading::Done;
                Some(messages.request(py, b"", false)?)
            }
            Reading::Open => {
                let intake = core.lock().read(self.id);
                match intake {
                    Intake::Content(content, more) => {
                        if !more {
                            self.state().reading = Reading::Done;
                        }
                        Some(messages.request(py, &in_memory(content)?, more)?)
                    }
                    news => return self.without_content(py, &news),
                }
            }
            Reading::Done => {
                let news = core.lock().watch_peer(self.id);
                return self.without_content(py, &news);
            }
        };
        Ok(message)
    }

    /// The message for news that are no content. A worker that ends tells the application that its peer has
    /// left, since nothing else ends a stream; it may go on sending all the same.
    fn without_content(&self, py: Python<'_>, news: &Intake) -> PyResult<Option<Py<PyAny>>> {
        match news {
            Intake::Content(..) | Intake::Pending => return Ok(None),
            Intake::Ending => {}
            Intake::Gone => {
                let mut state = self.state();
                if state.writing != Writing::Done {
                    state.writing = Writing::Gone;
                }
            }
        }
        self.shared.messages.disconnect(py).map(Some)
    }

    fn receive(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        // Nothing is taken before it is awaited: a task that is cancelled before its first step, as
        // `wait_for(receive(), 0)` may have it, must not take a message with it.
        let kind = &slf.get().shared.awaitable_type;
        awaitable::waiting(slf.py(), kind, slf.clone().unbind(), Interest::Message)
    }

    fn send(slf: &Bound<'_, Self>, message: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let exchange = slf.get();
        let message = as_dict(message)?;
        let kind = message.get_item(intern!(py, "type"))?;
        let kind = kind.ok_or_else(|| contract("the message has no 'type'"))?;
        let kind = kind
            .cast::<PyString>()
            .map_err(|_| contract("the message's 'type' is no str"))?;
        let sent = match kind.to_str()? {
            "http.response.start" => exchange.start(&message),
            "http.response.body" => exchange.body(&message),
            other => Err(contract(format!(
                "unexpected message type {other:?} in an http scope"
            ))),
        }?;
        match sent {
            Sent::Full => {
                let kind = &exchange.shared.awaitable_type;
                awaitable::waiting(py, kind, slf.clone().unbind(), Interest::Room)
            }
            Sent::Done | Sent::Gathered => Ok(exchange.shared.done.clone_ref(py)),
        }
    }

    fn start(&self, message: &Bound<'_, PyDict>) -> PyResult<Sent> {
        let py = message.py();
        let status = message.get_item(intern!(py, "status"))?;
        let status = status.ok_or_else(|| contract("http.response.start has no 'status'"))?;
        let status = status
            .extract()
            .map_err(|_| contract("'status' is not an int of three digits"))?;
        let headers = message
            .get_item(intern!(py, "headers"))?
            .filter(|headers| !headers.is_none());
        let headers = headers.map(as_list).transpose()?;
        let writing = self.state().writing;
        match writing {
            Writing::Nothing => {}
            Writing::Gone => return Err(errors::from_reply(ReplyError::Gone)),
            _ => return Err(contract("http.response.start was sent already")),
        }
        let mut head = ResponseHead::default();
        head.begin(status, None)
            .map_err(|error| contract(error.to_string()))?;
        for header in headers.iter().flat_map(|headers| headers.iter()) {
            add_header(&mut head, &header)?;
        }
        let mut state = self.state();
        state.head = head;
        state.writing = Writing::Started;
        Ok(Sent::Done)
    }

    fn body(&self, message: &Bound<'_, PyDict>) -> PyResult<Sent> {
        let py = message.py();
        let body = match message.get_item(intern!(py, "body"))? {
            Some(body) => objects::body_bytes(&body)
                .ok_or_else(|| contract(format!("'body' is {}, not bytes", body.get_type())))?,
            None => PyBytes::new(py, b""),
        };
        let more = message.get_item(intern!(py, "more_body"))?;
        let end = !more.map_or(Ok(false), |more| more.is_truthy())?;
        let core = self.core()?;
        let mut state = self.state();
        let head = match state.writing {
            Writing::Nothing => {
                return Err(contract(
                    "http.response.body came before http.response.start",
                ));
            }
            Writing::Done => {
                return Err(contract(
                    "http.response.body came after the end of the body",
                ));
            }
            Writing::Gone => return Err(errors::from_reply(ReplyError::Gone)),
            Writing::Started => Some(&state.head),
            Writing::Streaming => None,
        };
        let sent = core.lock().send(
            self.id,
            &Part {
                head,
                body: PyBody(&body),
                end,
            },
        );
        let sent = match sent {
            Ok(sent) => sent,
            Err(ReplyError::Gone) => {
                state.writing = Writing::Gone;
                return Err(errors::from_reply(ReplyError::Gone));
            }
            Err(error) => return Err(errors::from_reply(error)),
        };
        state.writing = if end {
            Writing::Done
        } else {
            Writing::Streaming
        };
        drop(state);
        if sent == Sent::Gathered {
            self.shared.schedule_flush(py, core)?;
        }
        Ok(sent)
    }

    /// The application has ended, well or not: what it left open is closed, and what it did wrong is
    /// reported. A peer that left is no fault of the application: neither what it left unsaid then,
    /// nor that it lets the exceptions pass which told it so.
    pub fn end(&self, py: Python<'_>, error: Option<PyErr>, scope: &Bound<'_, PyDict>) {
        let mut state = self.state();
        // Free when this returns.
        let _place = state.place.take();
        let is_complete = state.writing == Writing::Done;
        drop(state);
        if is_complete && error.is_none() {
            return;
        }
        let had_peer = self
            .shared
            .core
            .get()
            .is_some_and(|core| core.lock().fail(self.id));
        let is_farewell = |error: &PyErr| {
            error.is_instance_of::<ClientDisconnected>(py)
                || error.is_instance_of::<CancelledError>(py)
        };
        let error = match error {
            Some(error) if had_peer || !is_farewell(&error) => error,
            None if had_peer => {
                contract("the application returned without completing its response")
            }
            _ => return,
        };
        if let Err(failure) = self.report(py, error, scope) {
            failure.write_unraisable(py, None);
        }
    }

    fn report(&self, py: Python<'_>, error: PyErr, scope: &Bound<'_, PyDict>) -> PyResult<()> {
        let text = |key: &str| {
            scope
                .get_item(key)
                .map(|value| value.map(|v| v.to_string()))
        };
        let method = text("method")?.unwrap_or_default();
        // As it was sent: a decoded line break would let a client write lines of its own into the log.
        let bytes = |key: &str| {
            let value = scope.get_item(key)?;
            let body = value.and_then(|value| objects::body_bytes(&value));
            PyResult::Ok(body.map_or_else(String::new, |b| b.as_bytes().escape_ascii().to_string()))
        };
        let (path, query) = (bytes("raw_path")?, bytes("query_string")?);
        let mark = if query.is_empty() { "" } else { "?" };
        let version = text("http_version")?.unwrap_or_default();
        let line = format!("{method} {path}{mark}{query} HTTP/{version}");
        self.shared
            .report
            .bind(py)
            .call1((error.into_value(py), line, request_id(self.id)))?;
        Ok(())
    }
}

fn as_dict<'py>(message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    if let Ok(dict) = message.cast::<PyDict>() {
        return Ok(dict.clone());
    }
    let dict = PyDict::new(message.py());
    match message.cast::<pyo3::types::PyMapping>() {
        Ok(mapping) => dict.update(mapping)?,
        Err(_) => {
            return Err(contract(format!(
                "the message is {}, not a dict",
                message.get_type()
            )));
        }
    }
    Ok(dict)
}

fn as_list(headers: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyList>> {
    match headers.cast_into::<PyList>() {
        Ok(list) => Ok(list),
        Err(error) => {
            let items = error
                .into_inner()
                .try_iter()
                .map_err(|_| contract("'headers' is not iterable"))?;
            PyList::new(items.py(), items.collect::<PyResult<Vec<_>>>()?)
        }
    }
}

fn add_header(head: &mut ResponseHead, header: &Bound<'_, PyAny>) -> PyResult<()> {
    let wrong = || contract("a header is not a pair of bytes");
    if let Ok(tuple) = header.cast::<PyTuple>()
        && tuple.len() == 2
    {
        let (name, value) = (tuple.get_borrowed_item(0)?, tuple.get_borrowed_item(1)?);
        if let (Ok(name), Ok(value)) = (name.cast::<PyBytes>(), value.cast::<PyBytes>()) {
            return write_header(head, name.as_bytes(), value.as_bytes());
        }
    }
    let (name, value) = objects::pair_of(header).ok_or_else(wrong)?;
    let name = objects::body_bytes(&name).ok_or_else(wrong)?;
    let value = objects::body_bytes(&value).ok_or_else(wrong)?;
    write_header(head, name.as_bytes(), value.as_bytes())
}

fn write_header(head: &mut ResponseHead, name: &[u8], value: &[u8]) -> PyResult<()> {
    head.field(name, value)
        .map_err(|error| contract(format!("{error}: {:?}", String::from_utf8_lossy(name))))
}

fn in_memory(content: Content) -> PyResult<Vec<u8>> {
    match content {
        Content::Memory(bytes) => Ok(bytes),
        Content::File { mut file, .. } => {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut file, &mut bytes)?;
            Ok(bytes)
        }
    }
}

unsafe extern "C" fn receive(
    object: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    call_bound(object, AsgiExchange::receive)
}

unsafe extern "C" fn send(
    object: *mut ffi::PyObject,
    message: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    call_bound(object, |exchange| {
        // SAFETY: METH_O passes a live object.
        let message = unsafe { Bound::from_borrowed_ptr(exchange.py(), message) };
        AsgiExchange::send(exchange, &message)
    })
}

/// Calls a method of the exchange that a built-in function is bound to.
fn call_bound(
    object: *mut ffi::PyObject,
    method: impl FnOnce(&Bound<'_, AsgiExchange>) -> PyResult<Py<PyAny>>,
) -> *mut ffi::PyObject {
    Python::attach(|py| {
        // SAFETY: `objects::bind` bound these two functions to an `AsgiExchange`.
        let exchange =
            unsafe { Bound::from_borrowed_ptr(py, object).cast_into_unchecked::<AsgiExchange>() };
        match method(&exchange) {
            Ok(result) => result.into_ptr(),
            Err(error) => {
                error.restore(py);
                std::ptr::null_mut()
            }
        }
    })
}
