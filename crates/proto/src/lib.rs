//! The protocol core of Bicorn: bytes in, events out.
//!
//! Owns every decision about bytes from strangers: what a request is, where its body ends, which
//! fields are trusted, and how a response is written. It must not know of sockets, clocks, threads
//! or Python: callers hand it bytes and facts, and it answers with values.
//!
//! * [`http1`]: HTTP/1.0 and 1.1 (RFC 9112).
//! * [`fields`]: field names and values (RFC 9110 section 5), shared by all versions.
//! * [`limits`]: every bound, with its reason.
//! * [`refusal`]: why a request was refused, by fault, and with which status.

#![forbid(unsafe_code)]

pub mod date;
pub mod fields;
pub mod http1;
pub mod limits;
pub mod refusal;
pub mod status;

pub use limits::Limits;
pub use refusal::{Fault, Refusal};
