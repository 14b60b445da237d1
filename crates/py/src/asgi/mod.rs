//! The ASGI gateway: a task of the host for each request.
//!
//! Owns the life of a request on the application's side: scope, `receive` and `send`, the task, and
//! what is told to whom when the application fails. The host is known by three callables only.

mod awaitable;
mod ctype;
mod exchange;
mod runner;
mod scope;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bicorn_engine::{ExchangeId, InboundRequest};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::core::{Core, Place};
use crate::objects;
use exchange::{AsgiExchange, RECEIVE, SEND};
use scope::ScopeMaker;

/// Calls an ASGI 3 application.
#[pyclass(frozen, module = "bicorn._native")]
pub struct AsgiGateway {
    shared: Arc<Shared>,
    app: Py<PyAny>,
    scopes: OnceLock<ScopeMaker>,
    state: Option<Py<PyAny>>,
}

/// What the exchanges of a gateway have in common.
struct Shared {
    core: OnceLock<Arc<Core>>,
    spawn: Spawn,
    create_future: Py<PyAny>,
    call_soon: Py<PyAny>,
    report: Py<PyAny>,
    /// What `call_soon` is given to send what was gathered.
    flush: OnceLock<Py<Flush>>,
    is_flush_due: Arc<AtomicBool>,
    /// Futures that wait for news of an exchange.
    waiters: Mutex<HashMap<ExchangeId, Vec<Py<PyAny>>>>,
    /// Tasks that have not ended. The loop itself holds them weakly only.
    tasks: Mutex<HashMap<u64, Py<PyAny>>>,
    next_task: AtomicU64,
    messages: exchange::Messages,
    awaitable_type: Py<PyType>,
    runner_type: Py<PyType>,
    done: Py<PyAny>,
}

impl Shared {
    fn core(&self) -> PyResult<&Arc<Core>> {
        self.core
            .get()
            .ok_or_else(|| crate::errors::contract("the gateway has no engine"))
    }

    fn waiters(&self) -> MutexGuard<'_, HashMap<ExchangeId, Vec<Py<PyAny>>>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<u64, Py<PyAny>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has gathered bytes sent once the tasks that are ready have run.
    fn schedule_flush(&self, py: Python<'_>, core: &Core) -> PyResult<()> {
        if core.is_in_turn() || self.is_flush_due.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        if let Some(flush) = self.flush.get() {
            self.call_soon.call1(py, (flush,))?;
        }
        Ok(())
    }
}

/// What starts a task of a coroutine.
struct Spawn {
    callable: Py<PyAny>,
    /// The keywords of a `functools.partial` without positional arguments, which is taken apart: called
    /// as it is, it would make a dictionary for each task.
    keywords: Option<Py<PyDict>>,
}

impl Spawn {
    fn new(spawn: Bound<'_, PyAny>) -> PyResult<Self> {
        let partial = spawn.py().import("functools")?.getattr("partial")?;
        if spawn.is_exact_instance(&partial) && spawn.getattr("args")?.is_empty()? {
            let keywords = spawn.getattr("keywords")?.cast_into()?.unbind();
            let callable = spawn.getattr("func")?.unbind();
            return Ok(Self {
                callable,
                keywords: Some(keywords),
            });
        }
        Ok(Self {
            callable: spawn.unbind(),
            keywords: None,
        })
    }

    fn call<'py>(&self, coroutine: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = coroutine.py();
        let keywords = self.keywords.as_ref().map(|keywords| keywords.bind(py));
        self.callable.bind(py).call((coroutine,), keywords)
    }
}

/// Sends what was gathered outside a turn.
#[pyclass(frozen, module = "bicorn._native")]
struct Flush {
    core: Arc<Core>,
    is_due: Arc<AtomicBool>,
}

#[pymethods]
impl Flush {
    fn __call__(&self) {
        self.is_due.store(false, Ordering::Relaxed);
        self.core.lock().flush_gathered();
    }
}

#[pymethods]
impl AsgiGateway {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments, for Python")]
    #[pyo3(signature = (app, *, spawn, create_future, call_soon, state, report))]
    fn new(
        py: Python<'_>,
        app: Py<PyAny>,
        spawn: Py<PyAny>,
        create_future: Py<PyAny>,
        call_soon: Py<PyAny>,
        state: Option<Py<PyAny>>,
        report: Py<PyAny>,
    ) -> PyResult<Self> {
        let awaitable_type = awaitable::make_type(py)?;
        let done = awaitable::done(py, &awaitable_type)?;
        let shared = Shared {
            core: OnceLock::new(),
            spawn: Spawn::new(spawn.into_bound(py))?,
            create_future,
            call_soon,
            report,
            flush: OnceLock::new(),
            is_flush_due: Arc::new(AtomicBool::new(false)),
            waiters: Mutex::default(),
            tasks: Mutex::default(),
            next_task: AtomicU64::new(0),
            messages: exchange::Messages::new(py)?,
            awaitable_type,
            runner_type: runner::make_type(py)?,
            done,
        };
        Ok(Self {
            shared: Arc::new(shared),
            app,
            scopes: OnceLock::new(),
            state,
        })
    }
}

impl AsgiGateway {
    /// Joins the gateway to its engine.
    pub fn attach(&self, py: Python<'_>, core: &Arc<Core>, root_path: &str) -> PyResult<()> {
        let is_due = Arc::clone(&self.shared.is_flush_due);
        let flush = Py::new(
            py,
            Flush {
                core: Arc::clone(core),
                is_due,
            },
        )?;
        let state = self.state.as_ref().map(|state| state.clone_ref(py));
        let scopes = ScopeMaker::new(py, root_path, state)?;
        let is_free = self.shared.core.set(Arc::clone(core)).is_ok()
            && self.shared.flush.set(flush).is_ok()
            && self.scopes.set(scopes).is_ok();
        if is_free {
            Ok(())
        } else {
            Err(crate::errors::contract("the gateway has an engine already"))
        }
    }

    /// Calls the application for a request.
    pub fn begin(&self, py: Python<'_>, id: ExchangeId, request: &InboundRequest) {
        if let Err(error) = self.try_begin(py, id, request) {
            if let Some(core) = self.shared.core.get() {
                core.lock().fail(id);
            }
            error.write_unraisable(py, Some(self.app.bind(py)));
        }
    }

    fn try_begin(&self, py: Python<'_>, id: ExchangeId, request: &InboundRequest) -> PyResult<()> {
        let core = self.shared.core()?;
        let place = Place::of_request(core);
        let scopes = self
            .scopes
            .get()
            .ok_or_else(|| crate::errors::contract("no engine"))?;
        let scope = scopes.make(py, core, id, request)?;
        let has_body = request.head.framing != bicorn_proto::http1::Framing::Empty;
        let exchange = AsgiExchange::new(py, &self.shared, id, has_body, place)?;
        let receive = objects::bind(&RECEIVE, exchange.as_any())?;
        let send = objects::bind(&SEND, exchange.as_any())?;
        match objects::call(self.app.bind(py), &[scope.as_any(), &receive, &send]) {
            Ok(awaitable) => self.spawn(py, &awaitable, &exchange, &scope),
            Err(error) => {
                exchange.get().end(py, Some(error), &scope);
                Ok(())
            }
        }
    }

    fn spawn<'py>(
        &self,
        py: Python<'py>,
        awaitable: &Bound<'py, PyAny>,
        exchange: &Bound<'py, AsgiExchange>,
        scope: &Bound<'py, PyDict>,
    ) -> PyResult<()> {
        let key = self.shared.next_task.fetch_add(1, Ordering::Relaxed);
        let runner = runner::make(py, &self.shared, awaitable, exchange, scope, key);
        let runner = match runner {
            Ok(runner) => runner,
            Err(error) => {
                exchange.get().end(py, Some(error), scope);
                return Ok(());
            }
        };
        let task = self.shared.spawn.call(&runner)?;
        if !runner::is_finished(&runner) {
            self.shared.tasks().insert(key, task.unbind());
        }
        Ok(())
    }

    /// Wakes the futures that wait for news of an exchange.
    pub fn wake(&self, py: Python<'_>, id: ExchangeId) {
        let waiters = self.shared.waiters().remove(&id);
        for waiter in waiters.into_iter().flatten() {
            if let Err(error) = settle(waiter.bind(py)) {
                error.write_unraisable(py, Some(waiter.bind(py)));
            }
        }
    }
}

/// Settles a future, unless whoever waited was cancelled.
fn settle(future: &Bound<'_, PyAny>) -> PyResult<()> {
    if is_settled(future)? {
        return Ok(());
    }
    future
        .call_method1("set_result", (future.py().None(),))
        .map(drop)
}

fn is_settled(future: &Bound<'_, PyAny>) -> PyResult<bool> {
    future
        .call_method0(intern!(future.py(), "done"))?
        .is_truthy()
}
