//! The exceptions that applications meet.
//!
//! They are defined in `bicorn.errors`; this is where the native code gets them from.

use bicorn_engine::ReplyError;
use pyo3::prelude::*;

pyo3::import_exception!(bicorn.errors, ClientDisconnected);
pyo3::import_exception!(bicorn.errors, ContractError);

/// An application broke its contract.
pub fn contract(message: impl Into<String>) -> PyErr {
    ContractError::new_err(message.into())
}

/// What a refused part of a response is to its application.
pub fn from_reply(error: ReplyError) -> PyErr {
    match error {
        ReplyError::Gone => ClientDisconnected::new_err("the client has disconnected"),
        ReplyError::Contract(reason) => contract(reason.to_string()),
    }
}
