//! Request content that waits for its application.
//!
//! Owns where it waits: in memory, or past a threshold in a temporary file without a name.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// The content of a request, as far as it has arrived and nobody has taken it.
#[derive(Debug)]
pub enum Content {
    /// In memory.
    Memory(Vec<u8>),
    /// In a file, to be read from its beginning.
    File {
        /// The file, positioned at its end while content arrives.
        file: File,
        /// Its length in bytes.
        length: u64,
    },
}

impl Content {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self::Memory(Vec::new())
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds bytes, and moves all to a file when they pass `threshold`.
    pub(crate) fn append(&mut self, bytes: &[u8], threshold: usize) -> io::Result<()> {
        match self {
            Self::Memory(held) if held.len() + bytes.len() <= threshold => {
                held.extend_from_slice(bytes);
                Ok(())
            }
            Self::Memory(held) => {
                let mut file = temporary_file()?;
                file.write_all(held)?;
                file.write_all(bytes)?;
                *self = Self::File {
                    file,
                    length: (held.len() + bytes.len()) as u64,
                };
                Ok(())
            }
            Self::File { file, length } => {
                file.write_all(bytes)?;
                *length += bytes.len() as u64;
                Ok(())
            }
        }
    }

    /// Takes all, positioned for reading, and leaves nothing.
    pub(crate) fn take(&mut self) -> io::Result<Self> {
        let mut taken = std::mem::take(self);
        if let Self::File { file, .. } = &mut taken {
            file.seek(SeekFrom::Start(0))?;
        }
        Ok(taken)
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::new()
    }
}

/// A file in `TMPDIR` that has no name and is gone with its descriptor.
pub(crate) fn temporary_file() -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file: OwnedFd = open(std::env::temp_dir(), flags, Mode::RUSR | Mode::WUSR)?;
    Ok(File::from(file))
}

/// The length of a regular file, and `None` for any other descriptor.
#[must_use]
pub fn regular_file_length(descriptor: RawFd) -> Option<u64> {
    // SAFETY: the descriptor is only looked at, and a closed one is an error like any other.
    let status = rustix::fs::fstat(unsafe { BorrowedFd::borrow_raw(descriptor) }).ok()?;
    let is_regular = rustix::fs::FileType::from_raw_mode(status.st_mode).is_file();
    is_regular.then(|| u64::try_from(status.st_size).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn content_moves_to_a_file_past_the_threshold() {
        let mut content = Content::new();
        content.append(b"abc", 4).unwrap();
        content.append(b"d", 4).unwrap();
        assert!(matches!(&content, Content::Memory(held) if held == b"abcd"));
        content.append(b"e", 4).unwrap();
        content.append(b"f", 4).unwrap();
        assert_eq!(content.len(), 6);
        let Content::File { mut file, length } = content.take().unwrap() else {
            panic!("in memory")
        };
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(
            (text.as_str(), length, content.is_empty()),
            ("abcdef", 6, true)
        );
    }
}
