//! Why a request is refused.
//!
//! Owns the list of reasons and their map to a fault and a status. One function each, so that no
//! other place decides what a peer is told.

use core::fmt;

/// Whose fault an error is; it decides the log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The bytes on the wire were wrong.
    Peer,
    /// The bytes were well formed, and more than a configured bound.
    Limit,
}

/// A reason to refuse a request. The connection is closed after the answer: once the framing is in
/// doubt, nothing behind it can be believed (RFC 9112 section 11.2). [`Refusal::Overload`] alone leaves
/// it as it is, for its request was a good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The request line is not `method SP request-target SP HTTP-version` (RFC 9112 section 3).
    RequestLine,
    /// A line ends in a bare LF, or holds a bare CR (RFC 9112 section 2.2).
    BareLineBreak,
    /// More than one empty line comes before the request line.
    LeadingEmptyLines,
    /// The version is none that HTTP/1 speaks (RFC 9110 section 15.6.6).
    Version,
    /// A field name is no token, or is followed by white space (RFC 9112 section 5.1), or a line is folded (5.2).
    FieldName,
    /// A field value holds a control character (RFC 9110 section 5.5).
    FieldValue,
    /// The request target fits none of the four forms (RFC 9112 section 3.2).
    Target,
    /// Host is missing, repeated or no `uri-host [":" port]` (RFC 9112 section 3.2).
    Host,
    /// Content-Length is no plain decimal, or is sent more than once (RFC 9112 section 6.3).
    ContentLength,
    /// Both Content-Length and Transfer-Encoding, the classic smuggling pair (RFC 9112 section 6.1).
    LengthAndEncoding,
    /// Transfer-Encoding where chunked is not the one and final coding, or in HTTP/1.0.
    TransferEncoding,
    /// A transfer coding that is not implemented (RFC 9112 section 6.1).
    UnknownCoding,
    /// An expectation other than 100-continue (RFC 9110 section 10.1.1).
    Expectation,
    /// CONNECT asks for a tunnel, and there is none here.
    Connect,
    /// A chunk size is no plain hexadecimal, or overflows (RFC 9112 section 7.1).
    ChunkSize,
    /// A chunk's data is not followed by CRLF (RFC 9112 section 7.1).
    ChunkEnd,
    /// Chunk extensions hold a control character, or exceed [`crate::limits::CHUNK_EXTENSIONS`].
    ChunkExtension,
    /// The trailer section is malformed, or exceeds [`crate::limits::TRAILER_SECTION`].
    Trailer,
    /// The request line is longer than [`crate::Limits::request_line`].
    RequestLineTooLong,
    /// The head is longer than [`crate::Limits::header_section`].
    HeaderSectionTooLong,
    /// The head has more field lines than [`crate::Limits::header_fields`].
    TooManyFields,
    /// The body is longer than [`crate::Limits::body`].
    BodyTooLong,
    /// The head or the body did not arrive in time.
    Timeout,
    /// The application has as much in hand as it may, and as much waits for it (RFC 9110 section 15.6.4).
    Overload,
}

impl Refusal {
    /// All reasons, for tests and documentation that walk them.
    pub const ALL: [Self; 24] = [
        Self::RequestLine,
        Self::BareLineBreak,
        Self::LeadingEmptyLines,
        Self::Version,
        Self::FieldName,
        Self::FieldValue,
        Self::Target,
        Self::Host,
        Self::ContentLength,
        Self::LengthAndEncoding,
        Self::TransferEncoding,
        Self::UnknownCoding,
        Self::Expectation,
        Self::Connect,
        Self::ChunkSize,
        Self::ChunkEnd,
        Self::ChunkExtension,
        Self::Trailer,
        Self::RequestLineTooLong,
        Self::HeaderSectionTooLong,
        Self::TooManyFields,
        Self::BodyTooLong,
        Self::Timeout,
        Self::Overload,
    ];

    /// The status that the peer is answered with (RFC 9110 section 15, RFC 6585 section 5).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Version => 505,
            Self::UnknownCoding | Self::Connect => 501,
            Self::Expectation => 417,
            Self::RequestLineTooLong => 414,
            Self::HeaderSectionTooLong | Self::TooManyFields => 431,
            Self::BodyTooLong => 413,
            Self::Timeout => 408,
            Self::Overload => 503,
            _ => 400,
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn fault(self) -> Fault {
        match self {
            Self::RequestLineTooLong
            | Self::HeaderSectionTooLong
            | Self::TooManyFields
            | Self::BodyTooLong
            | Self::Timeout
            | Self::Overload => Fault::Limit,
            _ => Fault::Peer,
        }
    }

    /// One sentence for the answer's body and the log.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::RequestLine => "malformed request line",
            Self::BareLineBreak => "a line must end in CRLF",
            Self::LeadingEmptyLines => "too many empty lines before the request",
            Self::Version => "HTTP version not supported",
            Self::FieldName => "malformed field name",
            Self::FieldValue => "control character in a field value",
            Self::Target => "malformed request target",
            Self::Host => "missing, repeated or malformed Host",
            Self::ContentLength => "malformed or repeated Content-Length",
            Self::LengthAndEncoding => "both Content-Length and Transfer-Encoding",
            Self::TransferEncoding => "chunked must be the one and final transfer coding",
            Self::UnknownCoding => "transfer coding not implemented",
            Self::Expectation => "unknown expectation",
            Self::Connect => "CONNECT is not implemented",
            Self::ChunkSize => "malformed chunk size",
            Self::ChunkEnd => "chunk data must end in CRLF",
            Self::ChunkExtension => "malformed or too many chunk extensions",
            Self::Trailer => "malformed or too long trailer section",
            Self::RequestLineTooLong => "request line too long",
            Self::HeaderSectionTooLong => "header section too long",
            Self::TooManyFields => "too many header fields",
            Self::BodyTooLong => "request body too long",
            Self::Timeout => "the request did not arrive in time",
            Self::Overload => "too many requests at once",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_client_or_server_error_status_and_a_sentence() {
        for refusal in Refusal::ALL {
            assert!((400..600).contains(&refusal.status()), "{refusal:?}");
            assert!(!refusal.reason().is_empty());
        }
    }

    #[test]
    fn limits_are_not_the_peers_fault() {
        let limits: Vec<_> = Refusal::ALL
            .into_iter()
            .filter(|r| r.fault() == Fault::Limit)
            .map(Refusal::status)
            .collect();
        assert_eq!(limits, [414, 431, 431, 413, 408, 503]);
    }
}
