//! The head of a request: request line and header section (RFC 9112 sections 2, 3 and 5).
//!
//! Owns the way from bytes to a [`RequestHead`]. `httparse` finds the tokens; what is refused, and
//! what the fields mean for the connection, is decided here and in `semantics`. Nothing is copied:
//! a head is a set of positions in the caller's buffer.

use core::mem::MaybeUninit;

use memchr::{memchr, memchr_iter, memrchr};

use super::semantics::{Expectation, Framing, Meaning, Persistence, Version};
use super::target::{self, TargetForm};
use crate::fields;
use crate::limits::{Limits, MAX_HEADER_FIELDS};
use crate::refusal::Refusal;

/// A range of bytes in the buffer that a head was parsed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The bytes, from the buffer that was parsed.
    #[must_use]
    pub fn of(self, buffer: &[u8]) -> &[u8] {
        &buffer[self.start as usize..self.end as usize]
    }

    /// How many bytes there are.
    #[must_use]
    pub const fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The first `count` bytes, and those after them.
    pub(super) const fn split_at(self, count: usize) -> (Self, Self) {
        let middle = self.start + count as u32;
        (
            Self {
                start: self.start,
                end: middle,
            },
            Self {
                start: middle,
                end: self.end,
            },
        )
    }

    pub(super) const fn skip(self, count: usize) -> Self {
        self.split_at(count).1
    }

    fn locate(part: &[u8], buffer: &[u8]) -> Self {
        // Both addresses lie in the same buffer, which is far shorter than 4 GiB.
        let start = (part.as_ptr() as usize - buffer.as_ptr() as usize) as u32;
        Self {
            start,
            end: start + part.len() as u32,
        }
    }
}

/// One field line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name as it was sent.
    pub name: Span,
    /// The value without the white space around it.
    pub value: Span,
    /// The name's position in [`fields::KNOWN`], or [`fields::UNKNOWN`].
    pub identity: u8,
}

/// A request's head, as positions in the buffer it was parsed from. Reused from request to request.
#[derive(Debug, Clone, Default)]
pub struct RequestHead {
    /// The method, a token.
    pub method: Span,
    /// The request target's form.
    pub form: TargetForm,
    /// The path as it was sent, percent-encoded; `/` for an absolute form without one.
    pub path: Option<Span>,
    /// The query without its question mark.
    pub query: Span,
    /// The whole request target as it was sent, for logs.
    pub target: Span,
    /// The version.
    pub version: Version,
    /// The fields in their order, without those whose name holds an underscore.
    pub fields: Vec<Field>,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the client wants the connection kept.
    pub persistence: Persistence,
    /// Whether the client waits for 100 (Continue) before it sends the body.
    pub expectation: Expectation,
    /// Position in `fields` of Host, if there is one.
    pub host: Option<usize>,
}

/// Parses a head from the bytes of a connection that have arrived so far.
///
/// `judged` is how many of them were there at the last call for the same head, 0 at first; it keeps
/// the work proportional to the bytes, however small the pieces that they come in.
///
/// Gives the head's length in bytes when it is complete, and `None` when more must arrive. The
/// answer for given bytes does not depend on how they were cut on their way: what a partial line
/// holds is judged when the line is complete, except for the first byte, which must be able to
/// begin a request.
///
/// # Errors
/// A [`Refusal`] when no continuation of the bytes could be an acceptable request.
pub fn parse(
    buffer: &[u8],
    judged: usize,
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<Option<usize>, Refusal> {
    let window = &buffer[..buffer.len().min(limits.header_section)];
    // RFC 9112 section 2.2: one empty line before the request is ignored.
    let skipped = if window.starts_with(b"\r\n") { 2 } else { 0 };
    let bytes = &window[skipped..];
    match bytes {
        [] | [b'\r'] => return Ok(None),
        [b'\r', b'\n', ..] => return Err(Refusal::LeadingEmptyLines),
        [b'\r' | b'\n', ..] => return Err(Refusal::BareLineBreak),
        [first, ..] if !fields::is_token_byte(*first) => return Err(Refusal::RequestLine),
        _ => {}
    }
    let has_new_line = judged == 0 || memchr(b'\n', &window[judged.min(window.len())..]).is_some();
    if has_new_line && let Some(length) = tokenize(bytes, window, limits, head)? {
        return Ok(Some(skipped + length));
    }
    check_request_line(bytes, limits)?;
    if buffer.len() >= limits.header_section {
        return Err(Refusal::HeaderSectionTooLong);
    }
    Ok(None)
}

/// Runs the tokeniser over all bytes and, when they hold no complete head, judges the complete
/// lines alone, so that the verdict does not depend on the cut.
fn tokenize(
    bytes: &[u8],
    window: &[u8],
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<Option<usize>, Refusal> {
    let first = attempt(bytes, window, limits, head);
    if matches!(first, Ok(Some(_))) {
        return first;
    }
    // A line that ends in a bare LF is refused for what it holds before what comes behind it is seen.
    let Some(last) = bare_line_feed(bytes).or_else(|| memrchr(b'\n', bytes)) else {
        return Ok(None);
    };
    check_request_line(bytes, limits)?;
    attempt(&bytes[..=last], window, limits, head)
}

/// Judges the request line's length, which has a status of its own, before what follows the line.
fn check_request_line(bytes: &[u8], limits: &Limits) -> Result<(), Refusal> {
    let longest = limits.request_line + "\r\n".len();
    if bytes.len() >= longest && memchr(b'\n', &bytes[..longest]).is_none() {
        return Err(Refusal::RequestLineTooLong);
    }
    Ok(())
}

fn attempt(
    bytes: &[u8],
    window: &[u8],
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<Option<usize>, Refusal> {
    let mut table = [const { MaybeUninit::uninit() }; MAX_HEADER_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let room = limits.header_fields.min(MAX_HEADER_FIELDS);
    let length = match request.parse_with_uninit_headers(bytes, &mut table[..room]) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return check_line_breaks(bytes).map(|()| None),
        Err(error) => return Err(classify(error, bytes)),
    };
    check_line_breaks(&bytes[..length])?;
    fill(head, &request, window)?;
    if head.target.len() + head.method.len() + " HTTP/1.1 ".len() > limits.request_line {
        return Err(Refusal::RequestLineTooLong);
    }
    Ok(Some(length))
}

/// A lone LF ends a line for `httparse`, as RFC 9112 section 2.2 allows; others do not see a line
/// end there, and that difference smuggles requests.
fn check_line_breaks(bytes: &[u8]) -> Result<(), Refusal> {
    let ends = bytes.iter().zip(bytes.iter().skip(1));
    // No early exit: the compiler turns the fold into vector instructions.
    let has_bare = ends.fold(bytes.first() == Some(&b'\n'), |found, (before, byte)| {
        found | ((*byte == b'\n') & (*before != b'\r'))
    });
    if has_bare {
        Err(Refusal::BareLineBreak)
    } else {
        Ok(())
    }
}

/// Where the first LF without a CR before it is.
fn bare_line_feed(bytes: &[u8]) -> Option<usize> {
    memchr_iter(b'\n', bytes).find(|&at| at == 0 || bytes[at - 1] != b'\r')
}

fn classify(error: httparse::Error, bytes: &[u8]) -> Refusal {
    match error {
        httparse::Error::HeaderName => Refusal::FieldName,
        httparse::Error::HeaderValue => Refusal::FieldValue,
        httparse::Error::NewLine if !has_more_than_version(bytes) => Refusal::BareLineBreak,
        httparse::Error::TooManyHeaders => Refusal::TooManyFields,
        httparse::Error::Version if names_other_version(bytes) => Refusal::Version,
        _ => Refusal::RequestLine,
    }
}

/// The first line without its line end.
fn request_line(bytes: &[u8]) -> &[u8] {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let line = lines.next().unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether the request line goes on behind a version, as in `HTTP/1.10`; a lone CR is a line break to some.
fn has_more_than_version(bytes: &[u8]) -> bool {
    let line = request_line(bytes);
    memchr(b'\r', line).is_none() && !matches!(line, [.., b'1', b'.', b'0' | b'1'])
}

/// Whether the request line is well formed but for a version such as `HTTP/2.0`.
fn names_other_version(bytes: &[u8]) -> bool {
    let line = request_line(bytes);
    let mut parts = line.split(|&byte| byte == b' ');
    let version = (parts.next(), parts.next(), parts.next(), parts.next());
    matches!(version, (Some(_), Some(_), Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None)
        if major.is_ascii_digit() && minor.is_ascii_digit())
}

fn fill(
    head: &mut RequestHead,
    request: &httparse::Request<'_, '_>,
    buffer: &[u8],
) -> Result<(), Refusal> {
    let method = request.method.ok_or(Refusal::RequestLine)?;
    let target = request.path.ok_or(Refusal::RequestLine)?;
    head.version = if request.version == Some(0) {
        Version::Http10
    } else {
        Version::Http11
    };
    head.method = Span::locate(method.as_bytes(), buffer);
    head.target = Span::locate(target.as_bytes(), buffer);
    let mut meaning = Meaning::default();
    head.fields.clear();
    for header in request.headers.iter() {
        let name = header.name.as_bytes();
        let identity = fields::identify(name);
        // `X_Forwarded_For` and `X-Forwarded-For` become one environ key (RFC 3875 section 4.1.18);
        // a proxy that cleans the one does not see the other.
        if identity == fields::UNKNOWN && memchr(b'_', name).is_some() {
            continue;
        }
        meaning.note(identity, header.value, head.fields.len())?;
        let name = Span::locate(name, buffer);
        head.fields.push(Field {
            name,
            value: Span::locate(header.value, buffer),
            identity,
        });
    }
    (head.framing, head.persistence, head.expectation) = meaning.conclude(head.version)?;
    head.host = meaning.host;
    target::resolve(head, buffer)
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
