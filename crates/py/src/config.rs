//! From `bicorn.config.Config` to the engine's settings.
//!
//! Owns the names of the attributes that are read; what they mean stands in the option table.

use std::time::Duration;

use bicorn_engine::{BodyMode, Concurrency, LogTarget, Settings};
use bicorn_proto::Limits;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

const SHORTEST_BEAT: Duration = Duration::from_millis(50);
const LONGEST_BEAT: Duration = Duration::from_millis(500);

/// The attributes of a `Config` that concern the engine. Sizes are bytes, durations seconds.
#[derive(FromPyObject)]
pub struct Attributes {
    limit_request_line: usize,
    limit_header_section: usize,
    limit_header_fields: usize,
    limit_body: u64,
    header_timeout: f64,
    keep_alive_timeout: f64,
    body_rate: u64,
    body_rate_grace: f64,
    write_timeout: f64,
    date_header: bool,
    server_header: bool,
    max_connections: usize,
    hang_timeout: f64,
    access_log: bool,
    access_log_file: String,
    wsgi_body: String,
    wsgi_body_memory: usize,
    root_path: String,
    max_concurrency: usize,
    max_queue: usize,
    queue_timeout: f64,
    stream_grace: f64,
}

/// The gateway's part in the engine's settings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// The application is suspended where it has to wait.
    Asgi,
    /// The application cannot be suspended.
    Wsgi,
}

impl Attributes {
    /// The path that the application is mounted at, without a trailing slash.
    pub fn root_path(&self) -> &str {
        self.root_path.trim_end_matches('/')
    }

    /// The engine's settings for an application of this kind.
    pub fn settings(&self, interface: Interface) -> PyResult<Settings> {
        let buffers = interface == Interface::Wsgi && self.wsgi_body == "buffer";
        Ok(Settings {
            limits: Limits {
                request_line: self.limit_request_line,
                header_section: self.limit_header_section,
                header_fields: self.limit_header_fields,
                body: self.limit_body,
            },
            header_timeout: seconds(self.header_timeout)?,
            keep_alive_timeout: seconds(self.keep_alive_timeout)?,
            body_rate: self.body_rate,
            body_rate_grace: seconds(self.body_rate_grace)?,
            write_timeout: seconds(self.write_timeout)?,
            concurrency: self.concurrency(interface)?,
            stream_grace: match interface {
                Interface::Asgi => Some(seconds(self.stream_grace)?),
                Interface::Wsgi => None,
            },
            body_mode: if buffers {
                BodyMode::Buffer(self.wsgi_body_memory)
            } else {
                BodyMode::Stream
            },
            spill: interface == Interface::Wsgi,
            gather_answers: interface == Interface::Wsgi,
            date_header: self.date_header,
            server_header: self.server_header,
            max_connections: self.max_connections,
            beat_interval: beat_interval(seconds(self.hang_timeout)?),
            access_log: self
                .access_log
                .then(|| match self.access_log_file.as_str() {
                    "-" => LogTarget::Stdout,
                    path => LogTarget::File(path.into()),
                }),
        })
    }

    /// The thread that polls is the one that calls a WSGI application, so that has one request in hand anyway.
    fn concurrency(&self, interface: Interface) -> PyResult<Option<Concurrency>> {
        if interface == Interface::Wsgi || self.max_concurrency == 0 {
            return Ok(None);
        }
        Ok(Some(Concurrency {
            most: self.max_concurrency,
            queue: self.max_queue,
            patience: seconds(self.queue_timeout)?,
        }))
    }
}

/// Often enough that a heart that stands still is noticed within a fraction of the threshold, and not so often
/// that an idle worker costs anything. Where nobody looks it does not beat.
fn beat_interval(hang_timeout: Duration) -> Duration {
    if hang_timeout.is_zero() {
        return Duration::ZERO;
    }
    (hang_timeout / 8).clamp(SHORTEST_BEAT, LONGEST_BEAT)
}

fn seconds(value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value).map_err(|error| PyValueError::new_err(error.to_string()))
}
