//! The environ: a request's head as WSGI applications see it.
//!
//! Owns the keys of PEP 3333 and CGI (RFC 3875) and their values.

use std::sync::Arc;

use bicorn_engine::{ExchangeId, InboundRequest, Local, Peer};
use bicorn_proto::fields;
use bicorn_proto::http1::{Framing, TargetForm, Version};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::input::Files;
use crate::core::Core;
use crate::objects::{self, Methods, Names, PerConnection, environ_key};

/// Makes environs from a template.
pub struct EnvironMaker {
    template: Py<PyDict>,
    names: Names,
    keys: Keys,
    files: Files,
    methods: Methods,
    http10: Py<PyAny>,
    slash: Py<PyAny>,
    script_name: String,
    /// The addresses of each connection, which do not change from request to request.
    addresses: PerConnection<Addresses>,
}

struct Keys {
    request_method: Py<PyString>,
    path_info: Py<PyString>,
    query_string: Py<PyString>,
    raw_uri: Py<PyString>,
    server_protocol: Py<PyString>,
    server_name: Py<PyString>,
    server_port: Py<PyString>,
    remote_addr: Py<PyString>,
    remote_port: Py<PyString>,
    content_length: Py<PyString>,
    input: Py<PyString>,
}

struct Addresses {
    server_name: Py<PyAny>,
    server_port: Py<PyAny>,
    remote_addr: Py<PyAny>,
    remote_port: Py<PyAny>,
}

const COOKIE: u8 = fields::position("cookie");
const TRANSFER_ENCODING: u8 = fields::position("transfer-encoding");

impl EnvironMaker {
    pub fn new(
        py: Python<'_>,
        root_path: &str,
        multiprocess: bool,
        file_wrapper: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let key = |name: &str| PyString::intern(py, name).unbind();
        let keys = Keys {
            request_method: key("REQUEST_METHOD"),
            path_info: key("PATH_INFO"),
            query_string: key("QUERY_STRING"),
            raw_uri: key("RAW_URI"),
            server_protocol: key("SERVER_PROTOCOL"),
            server_name: key("SERVER_NAME"),
            server_port: key("SERVER_PORT"),
            remote_addr: key("REMOTE_ADDR"),
            remote_port: key("REMOTE_PORT"),
            content_length: key("CONTENT_LENGTH"),
            input: key("wsgi.input"),
        };
        Ok(Self {
            template: template(py, root_path, multiprocess, file_wrapper)?.unbind(),
            names: Names::environ_keys(py),
            keys,
            files: Files::new(py)?,
            methods: Methods::new(py),
            http10: PyString::intern(py, "HTTP/1.0").into_any().unbind(),
            slash: PyString::intern(py, "/").into_any().unbind(),
            script_name: root_path.to_owned(),
            addresses: PerConnection::new(),
        })
    }

    /// The environ of a request.
    pub fn make<'py>(
        &self,
        py: Python<'py>,
        core: &Arc<Core>,
        id: ExchangeId,
        request: &InboundRequest,
    ) -> PyResult<Bound<'py, PyDict>> {
        let environ = self.template.bind(py).copy()?;
        let (head, keys) = (&request.head, &self.keys);
        let method = self.methods.get(py, request.bytes(head.method));
        objects::set(&environ, &keys.request_method, &method)?;
        objects::set(
            &environ,
            &keys.raw_uri,
            &objects::latin1(py, request.bytes(head.target)),
        )?;
        self.set_path(&environ, request)?;
        if !head.query.is_empty() {
            let query = objects::latin1(py, request.bytes(head.query));
            objects::set(&environ, &keys.query_string, &query)?;
        }
        if head.version == Version::Http10 {
            objects::set(&environ, &keys.server_protocol, self.http10.bind(py))?;
        }
        self.set_addresses(&environ, core, id, request.peer)?;
        self.set_headers(&environ, request)?;
        self.set_input(&environ, core, id, head.framing)?;
        Ok(environ)
    }

    fn set_path(&self, environ: &Bound<'_, PyDict>, request: &InboundRequest) -> PyResult<()> {
        let py = environ.py();
        let raw = match (request.head.path, request.head.form) {
            // OPTIONS of the server itself has no path (RFC 9110 section 9.3.7).
            (_, TargetForm::Asterisk) => &b""[..],
            (Some(path), _) => request.bytes(path),
            (None, _) => b"/",
        };
        if raw == b"/" && self.script_name.is_empty() {
            return objects::set(environ, &self.keys.path_info, self.slash.bind(py));
        }
        let decoded = match memchr::memchr(b'%', raw) {
            Some(_) => objects::percent_decode(raw),
            None => raw.to_vec(),
        };
        let inside = decoded
            .strip_prefix(self.script_name.as_bytes())
            .filter(|rest| rest.is_empty() || rest[0] == b'/');
        let path = objects::latin1(py, inside.unwrap_or(&decoded));
        objects::set(environ, &self.keys.path_info, &path)
    }

    fn set_headers(&self, environ: &Bound<'_, PyDict>, request: &InboundRequest) -> PyResult<()> {
        let py = environ.py();
        let is_decoded = request.head.framing == Framing::Chunked;
        let mut seen = 0_u64;
        for field in &request.head.fields {
            let value = objects::latin1(py, request.bytes(field.value));
            let Some(key) = self.names.get(py, field.identity) else {
                let name = String::from_utf8_lossy(request.bytes(field.name));
                let key = PyString::new(py, &environ_key(&name));
                join(environ, &key, value, false)?;
                continue;
            };
            if field.identity == TRANSFER_ENCODING && is_decoded {
                // RFC 9112 section 7.1.3: who decodes chunked removes it.
                continue;
            }
            // SAFETY: the table of names holds nothing but strings.
            let key = unsafe { key.cast_unchecked::<PyString>() };
            let bit = 1_u64 << field.identity;
            if seen & bit == 0 {
                seen |= bit;
                environ.set_item(key, value)?;
            } else {
                join(environ, key, value, field.identity == COOKIE)?;
            }
        }
        Ok(())
    }

    fn set_input(
        &self,
        environ: &Bound<'_, PyDict>,
        core: &Arc<Core>,
        id: ExchangeId,
        framing: Framing,
    ) -> PyResult<()> {
        let py = environ.py();
        let input = match (framing, core.lock().take_content(id)) {
            (Framing::Empty, _) => self.files.empty(py)?,
            (_, Some(content)) => {
                if framing == Framing::Chunked {
                    // Some applications read nothing without a length, and now it is known.
                    let length = PyString::new(py, &content.len().to_string());
                    objects::set(environ, &self.keys.content_length, length.as_any())?;
                }
                self.files.complete(py, content)?
            }
            (_, None) => self.files.stream(py, core, id)?,
        };
        objects::set(environ, &self.keys.input, &input)
    }

    fn set_addresses(
        &self,
        environ: &Bound<'_, PyDict>,
        core: &Core,
        id: ExchangeId,
        peer: Peer,
    ) -> PyResult<()> {
        let py = environ.py();
        let make = || Ok(Addresses::new(py, peer, core.lock().local(id.connection)));
        let values = self.addresses.read(id.connection, make, |addresses| {
            let Addresses {
                server_name,
                server_port,
                remote_addr,
                remote_port,
            } = addresses;
            [server_name, server_port, remote_addr, remote_port].map(|value| value.clone_ref(py))
        })?;
        let keys = &self.keys;
        let keys = [
            &keys.server_name,
            &keys.server_port,
            &keys.remote_addr,
            &keys.remote_port,
        ];
        for (key, value) in keys.into_iter().zip(&values) {
            objects::set(environ, key, value.bind(py))?;
        }
        Ok(())
    }
}

impl Addresses {
    fn new(py: Python<'_>, peer: Peer, local: Option<Local>) -> Self {
        let text = |value: &str| PyString::new(py, value).into_any().unbind();
        let (server_name, server_port) = match local {
            Some(Local::Internet(address)) => {
                (address.ip().to_string(), address.port().to_string())
            }
            // A Unix socket has no port; 80 is the one that http URLs do not name.
            Some(Local::Unix(_)) | None => ("localhost".to_owned(), "80".to_owned()),
        };
        let (remote_addr, remote_port) = match peer {
            Peer::Internet(address) => (address.ip().to_string(), address.port().to_string()),
            Peer::Unix => (String::new(), String::new()),
        };
        Self {
            server_name: text(&server_name),
            server_port: text(&server_port),
            remote_addr: text(&remote_addr),
            remote_port: text(&remote_port),
        }
    }
}

/// Puts a repeated field behind its former values (RFC 9110 section 5.3; cookies RFC 6265 section 5.4).
fn join(
    environ: &Bound<'_, PyDict>,
    key: &Bound<'_, PyString>,
    value: Bound<'_, PyAny>,
    is_cookie: bool,
) -> PyResult<()> {
    match environ.get_item(key)? {
        Some(former) => {
            let separator = if is_cookie { "; " } else { ", " };
            environ.set_item(key, format!("{former}{separator}{value}"))
        }
        None => environ.set_item(key, value),
    }
}

/// All keys that every environ has.
fn template<'py>(
    py: Python<'py>,
    root_path: &str,
    multiprocess: bool,
    file_wrapper: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    let environ = PyDict::new(py);
    environ.set_item("REQUEST_METHOD", "GET")?;
    environ.set_item("SCRIPT_NAME", root_path)?;
    environ.set_item("PATH_INFO", "/")?;
    environ.set_item("QUERY_STRING", "")?;
    environ.set_item("RAW_URI", "/")?;
    environ.set_item("SERVER_PROTOCOL", "HTTP/1.1")?;
    environ.set_item("SERVER_SOFTWARE", "bicorn")?;
    environ.set_item("SERVER_NAME", "")?;
    environ.set_item("SERVER_PORT", "")?;
    environ.set_item("REMOTE_ADDR", "")?;
    environ.set_item("REMOTE_PORT", "")?;
    environ.set_item("wsgi.version", PyTuple::new(py, [1, 0])?)?;
    environ.set_item("wsgi.url_scheme", "http")?;
    environ.set_item("wsgi.input", py.None())?;
    environ.set_item("wsgi.input_terminated", true)?;
    environ.set_item("wsgi.errors", py.import("sys")?.getattr("stderr")?)?;
    environ.set_item("wsgi.multithread", false)?;
    environ.set_item("wsgi.multiprocess", multiprocess)?;
    environ.set_item("wsgi.run_once", false)?;
    environ.set_item("wsgi.file_wrapper", file_wrapper)?;
    make_room(&environ)?;
    Ok(environ)
}

/// Has the dictionary grow now, once, and not with the fields of each request: a copy has its size.
fn make_room(environ: &Bound<'_, PyDict>) -> PyResult<()> {
    let spare = ["spare 1", "spare 2", "spare 3"];
    for key in spare {
        environ.set_item(key, environ.py().None())?;
    }
    spare.iter().try_for_each(|key| environ.del_item(key))
}
