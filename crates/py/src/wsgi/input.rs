//! `wsgi.input`: a request's content for an application that reads it like a file.
//!
//! Owns which file object that is. Content that was buffered is handed over in Python's own
//! `BytesIO`, or in a file object over the temporary file; content that is still arriving comes
//! through a `BufferedReader` over [`ContentStream`], which waits for it without the interpreter.

use std::os::fd::{BorrowedFd, IntoRawFd};
use std::sync::{Arc, Mutex, PoisonError};

use bicorn_engine::{Content, ExchangeId, Intake};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::core::Core;
use crate::errors::ClientDisconnected;

/// Python's file classes.
pub struct Files {
    bytes_io: Py<PyAny>,
    buffered_reader: Py<PyAny>,
    open: Py<PyAny>,
}

impl Files {
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        let io = py.import("io")?;
        Ok(Self {
            bytes_io: io.getattr("BytesIO")?.unbind(),
            buffered_reader: io.getattr("BufferedReader")?.unbind(),
            open: io.getattr("open")?.unbind(),
        })
    }

    /// No content.
    pub fn empty<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.bytes_io.bind(py).call0()
    }

    /// Content that has arrived; its length too.
    pub fn complete<'py>(&self, py: Python<'py>, content: Content) -> PyResult<Bound<'py, PyAny>> {
        match content {
            Content::Memory(bytes) => self.bytes_io.bind(py).call1((PyBytes::new(py, &bytes),)),
            Content::File { file, .. } => self.open.bind(py).call1((file.into_raw_fd(), "rb")),
        }
    }

    /// Content that is still arriving.
    pub fn stream<'py>(
        &self,
        py: Python<'py>,
        core: &Arc<Core>,
        id: ExchangeId,
    ) -> PyResult<Bound<'py, PyAny>> {
        let stream = ContentStream {
            core: Arc::clone(core),
            id,
            rest: Mutex::default(),
        };
        self.buffered_reader
            .bind(py)
            .call1((Bound::new(py, stream)?,))
    }
}

/// What a `BufferedReader` reads from.
#[pyclass(frozen, module = "bicorn._native")]
pub struct ContentStream {
    core: Arc<Core>,
    id: ExchangeId,
    /// Content that was taken from the engine and did not fit the caller's buffer.
    rest: Mutex<Vec<u8>>,
}

#[pymethods]
impl ContentStream {
    #[getter]
    const fn closed(&self) -> bool {
        false
    }

    const fn readable(&self) -> bool {
        true
    }

    const fn writable(&self) -> bool {
        false
    }

    const fn seekable(&self) -> bool {
        false
    }

    const fn close(&self) {}

    const fn flush(&self) {}

    /// All that is still to come; `read()` without a size ends here.
    fn readall<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut all =
            std::mem::take(&mut *self.rest.lock().unwrap_or_else(PoisonError::into_inner));
        loop {
            let content = self.await_content(py)?;
            if content.is_empty() {
                return Ok(PyBytes::new(py, &all));
            }
            all.extend_from_slice(&content);
        }
    }

    /// Fills a buffer with what has arrived, waiting for the first byte; 0 at the end.
    fn readinto(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        let target = PyBuffer::<u8>::get(buffer)?;
        let mut content =
            std::mem::take(&mut *self.rest.lock().unwrap_or_else(PoisonError::into_inner));
        if content.is_empty() {
            content = self.await_content(py)?;
        }
        if target.readonly() || !target.is_c_contiguous() {
            return Err(PyBufferError::new_err(
                "readinto() takes a writable, contiguous buffer",
            ));
        }
        let count = content.len().min(target.len_bytes());
        // SAFETY: the buffer is writable, contiguous and at least `count` bytes long, and held by
        // `target`; the content is a vector of our own.
        unsafe {
            content
                .as_ptr()
                .copy_to_nonoverlapping(target.buf_ptr().cast(), count)
        };
        content.drain(..count);
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = content;
        Ok(count)
    }
}

impl ContentStream {
    fn await_content(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        loop {
            let intake = self.core.lock().read(self.id);
            match intake {
                Intake::Content(Content::Memory(bytes), more) if !bytes.is_empty() || !more => {
                    return Ok(bytes);
                }
                Intake::Content(..) => {}
                Intake::Gone => {
                    return Err(ClientDisconnected::new_err(
                        "the client left before its request was complete",
                    ));
                }
                Intake::Pending => self.await_socket(py)?,
                // Said once, to applications that have a way to hear it.
                Intake::Ending => {}
            }
        }
    }

    /// Waits for the connection alone, without the interpreter, up to the engine's own deadline.
    fn await_socket(&self, py: Python<'_>) -> PyResult<()> {
        let waiting = self.core.lock().wait_handle(self.id);
        let Some((descriptor, deadline)) = waiting else {
            return Ok(());
        };
        // SAFETY: the exchange holds the connection open while its application is called, in this thread.
        let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
        py.detach(|| bicorn_engine::await_readable(descriptor, deadline))?;
        py.check_signals()?;
        self.core.lock().note_readable(self.id);
        Ok(())
    }
}
