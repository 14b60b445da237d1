//! The body of a request: Content-Length and chunked (RFC 9112 sections 6 and 7).
//!
//! Owns where content lies in the bytes that arrive, and where the message ends. It copies nothing:
//! it tells the caller which part of its input is content.

use core::ops::Range;

use memchr::memchr;

use super::semantics::Framing;
use crate::fields;
use crate::limits::{CHUNK_EXTENSIONS, TRAILER_SECTION};
use crate::refusal::Refusal;

/// What a reader found in the bytes it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A range of the input is content; what comes before its end is used up.
    Content(Range<usize>),
    /// The input is used up, and the body goes on.
    NeedMore,
    /// The body ended; so many bytes of the input belong to it, and the rest to the next request.
    End(usize),
}

/// Reads one request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyReader {
    state: State,
    /// Content bytes that the limit still allows.
    allowance: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes of a Content-Length body remain.
    Length(u64),
    Chunk(Chunk),
    Done,
}

/// The chunked coding, byte by byte: `1*HEXDIG [ext] CRLF data CRLF ... 0 CRLF trailers CRLF`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    SizeStart {
        extensions: usize,
    },
    Size {
        size: u64,
        digits: usize,
        extensions: usize,
    },
    Extension {
        size: u64,
        extensions: usize,
        quote: Quote,
    },
    SizeLf {
        size: u64,
        extensions: usize,
    },
    Data {
        remaining: u64,
        extensions: usize,
    },
    DataCr {
        extensions: usize,
    },
    DataLf {
        extensions: usize,
    },
    Trailer {
        seen: usize,
        part: TrailerPart,
    },
}

/// Where in a chunk extension's `quoted-string` the reader is: a CR in quotes is no line end for some
/// parsers, so it is refused everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quote {
    Outside,
    Inside,
    Escaped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TrailerPart {
    LineStart,
    Name,
    Value,
    LineLf,
    LastLf,
}

impl BodyReader {
    /// A reader for a body with this framing, of at most `limit` bytes of content.
    ///
    /// # Errors
    /// [`Refusal::BodyTooLong`] when the announced length is over the limit already.
    pub fn new(framing: Framing, limit: u64) -> Result<Self, Refusal> {
        let state = match framing {
            Framing::Empty => State::Done,
            Framing::Length(length) if length > limit => return Err(Refusal::BodyTooLong),
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunk(Chunk::SizeStart { extensions: 0 }),
        };
        Ok(Self {
            state,
            allowance: limit,
        })
    }

    /// Whether the whole body has been read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The content bytes that are known to be missing; `None` where only the last chunk will tell.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length(remaining) => Some(remaining),
            State::Done => Some(0),
            State::Chunk(_) => None,
        }
    }

    /// Looks for content in the bytes that follow those of the last call's [`Progress`].
    ///
    /// # Errors
    /// A [`Refusal`] when the framing is broken or the body is over its limit.
    pub fn advance(&mut self, input: &[u8]) -> Result<Progress, Refusal> {
        let mut at = 0;
        while at < input.len() {
            match self.state {
                State::Done => break,
                State::Length(remaining) => {
                    let take = clamp(remaining, input.len() - at);
                    let left = remaining - take as u64;
                    self.state = if left == 0 {
                        State::Done
                    } else {
                        State::Length(left)
                    };
                    return Ok(Progress::Content(at..at + take));
                }
                State::Chunk(Chunk::Data {
                    remaining,
                    extensions,
                }) => {
                    let take = clamp(remaining, input.len() - at);
                    let left = remaining - take as u64;
                    self.state = State::Chunk(match left {
                        0 => Chunk::DataCr { extensions },
                        _ => Chunk::Data {
                            remaining: left,
                            extensions,
                        },
                    });
                    return Ok(Progress::Content(at..at + take));
                }
                State::Chunk(chunk) => {
                    at += self.advance_line(chunk, &input[at..])?;
                }
            }
        }
        Ok(if self.is_done() {
            Progress::End(at)
        } else {
            Progress::NeedMore
        })
    }

    /// Takes at least one byte of what is not content: a size line, a line end, the trailers.
    fn advance_line(&mut self, chunk: Chunk, input: &[u8]) -> Result<usize, Refusal> {
        let byte = input[0];
        let next = match chunk {
            Chunk::SizeStart { extensions } => {
                let size = hex(byte).ok_or(Refusal::ChunkSize)?;
                Chunk::Size {
                    size,
                    digits: 1,
                    extensions,
                }
            }
            Chunk::Size {
                size,
                digits,
                extensions,
            } => size_byte(byte, size, digits, extensions)?,
            Chunk::Extension {
                size,
                extensions,
                quote,
            } => extension_byte(byte, size, extensions, quote)?,
            Chunk::SizeLf { size, extensions } => {
                expect(byte, b'\n', Refusal::BareLineBreak)?;
                return self.begin_chunk(size, extensions).map(|()| 1);
            }
            Chunk::DataCr { extensions } => {
                expect(byte, b'\r', Refusal::ChunkEnd)?;
                Chunk::DataLf { extensions }
            }
            Chunk::DataLf { extensions } => {
                expect(byte, b'\n', Refusal::ChunkEnd)?;
                Chunk::SizeStart { extensions }
            }
            Chunk::Trailer { seen, part } => return self.advance_trailer(seen, part, input),
            Chunk::Data { .. } => chunk,
        };
        self.state = State::Chunk(next);
        Ok(1)
    }

    fn begin_chunk(&mut self, size: u64, extensions: usize) -> Result<(), Refusal> {
        self.allowance = self
            .allowance
            .checked_sub(size)
            .ok_or(Refusal::BodyTooLong)?;
        self.state = State::Chunk(match size {
            0 => Chunk::Trailer {
                seen: 0,
                part: TrailerPart::LineStart,
            },
            _ => Chunk::Data {
                remaining: size,
                extensions,
            },
        });
        Ok(())
    }

    /// Checks a trailer section (RFC 9112 section 7.1.2) as strictly as a header section, and drops it.
    fn advance_trailer(
        &mut self,
        seen: usize,
        part: TrailerPart,
        input: &[u8],
    ) -> Result<usize, Refusal> {
        let taken = match part {
            TrailerPart::Value => memchr(b'\r', input).unwrap_or(input.len()).max(1),
            _ => 1,
        };
        let seen = seen + taken;
        let byte = input[0];
        let next = match part {
            TrailerPart::LineStart if byte == b'\r' => TrailerPart::LastLf,
            TrailerPart::LineStart if fields::is_token_byte(byte) => TrailerPart::Name,
            TrailerPart::Name if byte == b':' => TrailerPart::Value,
            TrailerPart::Name if fields::is_token_byte(byte) => TrailerPart::Name,
            TrailerPart::Value if byte == b'\r' => TrailerPart::LineLf,
            TrailerPart::Value if fields::is_value(&input[..taken]) => TrailerPart::Value,
            TrailerPart::LineLf if byte == b'\n' => TrailerPart::LineStart,
            TrailerPart::LastLf if byte == b'\n' => {
                self.state = State::Done;
                return Ok(1);
            }
            _ => return Err(Refusal::Trailer),
        };
        if seen > TRAILER_SECTION {
            return Err(Refusal::Trailer);
        }
        self.state = State::Chunk(Chunk::Trailer { seen, part: next });
        Ok(taken)
    }
}

/// Sixteen digits fill the 64 bits of a size; more are an overflow, or zeros that only cost time.
const SIZE_DIGITS: usize = 16;

fn size_byte(byte: u8, size: u64, digits: usize, extensions: usize) -> Result<Chunk, Refusal> {
    match byte {
        b'\r' => Ok(Chunk::SizeLf { size, extensions }),
        b';' => Ok(Chunk::Extension {
            size,
            extensions,
            quote: Quote::Outside,
        }),
        _ => {
            let digit = hex(byte).ok_or(Refusal::ChunkSize)?;
            if digits == SIZE_DIGITS {
                return Err(Refusal::ChunkSize);
            }
            Ok(Chunk::Size {
                size: size << 4 | digit,
                digits: digits + 1,
                extensions,
            })
        }
    }
}

fn extension_byte(byte: u8, size: u64, extensions: usize, quote: Quote) -> Result<Chunk, Refusal> {
    if byte == b'\r' && quote == Quote::Outside {
        return Ok(Chunk::SizeLf { size, extensions });
    }
    let extensions = extensions + 1;
    if extensions > CHUNK_EXTENSIONS {
        return Err(Refusal::ChunkExtension);
    }
    let quote = match (byte, quote) {
        (b'"', Quote::Outside) | (_, Quote::Escaped) => Quote::Inside,
        (b'"', Quote::Inside) => Quote::Outside,
        (b'\\', Quote::Inside) => Quote::Escaped,
        (_, quote) => quote,
    };
    if !fields::is_value_byte(byte) {
        return Err(Refusal::ChunkExtension);
    }
    Ok(Chunk::Extension {
        size,
        extensions,
        quote,
    })
}

fn expect(byte: u8, wanted: u8, refusal: Refusal) -> Result<(), Refusal> {
    if byte == wanted { Ok(()) } else { Err(refusal) }
}

fn hex(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

fn clamp(remaining: u64, available: usize) -> usize {
    usize::try_from(remaining)
        .unwrap_or(usize::MAX)
        .min(available)
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
