//! What the fields of a request mean for its framing and its connection (RFC 9112 sections 6 and 9).
//!
//! Owns Content-Length, Transfer-Encoding, Connection and Expect, and the rule that every doubt
//! about where a body ends is a refusal.

use crate::fields::{self, position};
use crate::refusal::Refusal;

/// A version of HTTP/1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// HTTP/1.0 (RFC 1945).
    Http10,
    /// HTTP/1.1 (RFC 9112).
    #[default]
    Http11,
}

/// Where a request's body ends (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// There is none.
    #[default]
    Empty,
    /// After so many bytes, at least one.
    Length(u64),
    /// After the last chunk.
    Chunked,
}

/// What happens to the connection after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Persistence {
    /// It serves the next request (RFC 9112 section 9.3).
    #[default]
    Keep,
    /// It is closed.
    Close,
}

/// Whether the client waits before it sends the body (RFC 9110 section 10.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expectation {
    /// It does not.
    #[default]
    None,
    /// It waits for 100 (Continue).
    Continue,
}

const CONNECTION: u8 = position("connection");
const CONTENT_LENGTH: u8 = position("content-length");
const EXPECT: u8 = position("expect");
const HOST: u8 = position("host");
const TRANSFER_ENCODING: u8 = position("transfer-encoding");

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Coding {
    #[default]
    Absent,
    Chunked,
    Broken,
    Unknown,
}

/// What has been learnt from the fields seen so far.
#[derive(Default)]
pub(super) struct Meaning {
    length: Option<u64>,
    coding: Coding,
    connection: Option<Persistence>,
    expectation: Expectation,
    /// Position of Host among the fields.
    pub(super) host: Option<usize>,
}

impl Meaning {
    /// Takes in one field; `at` is its position among the fields.
    pub(super) fn note(&mut self, identity: u8, value: &[u8], at: usize) -> Result<(), Refusal> {
        match identity {
            HOST if self.host.replace(at).is_some() => Err(Refusal::Host),
            CONTENT_LENGTH => self.note_length(value),
            TRANSFER_ENCODING => {
                self.note_coding(value);
                Ok(())
            }
            CONNECTION => {
                self.note_connection(value);
                Ok(())
            }
            EXPECT if value.eq_ignore_ascii_case(b"100-continue") => {
                self.expectation = Expectation::Continue;
                Ok(())
            }
            EXPECT => Err(Refusal::Expectation),
            _ => Ok(()),
        }
    }

    /// A second Content-Length is refused even when it repeats the first: whoever sent it did not
    /// mean it, and RFC 9112 section 6.3 lets us.
    fn note_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::ContentLength);
        }
        let length = value
            .iter()
            .try_fold(0_u64, |sum, digit| {
                sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
            })
            .ok_or(Refusal::BodyTooLong)?;
        match self.length.replace(length) {
            None => Ok(()),
            Some(_) => Err(Refusal::ContentLength),
        }
    }

    fn note_coding(&mut self, value: &[u8]) {
        for coding in fields::list(value) {
            self.coding = match (self.coding, coding.eq_ignore_ascii_case(b"chunked")) {
                (Coding::Absent, true) => Coding::Chunked,
                (Coding::Absent | Coding::Unknown, _) => Coding::Unknown,
                _ => Coding::Broken,
            };
        }
        if self.coding == Coding::Absent {
            self.coding = Coding::Broken;
        }
    }

    fn note_connection(&mut self, value: &[u8]) {
        for option in fields::list(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.connection = Some(Persistence::Close);
            } else if option.eq_ignore_ascii_case(b"keep-alive") && self.connection.is_none() {
                self.connection = Some(Persistence::Keep);
            }
        }
    }

    /// What follows from all fields together.
    pub(super) fn conclude(
        &self,
        version: Version,
    ) -> Result<(Framing, Persistence, Expectation), Refusal> {
        let framing = match (self.coding, self.length) {
            (Coding::Absent, None | Some(0)) => Framing::Empty,
            (Coding::Absent, Some(length)) => Framing::Length(length),
            (_, Some(_)) => return Err(Refusal::LengthAndEncoding),
            // RFC 9112 section 6.1: in HTTP/1.0 the framing is faulty.
            _ if version == Version::Http10 => return Err(Refusal::TransferEncoding),
            (Coding::Chunked, None) => Framing::Chunked,
            (Coding::Unknown, None) => return Err(Refusal::UnknownCoding),
            (Coding::Broken, None) => return Err(Refusal::TransferEncoding),
        };
        if version == Version::Http11 && self.host.is_none() {
            return Err(Refusal::Host);
        }
        let default = match version {
            Version::Http10 => Persistence::Close,
            Version::Http11 => Persistence::Keep,
        };
        // RFC 9110 section 10.1.1: an expectation in HTTP/1.0 is ignored, and so is one without a body.
        let expectation = match (version, framing) {
            (Version::Http10, _) | (_, Framing::Empty) => Expectation::None,
            _ => self.expectation,
        };
        Ok((framing, self.connection.unwrap_or(default), expectation))
    }
}
