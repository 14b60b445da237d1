//! What an operator can set of the engine.
//!
//! Owns names, units and meaning; the defaults stand in the option table of the Python package.

use std::path::PathBuf;
use std::time::Duration;

use bicorn_proto::Limits;

/// The engine's settings. Read once, when an [`crate::Engine`] is made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bounds on the bytes of a request.
    pub limits: Limits,
    /// From accept, and from a request's first byte, until its head is complete (408). Slowloris.
    pub header_timeout: Duration,
    /// How long an idle connection is kept for the next request. Zero closes after each answer.
    pub keep_alive_timeout: Duration,
    /// Least mean rate of a request body in bytes a second, once `body_rate_grace` is over (408). Zero is off.
    pub body_rate: u64,
    /// See `body_rate`.
    pub body_rate_grace: Duration,
    /// How long a peer may take nothing of a response before the connection is dropped.
    pub write_timeout: Duration,
    /// Bounds on what the application has in hand at once, if there are any.
    pub concurrency: Option<Concurrency>,
    /// How long after [`crate::Engine::drain`] an application that has begun its answer is asked to end it;
    /// none for applications that cannot be asked.
    pub stream_grace: Option<Duration>,
    /// What happens to a request body before the application is called.
    pub body_mode: BodyMode,
    /// Whether what a slow peer does not take goes to a temporary file, for applications that cannot be
    /// suspended while they write.
    pub spill: bool,
    /// Whether small answers leave together when more requests are ready, for drivers that call
    /// [`crate::Engine::flush_waiting`] when an application does not come back.
    pub gather_answers: bool,
    /// Whether responses carry Date (RFC 9110 section 6.6.1).
    pub date_header: bool,
    /// Whether responses carry Server.
    pub server_header: bool,
    /// Most connections at a time; further ones wait in the kernel. Zero is no limit.
    pub max_connections: usize,
    /// How often an idle engine shows on the scoreboard that it is alive. Zero is never.
    pub beat_interval: Duration,
    /// Where access log lines go, if anywhere.
    pub access_log: Option<LogTarget>,
}

/// Bounds on what an application has in hand at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency {
    /// Requests that it has in hand at most, each from its call to its return. More wait.
    pub most: usize,
    /// Requests that wait at most; more are answered 503.
    pub queue: usize,
    /// How long a request waits before it is answered 503.
    pub patience: Duration,
}

/// What happens to a request body before the application is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyMode {
    /// The application is called at once, and reads while the body arrives.
    Stream,
    /// The application is called when the body is there: in memory up to so many bytes, else in a file.
    Buffer(usize),
}

/// Where access log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// The process's standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}
