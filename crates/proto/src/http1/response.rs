//! Responses: the head that leaves, and how the body behind it is framed (RFC 9112 sections 4, 6, 7).
//!
//! Owns what an application may say in a head, which fields are the server's own, and the choice
//! between Content-Length, chunked and close. It does not send: it writes bytes into the caller's buffer.

use core::fmt;

use super::semantics::{Persistence, Version};
use crate::{fields, status};

/// Why an application's response head or body is not acceptable. Always the application's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadError {
    /// A status that cannot end an exchange: not three digits, or informational.
    Status(u16),
    /// A reason phrase with a control character.
    Reason,
    /// A field name that is no token.
    Name,
    /// A field value with a control character.
    Value,
    /// Content-Length is no decimal, or two of them differ.
    ContentLength,
    /// More body than Content-Length announced.
    BodyTooLong,
    /// Less body than Content-Length announced.
    BodyTooShort,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => {
                write!(f, "status {code} is not a final status between 200 and 999")
            }
            Self::Reason => f.write_str("control character in the reason phrase"),
            Self::Name => f.write_str("a header name is not a token"),
            Self::Value => f.write_str("control character in a header value"),
            Self::ContentLength => f.write_str("malformed or contradictory Content-Length"),
            Self::BodyTooLong => f.write_str("the body is longer than its Content-Length"),
            Self::BodyTooShort => f.write_str("the body is shorter than its Content-Length"),
        }
    }
}

impl std::error::Error for HeadError {}

/// The head of a response, as its application writes it: status, then field after field.
#[derive(Debug, Default)]
pub struct ResponseHead {
    /// Status line without version, and field lines.
    lines: Vec<u8>,
    status: u16,
    length: Option<u64>,
    persistence: Persistence,
    own: OwnFields,
}

/// Bytes that most heads fit into, so that their lines are not moved while they grow.
const USUAL_LINES: usize = 256;

/// Fields that the server adds unless the application set them.
#[derive(Debug, Clone, Copy, Default)]
struct OwnFields {
    date: bool,
    server: bool,
}

/// What a response's framing depends on besides its own head.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The request's version.
    pub version: Version,
    /// Whether the request's method was HEAD: the answer has the fields of a body and none (RFC 9110 section 9.3.2).
    pub is_head: bool,
    /// What the request and the server's state make of the connection.
    pub persistence: Persistence,
    /// Field lines to add where the application set none: Date, Server. Each ends in CRLF, or is empty.
    pub date: &'a [u8],
    /// See `date`.
    pub server: &'a [u8],
    /// The body's length where all of it is at hand.
    pub whole: Option<u64>,
}

impl ResponseHead {
    /// Begins a head, with the registry's reason phrase where `reason` is `None`. What the value held
    /// before is forgotten, its memory kept.
    ///
    /// # Errors
    /// [`HeadError::Status`], [`HeadError::Reason`].
    pub fn begin(&mut self, status: u16, reason: Option<&[u8]>) -> Result<(), HeadError> {
        self.lines.clear();
        self.lines.reserve(USUAL_LINES);
        self.length = None;
        self.persistence = Persistence::Keep;
        self.own = OwnFields::default();
        // An informational status would leave the client waiting for the final one.
        if !(200..1000).contains(&status) {
            return Err(HeadError::Status(status));
        }
        self.status = status;
        let reason = reason.unwrap_or_else(|| status::reason_phrase(status).as_bytes());
        if !fields::is_value(reason) {
            return Err(HeadError::Reason);
        }
        let digits = [status / 100, status / 10 % 10, status % 10].map(|digit| b'0' + digit as u8);
        self.lines.extend_from_slice(&digits);
        self.lines.push(b' ');
        self.lines.extend_from_slice(reason);
        self.lines.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Adds a field. Those that speak of the connection are the server's to write: `close` in
    /// Connection is obeyed, the rest of Connection, Keep-Alive and Transfer-Encoding is dropped.
    ///
    /// # Errors
    /// [`HeadError::Name`], [`HeadError::Value`], [`HeadError::ContentLength`].
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        if !fields::is_token(name) {
            return Err(HeadError::Name);
        }
        if !fields::is_value(value) {
            return Err(HeadError::Value);
        }
        if self.interpret(name, value)? == Passage::Forward {
            self.lines.extend_from_slice(name);
            self.lines.extend_from_slice(b": ");
            self.lines.extend_from_slice(value);
            self.lines.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    fn interpret(&mut self, name: &[u8], value: &[u8]) -> Result<Passage, HeadError> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is(b"date") => self.own.date = true,
            6 if is(b"server") => self.own.server = true,
            10 if is(b"connection") => {
                if fields::list(value).any(|option| option.eq_ignore_ascii_case(b"close")) {
                    self.persistence = Persistence::Close;
                }
                return Ok(Passage::Drop);
            }
            10 if is(b"keep-alive") => return Ok(Passage::Drop),
            14 if is(b"content-length") => return self.note_length(value),
            17 if is(b"transfer-encoding") => return Ok(Passage::Drop),
            _ => {}
        }
        Ok(Passage::Forward)
    }

    /// Content-Length is written once, by [`ResponseHead::finish`].
    fn note_length(&mut self, value: &[u8]) -> Result<Passage, HeadError> {
        let length = core::str::from_utf8(value.trim_ascii())
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .ok_or(HeadError::ContentLength)?;
        match self.length.replace(length) {
            Some(before) if before != length => Err(HeadError::ContentLength),
            _ => Ok(Passage::Drop),
        }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The Content-Length that the application set.
    #[must_use]
    pub const fn content_length(&self) -> Option<u64> {
        self.length
    }

    /// Whether the application ended the connection's life with `Connection: close`.
    #[must_use]
    pub const fn persistence(&self) -> Persistence {
        self.persistence
    }

    /// Writes the finished head to `out`, and says how the body is to be framed and what becomes
    /// of the connection.
    pub fn finish(
        &self,
        around: &Circumstances<'_>,
        out: &mut Vec<u8>,
    ) -> (BodyWriter, Persistence) {
        let body = self.frame(around);
        let close = around.persistence == Persistence::Close
            || self.persistence == Persistence::Close
            || body == BodyWriter::UntilClose;
        out.reserve(self.lines.len() + 160);
        // RFC 9112 section 2.6: the version is the server's own, whatever the request's was.
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(&self.lines);
        if !self.own.date {
            out.extend_from_slice(around.date);
        }
        if !self.own.server {
            out.extend_from_slice(around.server);
        }
        self.write_framing(body, around, out);
        match (close, around.version) {
            (true, _) => out.extend_from_slice(b"connection: close\r\n"),
            (false, Version::Http10) => out.extend_from_slice(b"connection: keep-alive\r\n"),
            (false, Version::Http11) => {}
        }
        out.extend_from_slice(b"\r\n");
        (
            body,
            if close {
                Persistence::Close
            } else {
                Persistence::Keep
            },
        )
    }

    /// RFC 9112 section 6.3, seen from the sender.
    fn frame(&self, around: &Circumstances<'_>) -> BodyWriter {
        if around.is_head || matches!(self.status, 204 | 304) {
            return BodyWriter::Discard;
        }
        match (self.length.or(around.whole), around.version) {
            (Some(length), _) => BodyWriter::Length(length),
            (None, Version::Http11) => BodyWriter::Chunked,
            (None, Version::Http10) => BodyWriter::UntilClose,
        }
    }

    fn write_framing(&self, body: BodyWriter, around: &Circumstances<'_>, out: &mut Vec<u8>) {
        let length = match body {
            BodyWriter::Chunked => {
                out.extend_from_slice(b"transfer-encoding: chunked\r\n");
                return;
            }
            BodyWriter::Length(length) => Some(length),
            BodyWriter::UntilClose => None,
            // RFC 9110 section 8.6: never in a 204; in answers to HEAD and in a 304, the length that
            // a GET would have had, where the application says so.
            BodyWriter::Discard if self.status == 204 => None,
            BodyWriter::Discard if around.is_head => {
                self.length.or(around.whole.filter(|&n| n > 0))
            }
            BodyWriter::Discard => self.length,
        };
        if let Some(length) = length {
            out.extend_from_slice(b"content-length: ");
            write_decimal(length, out);
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[derive(PartialEq, Eq)]
enum Passage {
    Forward,
    Drop,
}

/// How the body of one response is framed, and how much of it is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyWriter {
    /// So many bytes are still to come.
    Length(u64),
    /// Chunks, and a last one.
    Chunked,
    /// The end of the connection ends the body.
    UntilClose,
    /// There is no body: what the application sends is dropped.
    Discard,
}

impl BodyWriter {
    /// Accounts for `length` more bytes of content, the last ones if `end`.
    ///
    /// # Errors
    /// [`HeadError::BodyTooLong`] and [`HeadError::BodyTooShort`] against Content-Length.
    pub fn admit(&mut self, length: u64, end: bool) -> Result<(), HeadError> {
        if let Self::Length(remaining) = self {
            *remaining = remaining
                .checked_sub(length)
                .ok_or(HeadError::BodyTooLong)?;
            if end && *remaining > 0 {
                return Err(HeadError::BodyTooShort);
            }
        }
        Ok(())
    }

    /// Writes what goes before `length` bytes of content.
    pub fn open_chunk(self, length: usize, out: &mut Vec<u8>) {
        if self == Self::Chunked && length > 0 {
            write_hex(length, out);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// What goes after a chunk of content, or after the last of it.
    #[must_use]
    pub const fn close_chunk(self, length: usize, end: bool) -> &'static [u8] {
        match (self, length, end) {
            (Self::Chunked, 0, true) => b"0\r\n\r\n",
            (Self::Chunked, 1.., true) => b"\r\n0\r\n\r\n",
            (Self::Chunked, 1.., false) => b"\r\n",
            _ => b"",
        }
    }
}

/// The bytes of 100 (Continue) (RFC 9110 section 10.1.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn write_decimal(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn write_hex(mut value: usize, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 16];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdef"[value % 16];
        value /= 16;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
