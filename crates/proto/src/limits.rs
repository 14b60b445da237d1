//! The bounds on what a peer may send.
//!
//! Owns the limits that concern bytes; deadlines belong to the engine, which has a clock.

/// Bounds on one request. Sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest request line, without its CRLF. RFC 9112 section 3 recommends at least 8000 octets;
    /// a longer one is answered with 414.
    pub request_line: usize,
    /// Longest head: request line and header section together. A longer one is answered with 431.
    pub header_section: usize,
    /// Most field lines in a header section (431 beyond). Guards the app against hash flooding and
    /// the parser against quadratic work.
    pub header_fields: usize,
    /// Longest request body (413 beyond).
    pub body: u64,
}

/// Most field lines that [`Limits::header_fields`] may ask for; the parser's table is this long.
pub const MAX_HEADER_FIELDS: usize = 1024;

/// Bytes of chunk extensions that one body may carry in all. Extensions are thrown away, so a peer
/// that sends many only makes us work (CVE-2023-39326 is this flood in Go's net/http).
pub const CHUNK_EXTENSIONS: usize = 4096;

/// Bytes of a trailer section. Trailers are checked and thrown away.
pub const TRAILER_SECTION: usize = 8192;

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line: 8 * 1024,
            header_section: 64 * 1024,
            header_fields: 100,
            body: 1 << 30,
        }
    }
}
