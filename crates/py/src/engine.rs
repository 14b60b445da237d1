//! The engine, as a host drives it.
//!
//! Owns the loop over a turn's events: the engine says what is to do, the gateway calls the
//! application, with the lock released in between.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bicorn_engine::{Batch, Event, ExchangeId, InboundRequest};
use pyo3::prelude::*;

use crate::asgi::AsgiGateway;
use crate::config::{Attributes, Interface};
use crate::core::Core;
use crate::scoreboard::Scoreboard;
use crate::wsgi::WsgiGateway;

/// All sockets of one worker, behind one pollable descriptor. Make it after the fork.
#[pyclass(frozen, module = "bicorn._native")]
pub struct Engine {
    core: Arc<Core>,
    gateway: Gateway,
    descriptor: RawFd,
    wakeup: RawFd,
    stopping: AtomicBool,
    drained: Mutex<Option<Py<PyAny>>>,
    exhausted: Option<Py<PyAny>>,
}

#[derive(FromPyObject)]
enum Gateway {
    Asgi(Py<AsgiGateway>),
    Wsgi(Py<WsgiGateway>),
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (config, gateway, scoreboard=None, slot=0, *, exhausted=None))]
    fn new(
        py: Python<'_>,
        config: Attributes,
        gateway: Gateway,
        scoreboard: Option<&Bound<'_, Scoreboard>>,
        slot: usize,
        exhausted: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let interface = match gateway {
            Gateway::Asgi(_) => Interface::Asgi,
            Gateway::Wsgi(_) => Interface::Wsgi,
        };
        let board = scoreboard.map(|scoreboard| (scoreboard.get().board.clone(), slot));
        let engine = bicorn_engine::Engine::new(config.settings(interface)?, board)?;
        let descriptor = engine.descriptor().as_raw_fd();
        let wakeup = engine.wakeup_descriptor().as_raw_fd();
        let core = Arc::new(Core::new(engine));
        match &gateway {
            Gateway::Asgi(gateway) => gateway.get().attach(py, &core, config.root_path())?,
            Gateway::Wsgi(gateway) => gateway.get().attach(py, &core, config.root_path())?,
        }
        let stopping = AtomicBool::new(false);
        Ok(Self {
            core,
            gateway,
            descriptor,
            wakeup,
            stopping,
            drained: Mutex::new(None),
            exhausted,
        })
    }

    const fn fileno(&self) -> RawFd {
        self.descriptor
    }

    const fn wakeup_fd(&self) -> RawFd {
        self.wakeup
    }

    fn poll(&self, py: Python<'_>) -> PyResult<()> {
        let begun = self.core.lock().begin_turn();
        self.work_through(py);
        Ok(begun?)
    }

    fn run(&self, py: Python<'_>) -> PyResult<()> {
        let mut batch = Batch::new();
        let mut was_busy = false;
        while !self.stopping.swap(false, Ordering::AcqRel) {
            was_busy = self.wait(py, &mut batch, was_busy)?;
            self.core.lock().begin_turn_with(&batch);
            self.work_through(py);
            py.check_signals()?;
        }
        Ok(())
    }

    fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.core.lock().wake();
    }

    fn add_listener(&self, fd: RawFd) -> PyResult<()> {
        // SAFETY: the caller holds the descriptor open for the length of this call.
        let socket = unsafe { BorrowedFd::borrow_raw(fd) };
        Ok(self.core.lock().add_listener(socket)?)
    }

    fn adopt_connection(&self, fd: RawFd) -> PyResult<()> {
        // SAFETY: the caller holds the descriptor open for the length of this call.
        let socket = unsafe { BorrowedFd::borrow_raw(fd) };
        Ok(self.core.lock().adopt(socket)?)
    }

    fn drain(&self, done: Py<PyAny>) {
        *self.drained.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        self.core.lock().drain();
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.core.lock().close());
        self.work_through(py);
        // A callback that was never called may hold this very engine.
        drop(
            self.drained
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }

    fn reopen_log(&self) -> PyResult<()> {
        Ok(self.core.lock().reopen_log()?)
    }

    #[getter]
    fn connections(&self) -> usize {
        self.core.lock().connections()
    }

    #[getter]
    fn exchanges(&self) -> u64 {
        self.core.lock().exchanges()
    }
}

impl Engine {
    /// Waits for work without the interpreter. While there is much to do there is no need to let go
    /// of it just to learn that something is ready.
    fn wait(&self, py: Python<'_>, batch: &mut Batch, was_busy: bool) -> PyResult<bool> {
        // SAFETY: the core owns the descriptor and outlives this call.
        let descriptor = unsafe { BorrowedFd::borrow_raw(self.descriptor) };
        if was_busy {
            batch.take_ready(descriptor)?;
            if !batch.is_empty() {
                return Ok(true);
            }
        }
        py.detach(|| batch.wait(descriptor))?;
        Ok(!batch.is_empty())
    }

    fn work_through(&self, py: Python<'_>) {
        self.core.set_in_turn(true);
        let mut used = None;
        loop {
            let event = self.core.lock().next_event(used.take());
            match event {
                Some(Event::Request(id, request)) => used = Some(self.begin(py, id, request)),
                Some(Event::Wake(id)) => self.wake(py, id),
                Some(Event::Exhausted(error)) => self.report_exhausted(py, error),
                Some(Event::Drained) => self.report_drained(py),
                None => break,
            }
        }
        self.core.lock().end_turn();
        self.core.set_in_turn(false);
    }

    fn begin(
        &self,
        py: Python<'_>,
        id: ExchangeId,
        request: Box<InboundRequest>,
    ) -> Box<InboundRequest> {
        match &self.gateway {
            Gateway::Asgi(gateway) => gateway.get().begin(py, id, &request),
            Gateway::Wsgi(gateway) => gateway.get().answer(py, id, &request),
        }
        request
    }

    fn wake(&self, py: Python<'_>, id: ExchangeId) {
        if let Gateway::Asgi(gateway) = &self.gateway {
            gateway.get().wake(py, id);
        }
    }

    fn report_exhausted(&self, py: Python<'_>, error: i32) {
        if let Some(exhausted) = &self.exhausted
            && let Err(error) = exhausted.call1(py, (error,))
        {
            error.write_unraisable(py, Some(exhausted.bind(py)));
        }
    }

    fn report_drained(&self, py: Python<'_>) {
        let done = self
            .drained
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(done) = done
            && let Err(error) = done.call0(py)
        {
            error.write_unraisable(py, Some(done.bind(py)));
        }
    }
}
