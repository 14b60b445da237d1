//! Reads one HTTP/1.1 answer from whatever pieces it comes in (RFC 9112, section 6.3). Does no I/O.
//!
//! It is a client of trusted servers: it finds out where an answer ends and that it is the right one, and it
//! refuses whatever it does not need to understand.

use std::fmt;

/// Longest head that is read before the answer is given up.
const MAX_HEAD: usize = 64 * 1024;

/// Why an answer is not the expected one.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// The head or the chunked coding is malformed; the part that is.
    Malformed(&'static str),
    /// A status other than 200.
    Status(String),
    /// The body has another length.
    BodyLength(u64),
    /// Bytes after the end of an answer to the only request under way.
    Excess(usize),
}

impl std::error::Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(part) => write!(out, "malformed {part} in an answer"),
            Self::Status(status) => write!(out, "answered {status}, not 200"),
            Self::BodyLength(length) => write!(out, "answered with a body of {length} bytes"),
            Self::Excess(length) => write!(out, "{length} bytes after the end of an answer"),
        }
    }
}

/// Whether an answer is complete, and what becomes of its connection.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Progress {
    /// More bytes have to come.
    Partial,
    /// Complete; the connection takes the next request.
    Complete,
    /// Complete; the server closes the connection.
    CompleteThenClose,
}

/// What comes next of an answer.
enum Part {
    Head,
    /// This much body.
    Body(u64),
    /// Body up to the end of the connection.
    BodyUntilClose,
    /// A chunk-size line: the size so far, and whether its digits are over.
    ChunkSize(u64, bool),
    /// This much of a chunk and then its line end.
    Chunk(u64),
    ChunkEnd,
    /// A line after the last chunk: its length so far.
    Trailer(u64),
    End,
}

/// An answer that is being read.
pub struct Answer {
    part: Part,
    partial_head: Vec<u8>,
    expected_length: u64,
    length: u64,
    closes: bool,
}

impl Answer {
    /// An answer of which nothing was read, whose body must have the length `expected_length`.
    pub fn new(expected_length: u64) -> Self {
        Self {
            part: Part::Head,
            partial_head: Vec::new(),
            expected_length,
            length: 0,
            closes: false,
        }
    }

    /// Whether no byte was read yet.
    pub fn is_untouched(&self) -> bool {
        matches!(self.part, Part::Head) && self.partial_head.is_empty()
    }

    /// Takes the next bytes of the connection.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Progress, Fault> {
        let mut rest = bytes;
        if matches!(self.part, Part::Head) {
            match self.head(bytes)? {
                Some(used) => rest = &bytes[used..],
                None => return Ok(Progress::Partial),
            }
        }
        while !rest.is_empty() {
            rest = match self.part {
                Part::Head | Part::End => return Err(Fault::Excess(rest.len())),
                Part::Body(left) => self.body(rest, left),
                Part::BodyUntilClose => self.body(rest, u64::MAX),
                Part::Chunk(left) => self.chunk(rest, left),
                _ => self.chunk_framing(rest)?,
            };
        }
        match self.part {
            Part::End => self.complete(),
            _ => Ok(Progress::Partial),
        }
    }

    /// Takes the end of the connection: the end of an answer that has no other.
    pub fn feed_end(&mut self) -> Result<Progress, Fault> {
        match self.part {
            Part::BodyUntilClose => self.complete(),
            _ => Err(Fault::Malformed("end of the connection")),
        }
    }

    fn complete(&self) -> Result<Progress, Fault> {
        if self.length != self.expected_length {
            return Err(Fault::BodyLength(self.length));
        }
        Ok(match self.closes {
            true => Progress::CompleteThenClose,
            false => Progress::Complete,
        })
    }

    /// Reads the head, and gives how many of `bytes` belong to it once it is complete.
    fn head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        let before = self.partial_head.len();
        if before > 0 {
            self.partial_head.extend_from_slice(bytes);
        }
        let seen = if before > 0 {
            &self.partial_head
        } else {
            bytes
        };
        let Some(end) = memchr::memmem::find(seen, b"\r\n\r\n") else {
            if seen.len() > MAX_HEAD {
                return Err(Fault::Malformed("head"));
            }
            if before == 0 {
                self.partial_head.extend_from_slice(bytes);
            }
            return Ok(None);
        };
        let framing = Framing::of(&seen[..end])?;
        self.part = framing.first_part();
        self.closes = framing.closes || matches!(self.part, Part::BodyUntilClose);
        self.partial_head.clear();
        Ok(Some(end + 4 - before))
    }

    fn body<'a>(&mut self, bytes: &'a [u8], left: u64) -> &'a [u8] {
        let taken = left.min(bytes.len() as u64);
        self.length += taken;
        if let Part::Body(left) = &mut self.part {
            *left -= taken;
            if *left == 0 {
                self.part = Part::End;
            }
        }
        &bytes[taken as usize..]
    }

    fn chunk<'a>(&mut self, bytes: &'a [u8], left: u64) -> &'a [u8] {
        let taken = left.min(bytes.len() as u64);
        self.length += taken;
        self.part = match left - taken {
            0 => Part::ChunkEnd,
            left => Part::Chunk(left),
        };
        &bytes[taken as usize..]
    }

    /// Takes one byte of what stands around the chunks' data (RFC 9112, section 7.1).
    fn chunk_framing<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Fault> {
        let byte = bytes[0];
        self.part = match (&self.part, byte) {
            (Part::ChunkSize(0, true), b'\n') => Part::Trailer(0),
            (Part::ChunkSize(size, true), b'\n') => Part::Chunk(*size),
            (Part::ChunkSize(size, true), _) => Part::ChunkSize(*size, true),
            (Part::ChunkSize(size, false), b'\r' | b';' | b' ') => Part::ChunkSize(*size, true),
            (Part::ChunkSize(size, false), _) => {
                let digit = char::from(byte)
                    .to_digit(16)
                    .filter(|_| size.leading_zeros() >= 4)
                    .ok_or(Fault::Malformed("chunk size"))?;
                Part::ChunkSize(size * 16 + u64::from(digit), false)
            }
            (Part::ChunkEnd, b'\r') => Part::ChunkEnd,
            (Part::ChunkEnd, b'\n') => Part::ChunkSize(0, false),
            (Part::Trailer(0), b'\n') => Part::End,
            (Part::Trailer(_), b'\n') => Part::Trailer(0),
            (Part::Trailer(length), b'\r') => Part::Trailer(*length),
            (Part::Trailer(length), _) => Part::Trailer(length + 1),
            _ => return Err(Fault::Malformed("chunk")),
        };
        Ok(&bytes[1..])
    }
}

/// What a head says about the body's end and the connection's.
struct Framing {
    length: Option<u64>,
    chunked: bool,
    closes: bool,
}

impl Framing {
    fn of(head: &[u8]) -> Result<Self, Fault> {
        let mut lines = head.split(|&byte| byte == b'\n');
        let status_line = lines.next().unwrap_or_default().trim_ascii();
        let old = status_line.starts_with(b"HTTP/1.0 ");
        if !old && !status_line.starts_with(b"HTTP/1.1 ") {
            return Err(Fault::Malformed("status line"));
        }
        if status_line.get(9..12) != Some(b"200") {
            return Err(Fault::Status(String::from_utf8_lossy(status_line).into()));
        }
        let mut framing = Self {
            length: None,
            chunked: false,
            closes: old,
        };
        for line in lines {
            framing.field(line)?;
        }
        Ok(framing)
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Fault> {
        let colon = memchr::memchr(b':', line).ok_or(Fault::Malformed("field line"))?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
            self.length = Some(length.ok_or(Fault::Malformed("Content-Length"))?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = value.eq_ignore_ascii_case(b"chunked");
        } else if name.eq_ignore_ascii_case(b"connection") {
            // An HTTP/1.0 server that keeps the connection says so (RFC 9112, section 9.3).
            self.closes = value.eq_ignore_ascii_case(b"close")
                || (self.closes && !value.eq_ignore_ascii_case(b"keep-alive"));
        }
        Ok(())
    }

    fn first_part(&self) -> Part {
        match (self.chunked, self.length) {
            (true, _) => Part::ChunkSize(0, false),
            (false, Some(0)) => Part::End,
            (false, Some(length)) => Part::Body(length),
            (false, None) => Part::BodyUntilClose,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        2\r\nhe\r\n3;x=1\r\nllo\r\n0\r\nX-Trailer: 1\r\n\r\n";
    const CLOSED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";

    fn read(bytes: &[u8], piece: usize) -> Result<Progress, Fault> {
        let mut answer = Answer::new(5);
        let mut last = Progress::Partial;
        for part in bytes.chunks(piece) {
            assert_eq!(last, Progress::Partial);
            last = answer.feed(part)?;
        }
        Ok(last)
    }

    #[test]
    fn any_split_ends_the_same() {
        for piece in 1..CHUNKED.len() {
            assert_eq!(read(FIXED, piece), Ok(Progress::Complete));
            assert_eq!(read(CHUNKED, piece), Ok(Progress::Complete));
            assert_eq!(read(CLOSED, piece), Ok(Progress::CompleteThenClose));
        }
    }

    #[test]
    fn an_old_answer_ends_with_its_connection() {
        let mut answer = Answer::new(5);
        let bytes = b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nhello";
        assert_eq!(answer.feed(bytes), Ok(Progress::Partial));
        assert_eq!(answer.feed_end(), Ok(Progress::CompleteThenClose));
        assert!(Answer::new(5).feed_end().is_err());
    }

    #[test]
    fn wrong_answers_are_faults() {
        let busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
        assert!(matches!(read(busy, 99), Err(Fault::Status(_))));
        let short = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell";
        assert_eq!(read(short, 99), Err(Fault::BodyLength(4)));
        let excess = [FIXED, b"x"].concat();
        assert_eq!(read(&excess, 99), Err(Fault::Excess(1)));
        let chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello";
        assert_eq!(read(chunk, 99), Err(Fault::Malformed("chunk")));
        assert!(matches!(
            read(b"SSH-2.0\r\n\r\n", 99),
            Err(Fault::Malformed(_))
        ));
    }
}
