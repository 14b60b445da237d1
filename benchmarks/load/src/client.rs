//! Keeps every connection busy with one request at a time. Knows neither HTTP's framing nor the command line.

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::answer::{Answer, Fault, Progress};
use crate::histogram::Histogram;
use crate::options::Options;

/// Connections that are opened before the first of them has its answer: well under any server's backlog.
const OPENED_AT_ONCE: usize = 64;
/// An answer of the largest work fits, so that one call reads it.
const SCRATCH: usize = 256 * 1024;
const EVENTS: usize = 256;
/// The server is given up when nothing has come for this time.
const SILENCE: Duration = Duration::from_secs(20);
/// A request is sent again when a kept connection was closed under it, this often.
const MAX_ATTEMPTS: u32 = 3;
const POLL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Where a run ends: at the first of the two.
pub struct Bounds {
    /// How many requests are sent.
    pub requests: u64,
    /// How long requests are sent.
    pub time: Duration,
}

/// What a run saw.
pub struct Tally {
    /// Complete and right answers.
    pub answers: u64,
    /// Connections that the server closed and the client opened again.
    pub reconnects: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// From the request (or its connection) to the last byte of the answer.
    pub latency: Histogram,
}

/// All connections, and what is sent on them.
pub struct Client {
    epoll: OwnedFd,
    address: SocketAddr,
    request: Vec<u8>,
    body_length: u64,
    connections: Vec<Connection>,
    scratch: Box<[u8]>,
}

struct Connection {
    phase: Phase,
    /// Bytes of the request that did not fit into the socket yet.
    unsent: usize,
    started: Instant,
    attempts: u32,
}

enum Phase {
    /// The next request opens a connection.
    Closed,
    Idle(TcpStream),
    Waiting(TcpStream, Answer),
    /// The answer is complete and the server closes.
    Closing(TcpStream),
}

/// A run that is going on.
struct Run<'a> {
    bounds: &'a Bounds,
    started: Instant,
    sent: u64,
    /// Connections that wait for an answer or for the server to close.
    under_way: usize,
    tally: Tally,
}

impl Client {
    /// Opens all connections and has one request answered on each.
    pub fn open(options: &Options, request: Vec<u8>) -> Result<Self> {
        let now = Instant::now();
        let mut client = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            address: options.address,
            request,
            body_length: options.body_length,
            connections: Vec::with_capacity(options.connections),
            scratch: vec![0; SCRATCH].into(),
        };
        client
            .connections
            .resize_with(options.connections, || Connection {
                phase: Phase::Closed,
                unsent: 0,
                started: now,
                attempts: 0,
            });
        for first in (0..options.connections).step_by(OPENED_AT_ONCE) {
            let range = first..options.connections.min(first + OPENED_AT_ONCE);
            let bounds = Bounds {
                requests: range.len() as u64,
                time: Duration::MAX,
            };
            client.drive(range, &bounds)?;
        }
        Ok(client)
    }

    /// Keeps all connections busy up to the bounds, and returns when every request is answered.
    pub fn run(&mut self, bounds: &Bounds) -> Result<Tally> {
        self.drive(0..self.connections.len(), bounds)
    }

    fn drive(&mut self, range: Range<usize>, bounds: &Bounds) -> Result<Tally> {
        let mut run = Run::new(bounds);
        for index in range {
            self.next_request(index, &mut run)?;
        }
        let mut events = Vec::with_capacity(EVENTS);
        let mut heard = Instant::now();
        while run.under_way > 0 {
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&POLL))?;
            if events.is_empty() {
                if heard.elapsed() > SILENCE {
                    return Err("no answer for 20 s".into());
                }
                continue;
            }
            heard = Instant::now();
            for event in events.drain(..) {
                self.advance(event.data.u64() as usize, event.flags, &mut run)?;
            }
        }
        run.tally.elapsed = run.started.elapsed();
        Ok(run.tally)
    }

    /// Sends the connection's next request, if the run has one left.
    fn next_request(&mut self, index: usize, run: &mut Run<'_>) -> Result<()> {
        let now = Instant::now();
        if !run.takes_another(now) {
            return Ok(());
        }
        run.sent += 1;
        run.under_way += 1;
        let connection = &mut self.connections[index];
        connection.started = now;
        connection.attempts = 0;
        self.send(index)
    }

    fn send(&mut self, index: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        let stream = match std::mem::replace(&mut connection.phase, Phase::Closed) {
            Phase::Idle(stream) => stream,
            _ => connect(self.address, &self.epoll, index)?,
        };
        connection.phase = Phase::Waiting(stream, Answer::new(self.body_length));
        connection.unsent = self.request.len();
        connection.attempts += 1;
        connection.flush(&self.request)
    }

    /// Goes on with a connection that the kernel reported, as far as its bytes go.
    fn advance(&mut self, index: usize, flags: epoll::EventFlags, run: &mut Run<'_>) -> Result<()> {
        let ending = flags
            .intersects(epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR);
        loop {
            let connection = &mut self.connections[index];
            connection.flush(&self.request)?;
            let length = match connection.read(&mut self.scratch) {
                Ok(0) => return self.ended(index, run),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return self.ended(index, run);
                }
                Err(error) => return Err(error.into()),
            };
            match connection.feed(&self.scratch[..length])? {
                // Edges come once: after a short read the socket is empty, unless its end came along.
                Progress::Partial if length < SCRATCH && !ending => return Ok(()),
                Progress::Partial => {}
                Progress::Complete => {
                    run.answered(connection);
                    return self.next_request(index, run);
                }
                Progress::CompleteThenClose => run.count(connection),
            }
        }
    }

    /// The server closed the connection.
    fn ended(&mut self, index: usize, run: &mut Run<'_>) -> Result<()> {
        let connection = &mut self.connections[index];
        match std::mem::replace(&mut connection.phase, Phase::Closed) {
            Phase::Waiting(_, answer) if answer.is_untouched() => {
                if connection.attempts == MAX_ATTEMPTS {
                    return Err("the server closes connections without an answer".into());
                }
                run.tally.reconnects += 1;
                return self.send(index);
            }
            Phase::Waiting(_, mut answer) => {
                answer.feed_end()?;
                run.count(connection);
            }
            Phase::Closing(_) => {}
            Phase::Idle(_) | Phase::Closed => return Ok(()),
        }
        run.tally.reconnects += 1;
        run.under_way -= 1;
        self.next_request(index, run)
    }
}

impl Connection {
    fn stream(&self) -> Option<&TcpStream> {
        match &self.phase {
            Phase::Closed => None,
            Phase::Idle(stream) | Phase::Waiting(stream, _) | Phase::Closing(stream) => {
                Some(stream)
            }
        }
    }

    fn read(&self, scratch: &mut [u8]) -> io::Result<usize> {
        match self.stream() {
            Some(mut stream) => stream.read(scratch),
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// Writes what is left of the request, as far as the socket takes it.
    fn flush(&mut self, request: &[u8]) -> Result<()> {
        while self.unsent > 0
            && let Some(mut stream) = self.stream()
        {
            match stream.write(&request[request.len() - self.unsent..]) {
                Ok(written) => self.unsent -= written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The server closed first: reading says so, too, and starts again.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                    ) =>
                {
                    self.unsent = 0;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn feed(&mut self, bytes: &[u8]) -> std::result::Result<Progress, Fault> {
        let Phase::Waiting(_, answer) = &mut self.phase else {
            return Err(Fault::Excess(bytes.len()));
        };
        let progress = answer.feed(bytes)?;
        if progress == Progress::Partial {
            return Ok(progress);
        }
        if let Phase::Waiting(stream, _) = std::mem::replace(&mut self.phase, Phase::Closed) {
            self.phase = match progress {
                Progress::CompleteThenClose => Phase::Closing(stream),
                _ => Phase::Idle(stream),
            };
        }
        Ok(progress)
    }
}

impl<'a> Run<'a> {
    fn new(bounds: &'a Bounds) -> Self {
        Self {
            bounds,
            started: Instant::now(),
            sent: 0,
            under_way: 0,
            tally: Tally {
                answers: 0,
                reconnects: 0,
                elapsed: Duration::ZERO,
                latency: Histogram::new(),
            },
        }
    }

    fn takes_another(&self, now: Instant) -> bool {
        self.sent < self.bounds.requests && now - self.started < self.bounds.time
    }

    fn count(&mut self, connection: &Connection) {
        self.tally.answers += 1;
        let nanos = connection.started.elapsed().as_nanos();
        self.tally.latency.record(nanos as u64);
    }

    fn answered(&mut self, connection: &Connection) {
        self.count(connection);
        self.under_way -= 1;
    }
}

fn connect(address: SocketAddr, epoll: &OwnedFd, index: usize) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let flags = epoll::EventFlags::IN
        | epoll::EventFlags::OUT
        | epoll::EventFlags::RDHUP
        | epoll::EventFlags::ET;
    epoll::add(
        epoll,
        &stream,
        epoll::EventData::new_u64(index as u64),
        flags,
    )?;
    Ok(stream)
}
