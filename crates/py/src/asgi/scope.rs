//! Scopes: a request's head as ASGI applications see it.
//!
//! Owns the keys and types of the HTTP connection scope (asgiref, "HTTP Connection Scope").

use bicorn_engine::{ExchangeId, InboundRequest, Local, Peer};
use bicorn_proto::http1::Version;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::{intern, types::PyBytes};

use crate::core::Core;
use crate::objects::{self, Methods, Names, PerConnection};

/// Makes scopes from a template.
pub struct ScopeMaker {
    template: Py<PyDict>,
    names: Names,
    keys: Keys,
    methods: Methods,
    http10: Py<PyAny>,
    root: Py<PyAny>,
    raw_root: Py<PyAny>,
    root_path: String,
    state: Option<Py<PyAny>>,
    /// The addresses of each connection, which do not change from request to request.
    addresses: PerConnection<Addresses>,
}

struct Keys {
    http_version: Py<PyString>,
    method: Py<PyString>,
    path: Py<PyString>,
    raw_path: Py<PyString>,
    query_string: Py<PyString>,
    headers: Py<PyString>,
    client: Py<PyString>,
    server: Py<PyString>,
    state: Py<PyString>,
}

struct Addresses {
    client: Py<PyAny>,
    server: Py<PyAny>,
}

impl ScopeMaker {
    pub fn new(py: Python<'_>, root_path: &str, state: Option<Py<PyAny>>) -> PyResult<Self> {
        let key = |name: &str| PyString::intern(py, name).unbind();
        let keys = Keys {
            http_version: key("http_version"),
            method: key("method"),
            path: key("path"),
            raw_path: key("raw_path"),
            query_string: key("query_string"),
            headers: key("headers"),
            client: key("client"),
            server: key("server"),
            state: key("state"),
        };
        Ok(Self {
            template: template(py, root_path, state.is_some())?.unbind(),
            names: Names::lower_case(py),
            keys,
            methods: Methods::new(py),
            http10: PyString::intern(py, "1.0").into_any().unbind(),
            root: PyString::new(py, &format!("{root_path}/"))
                .into_any()
                .unbind(),
            raw_root: objects::bytes(py, format!("{root_path}/").as_bytes()).unbind(),
            root_path: root_path.to_owned(),
            state,
            addresses: PerConnection::new(),
        })
    }

    /// The scope of a request.
    pub fn make<'py>(
        &self,
        py: Python<'py>,
        core: &Core,
        id: ExchangeId,
        request: &InboundRequest,
    ) -> PyResult<Bound<'py, PyDict>> {
        let scope = self.template.bind(py).copy()?;
        let head = &request.head;
        if head.version == Version::Http10 {
            objects::set(&scope, &self.keys.http_version, self.http10.bind(py))?;
        }
        objects::set(
            &scope,
            &self.keys.method,
            &self.methods.get(py, request.bytes(head.method)),
        )?;
        self.set_path(&scope, request)?;
        if !head.query.is_empty() {
            let query = objects::bytes(py, request.bytes(head.query));
            objects::set(&scope, &self.keys.query_string, &query)?;
        }
        let headers = objects::pairs(py, head.fields.len(), |at| {
            let field = head.fields[at];
            let name = match self.names.get(py, field.identity) {
                Some(name) => name.clone(),
                None => objects::bytes(py, &request.bytes(field.name).to_ascii_lowercase()),
            };
            (name, objects::bytes(py, request.bytes(field.value)))
        })?;
        objects::set(&scope, &self.keys.headers, headers.as_any())?;
        self.set_addresses(&scope, core, id, request.peer)?;
        if let Some(state) = &self.state {
            // A shallow copy for each request (asgiref, "Lifespan State").
            let copy = state.bind(py).call_method0(intern!(py, "copy"))?;
            objects::set(&scope, &self.keys.state, &copy)?;
        }
        Ok(scope)
    }

    fn set_path(&self, scope: &Bound<'_, PyDict>, request: &InboundRequest) -> PyResult<()> {
        let py = scope.py();
        let raw = request
            .head
            .path
            .map_or(&b"/"[..], |path| request.bytes(path));
        if raw == b"/" {
            objects::set(scope, &self.keys.path, self.root.bind(py))?;
            return objects::set(scope, &self.keys.raw_path, self.raw_root.bind(py));
        }
        let full = [self.root_path.as_bytes(), raw].concat();
        let decoded = if memchr::memchr(b'%', raw).is_some() {
            let path = objects::percent_decode(raw);
            let path = [self.root_path.as_bytes(), &path].concat();
            PyString::new(py, &String::from_utf8_lossy(&path))
        } else {
            PyString::new(py, &String::from_utf8_lossy(&full))
        };
        objects::set(scope, &self.keys.path, decoded.as_any())?;
        objects::set(scope, &self.keys.raw_path, PyBytes::new(py, &full).as_any())
    }

    fn set_addresses(
        &self,
        scope: &Bound<'_, PyDict>,
        core: &Core,
        id: ExchangeId,
        peer: Peer,
    ) -> PyResult<()> {
        let py = scope.py();
        let make = || {
            let local = core.lock().local(id.connection);
            let (client, server) = (
                client_of(py, peer)?.unbind(),
                server_of(py, local)?.unbind(),
            );
            Ok(Addresses { client, server })
        };
        let (client, server) = self.addresses.read(id.connection, make, |addresses| {
            (
                addresses.client.clone_ref(py),
                addresses.server.clone_ref(py),
            )
        })?;
        objects::set(scope, &self.keys.client, client.bind(py))?;
        objects::set(scope, &self.keys.server, server.bind(py))
    }
}

/// All keys in their order, so that a copy never has to grow.
fn template<'py>(
    py: Python<'py>,
    root_path: &str,
    has_state: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let versions = PyDict::new(py);
    versions.set_item("version", "3.0")?;
    versions.set_item("spec_version", "2.5")?;
    let scope = PyDict::new(py);
    scope.set_item("type", "http")?;
    scope.set_item("asgi", versions)?;
    scope.set_item("http_version", PyString::intern(py, "1.1"))?;
    scope.set_item("server", py.None())?;
    scope.set_item("client", py.None())?;
    scope.set_item("scheme", "http")?;
    scope.set_item("method", "GET")?;
    scope.set_item("root_path", root_path)?;
    scope.set_item("path", py.None())?;
    scope.set_item("raw_path", py.None())?;
    scope.set_item("query_string", PyBytes::new(py, b""))?;
    scope.set_item("headers", py.None())?;
    if has_state {
        scope.set_item("state", py.None())?;
    }
    Ok(scope)
}

fn client_of(py: Python<'_>, peer: Peer) -> PyResult<Bound<'_, PyAny>> {
    match peer {
        Peer::Internet(address) => pair(py, &address.ip().to_string(), Some(address.port())),
        Peer::Unix => Ok(py.None().into_bound(py)),
    }
}

fn server_of(py: Python<'_>, local: Option<Local>) -> PyResult<Bound<'_, PyAny>> {
    match local {
        Some(Local::Internet(address)) => pair(py, &address.ip().to_string(), Some(address.port())),
        Some(Local::Unix(Some(path))) => pair(py, &path.to_string_lossy(), None),
        Some(Local::Unix(None)) | None => Ok(py.None().into_bound(py)),
    }
}

fn pair<'py>(py: Python<'py>, host: &str, port: Option<u16>) -> PyResult<Bound<'py, PyAny>> {
    let host = host.into_pyobject(py)?.into_any();
    let port = port.into_pyobject(py)?;
    Ok(PyTuple::new(py, [host, port])?.into_any())
}
