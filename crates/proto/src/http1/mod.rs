//! HTTP/1.0 and HTTP/1.1 (RFC 9112), server side.
//!
//! ```text
//! bytes ─▶ head::parse ─▶ RequestHead ─▶ body::BodyReader ─▶ content
//!          (framing, target, host)
//! response::ResponseHead ─▶ frame ─▶ head bytes + BodyWriter ─▶ chunk sizes, end
//! ```
//!
//! Every part is fed with what has arrived so far and says how much it took; nothing here waits.

pub mod body;
pub mod head;
pub mod response;
mod semantics;
pub mod target;

pub use body::{BodyReader, Progress};
pub use head::{Field, RequestHead, Span, parse};
pub use response::{BodyWriter, HeadError, ResponseHead};
pub use semantics::{Expectation, Framing, Persistence, Version};
pub use target::TargetForm;
