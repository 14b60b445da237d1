//! The requests that a worker is answering, where others can read them at any time.
//!
//! Owns the table's entries: what they hold, how the worker writes them, and how a reader in another
//! process tells a whole entry from one that is being written. It must not know where the table lies.
//!
//! An entry's version is odd while nothing can be read of it: before its first use, while it is
//! written, and after its request has ended. A reader takes the values between two looks at the
//! version, and believes them if it was even and the same both times.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::clock::Millis;
use crate::connection::Peer;
use crate::exchange::ExchangeId;
use crate::table::ConnectionId;

/// Entries of one worker. Requests beyond that are counted, and not listed.
pub(crate) const TABLE: usize = 512;
const METHOD_WORDS: usize = 2;
const PATH_WORDS: usize = 15;
const WORD: usize = 8;

/// One request, in three cache lines.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct Entry {
    version: AtomicU64,
    /// When it began, in milliseconds of the monotonic clock.
    began: AtomicU64,
    connection: AtomicU64,
    serial: AtomicU64,
    /// From the lowest byte: lengths of method and path, the kind of address; then the port.
    shape: AtomicU64,
    /// The halves of an IPv6 address, or an IPv4 one in the second.
    address: [AtomicU64; 2],
    method: [AtomicU64; METHOD_WORDS],
    path: [AtomicU64; PATH_WORDS],
}

const IPV4: u64 = 4 << 16;
const IPV6: u64 = 6 << 16;
const KIND: u64 = 0xff << 16;

/// A request in flight, as somebody else has read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInFlight {
    /// Its name in the worker's engine.
    pub id: ExchangeId,
    /// The method, cut at 16 bytes.
    pub method: Vec<u8>,
    /// The path as it was sent, without its query, cut at 120 bytes.
    pub path: Vec<u8>,
    /// Who sent it.
    pub peer: Peer,
    /// Milliseconds since it began.
    pub age: Millis,
}

/// What is written of a request.
pub(crate) struct Description<'a> {
    pub(crate) id: ExchangeId,
    pub(crate) method: &'a [u8],
    pub(crate) path: &'a [u8],
    pub(crate) peer: Peer,
    pub(crate) began: Millis,
}

impl Entry {
    fn write(&self, what: &Description<'_>) {
        let version = self.hide();
        // Nobody may see the new values with the old version.
        fence(Ordering::Release);
        set(&self.began, what.began);
        set(&self.connection, what.id.connection.to_token());
        set(&self.serial, u64::from(what.id.serial));
        let method = put(&self.method, what.method);
        let path = put(&self.path, what.path);
        let mut shape = (method | path << 8) as u64;
        if let Peer::Internet(peer) = what.peer {
            shape |= u64::from(peer.port()) << 32;
            match peer.ip() {
                IpAddr::V4(address) => {
                    set(&self.address[1], u64::from(address.to_bits()));
                    shape |= IPV4;
                }
                IpAddr::V6(address) => {
                    let bits = address.to_bits();
                    set(&self.address[0], (bits >> 64) as u64);
                    set(&self.address[1], bits as u64);
                    shape |= IPV6;
                }
            }
        }
        set(&self.shape, shape);
        self.version
            .store(version.wrapping_add(1), Ordering::Release);
    }

    /// Makes the entry unreadable; its version then.
    fn hide(&self) -> u64 {
        let version = get(&self.version) | 1;
        set(&self.version, version);
        version
    }

    /// The request, if there is one; a torn entry is none.
    pub(crate) fn read(&self, now: Millis) -> Option<RequestInFlight> {
        let version = self.version.load(Ordering::Acquire);
        if version == 0 || version & 1 == 1 {
            return None;
        }
        let shape = get(&self.shape);
        let (method, path) = (shape as u8, (shape >> 8) as u8);
        let (high, low) = (get(&self.address[0]), get(&self.address[1]));
        let address: IpAddr = match shape & KIND {
            IPV6 => Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)).into(),
            _ => Ipv4Addr::from_bits(low as u32).into(),
        };
        let request = RequestInFlight {
            id: ExchangeId {
                connection: ConnectionId::from_token(get(&self.connection)),
                serial: get(&self.serial) as u32,
            },
            method: take(&self.method, method),
            path: take(&self.path, path),
            peer: match shape & KIND {
                IPV4 | IPV6 => Peer::Internet(SocketAddr::new(address, (shape >> 32) as u16)),
                _ => Peer::Unix,
            },
            age: now.saturating_sub(get(&self.began)),
        };
        // The values must have been read before the version is looked at again.
        fence(Ordering::Acquire);
        (get(&self.version) == version).then_some(request)
    }
}

fn get(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}

fn set(word: &AtomicU64, value: u64) {
    word.store(value, Ordering::Relaxed);
}

/// Stores as much of a text as there is room for; how much that was.
fn put(words: &[AtomicU64], text: &[u8]) -> usize {
    let text = &text[..text.len().min(words.len() * WORD)];
    for (word, chunk) in words.iter().zip(text.chunks(WORD)) {
        let mut bytes = [0; WORD];
        bytes[..chunk.len()].copy_from_slice(chunk);
        set(word, u64::from_ne_bytes(bytes));
    }
    text.len()
}

/// The text again. The length is a stranger's, and so is held to the room there is.
fn take(words: &[AtomicU64], length: u8) -> Vec<u8> {
    let bytes = words.iter().flat_map(|word| get(word).to_ne_bytes());
    bytes.take(usize::from(length)).collect()
}

/// The place of a request in the table, if it found one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u16);

impl Place {
    pub(crate) const NOWHERE: Self = Self(u16::MAX);
}

/// The worker's own side of its table: which entries are free. The last one freed is used first, so that
/// no more of the table is touched than there are requests at once.
pub(crate) struct Recorder {
    free: Vec<u16>,
    used: u16,
}

impl Recorder {
    pub(crate) const fn new() -> Self {
        Self {
            free: Vec::new(),
            used: 0,
        }
    }

    /// Lists a request. `recorded` is how many entries a reader looks at.
    pub(crate) fn begin(
        &mut self,
        table: &[Entry; TABLE],
        recorded: &AtomicU64,
        what: &Description<'_>,
    ) -> Place {
        if let Some(index) = self.free.pop() {
            table[usize::from(index)].write(what);
            return Place(index);
        }
        let index = self.used;
        let Some(entry) = table.get(usize::from(index)) else {
            return Place::NOWHERE;
        };
        entry.write(what);
        self.used += 1;
        // Only now, since before this an entry may hold what a former worker left there.
        recorded.store(u64::from(self.used), Ordering::Release);
        Place(index)
    }

    pub(crate) fn end(&mut self, table: &[Entry; TABLE], place: Place) {
        if let Some(entry) = table.get(usize::from(place.0)) {
            entry.hide();
            self.free.push(place.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoreboard::Scoreboard;

    fn described(method: &'static str, path: &'static str, serial: u32) -> Description<'static> {
        Description {
            id: ExchangeId {
                connection: ConnectionId {
                    index: 3,
                    generation: 9,
                },
                serial,
            },
            method: method.as_bytes(),
            path: path.as_bytes(),
            peer: Peer::Internet(([127, 0, 0, 1], 8000).into()),
            began: 0,
        }
    }

    fn begin(board: &Scoreboard, recorder: &mut Recorder, what: &Description<'_>) -> Place {
        let recorded = &board.slot(0).unwrap().recorded;
        recorder.begin(board.table(0).unwrap(), recorded, what)
    }

    fn paths(board: &Scoreboard) -> Vec<String> {
        let requests = board.requests(0).unwrap();
        let text = |request: RequestInFlight| String::from_utf8(request.path).unwrap();
        requests.into_iter().map(text).collect()
    }

    #[test]
    fn what_is_in_flight_can_be_read() {
        let board = Scoreboard::new(1).unwrap();
        let mut recorder = Recorder::new();
        begin(&board, &mut recorder, &described("GET", "/first", 1));
        let mut second = described("PROPFIND", "/second/with/a/longer/path", 2);
        second.peer = Peer::Unix;
        let place = begin(&board, &mut recorder, &second);
        let requests = board.requests(0).unwrap();
        assert_eq!(requests[0].id, described("", "", 1).id);
        assert_eq!(requests[0].method, b"GET");
        assert_eq!(requests[0].path, b"/first");
        assert_eq!(
            requests[0].peer,
            Peer::Internet(([127, 0, 0, 1], 8000).into())
        );
        assert!(requests[0].age > 0);
        assert_eq!(requests[1].method, b"PROPFIND");
        assert_eq!(requests[1].path, b"/second/with/a/longer/path");
        assert_eq!(requests[1].peer, Peer::Unix);
        recorder.end(board.table(0).unwrap(), place);
        assert_eq!(paths(&board), ["/first"]);
        let peer = SocketAddr::new(Ipv6Addr::from_bits(7 << 64 | 9).into(), 443);
        second.peer = Peer::Internet(peer);
        begin(&board, &mut recorder, &second);
        assert_eq!(board.requests(0).unwrap()[1].peer, second.peer);
    }

    #[test]
    fn a_path_and_a_method_are_cut() {
        let board = Scoreboard::new(1).unwrap();
        let (method, path) = ("M".repeat(40), format!("/{}", "p".repeat(300)));
        let what = Description {
            method: method.as_bytes(),
            path: path.as_bytes(),
            ..described("", "", 1)
        };
        begin(&board, &mut Recorder::new(), &what);
        let requests = board.requests(0).unwrap();
        assert_eq!(requests[0].method, &method.as_bytes()[..16]);
        assert_eq!(requests[0].path, &path.as_bytes()[..120]);
    }

    #[test]
    fn an_entry_is_used_again_and_a_full_table_lists_no_more() {
        let board = Scoreboard::new(1).unwrap();
        let mut recorder = Recorder::new();
        let place = begin(&board, &mut recorder, &described("GET", "/a", 1));
        recorder.end(board.table(0).unwrap(), place);
        assert_eq!(
            begin(&board, &mut recorder, &described("GET", "/b", 2)),
            place
        );
        for serial in 1..TABLE as u32 {
            begin(&board, &mut recorder, &described("GET", "/c", serial));
        }
        let nowhere = begin(&board, &mut recorder, &described("GET", "/d", 1));
        assert_eq!(nowhere, Place::NOWHERE);
        recorder.end(board.table(0).unwrap(), nowhere);
        assert_eq!(board.requests(0).unwrap().len(), TABLE);
    }

    #[test]
    fn an_entry_that_is_being_written_is_no_request() {
        let board = Scoreboard::new(1).unwrap();
        begin(&board, &mut Recorder::new(), &described("GET", "/a", 1));
        let entry = &board.table(0).unwrap()[0];
        let version = entry.hide();
        assert_eq!(paths(&board), [""; 0]);
        set(&entry.version, version + 1);
        assert_eq!(paths(&board), ["/a"]);
    }

    #[test]
    fn versions_wrap_without_a_false_request() {
        let board = Scoreboard::new(1).unwrap();
        let mut recorder = Recorder::new();
        let place = begin(&board, &mut recorder, &described("GET", "/a", 1));
        set(&board.table(0).unwrap()[0].version, u64::MAX - 1);
        assert_eq!(paths(&board), ["/a"]);
        recorder.end(board.table(0).unwrap(), place);
        begin(&board, &mut recorder, &described("GET", "/b", 2));
        // Version zero stands for an entry that was never used: one request in 2 to the power of 63 is not seen.
        assert_eq!(paths(&board), [""; 0]);
    }

    #[test]
    fn lengths_and_counts_of_a_mad_worker_are_not_believed() {
        let board = Scoreboard::new(1).unwrap();
        begin(&board, &mut Recorder::new(), &described("GET", "/a", 1));
        let entry = &board.table(0).unwrap()[0];
        set(&entry.shape, u64::MAX);
        set(&board.slot(0).unwrap().recorded, u64::MAX);
        let requests = board.requests(0).unwrap();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].method.len(), METHOD_WORDS * WORD);
        assert_eq!(requests[0].path.len(), PATH_WORDS * WORD);
    }

    #[test]
    fn a_successor_does_not_show_what_its_predecessor_left() {
        let board = Scoreboard::new(1).unwrap();
        let mut recorder = Recorder::new();
        begin(&board, &mut recorder, &described("GET", "/old", 1));
        begin(&board, &mut recorder, &described("GET", "/older", 2));
        board.clear(0);
        assert_eq!(paths(&board), [""; 0]);
        begin(&board, &mut Recorder::new(), &described("GET", "/new", 1));
        assert_eq!(paths(&board), ["/new"]);
    }

    #[test]
    fn a_reader_never_sees_half_of_two_requests() {
        let board = Scoreboard::new(1).unwrap();
        let (writers_board, rounds) = (board.clone(), 200_000);
        let writer = std::thread::spawn(move || {
            let mut recorder = Recorder::new();
            for round in 0..rounds {
                let what = match round % 2 {
                    0 => described("AAAAAAAAAAAA", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1),
                    _ => described("BBBBBBBB", "/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 2),
                };
                let place = begin(&writers_board, &mut recorder, &what);
                recorder.end(writers_board.table(0).unwrap(), place);
            }
        });
        while !writer.is_finished() {
            for request in board.requests(0).unwrap() {
                let (letter, length) = match request.id.serial {
                    1 => (b'a', 37),
                    _ => (b'b', 32),
                };
                assert_eq!(request.path.len(), length);
                assert!(request.path[1..].iter().all(|&byte| byte == letter));
                assert!(request.method.iter().all(|&byte| byte == letter - 32));
            }
        }
        writer.join().unwrap();
    }
}
