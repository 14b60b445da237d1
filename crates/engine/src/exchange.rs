//! One request and its response.
//!
//! Owns the state of both directions. It must not know what carries it: an HTTP/1.1 connection has
//! one exchange at a time, and what later carries many names them by the same [`ExchangeId`].

use bicorn_proto::http1::{
    BodyReader, BodyWriter, Expectation, Persistence, RequestHead, Span, Version,
};

use crate::access_log::LogDraft;
use crate::clock::Millis;
use crate::connection::Peer;
use crate::content::Content;
use crate::in_flight::Place;
use crate::table::ConnectionId;

/// Names one exchange, also after it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExchangeId {
    /// The connection that carries it.
    pub connection: ConnectionId,
    /// Its number on the connection, from 1; a stream's identifier where a connection has streams.
    pub serial: u32,
}

/// A request on its way to the application.
pub struct InboundRequest {
    /// The head, as positions in the request's bytes.
    pub head: RequestHead,
    /// The bytes that the head was parsed from.
    pub(crate) buffer: Vec<u8>,
    /// Who sent it.
    pub peer: Peer,
}

/// Size of the buffer that connections share for receiving.
pub(crate) const BUFFER: usize = 64 * 1024;

impl InboundRequest {
    pub(crate) fn with_buffer() -> Box<Self> {
        Box::new(Self {
            head: RequestHead::default(),
            buffer: vec![0; BUFFER],
            peer: Peer::Unix,
        })
    }

    /// A copy that holds the head's bytes alone, to be kept while the body arrives.
    pub(crate) fn compact(&self, length: usize) -> Box<Self> {
        let buffer = self.buffer[..length].to_vec();
        Box::new(Self {
            head: self.head.clone(),
            buffer,
            peer: self.peer,
        })
    }

    /// Bytes at hand: of a copy, those of the head.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// The bytes that a part of the head stands for.
    #[must_use]
    pub fn bytes(&self, span: Span) -> &[u8] {
        span.of(&self.buffer)
    }
}

/// What a reader of a request's content gets.
#[derive(Debug)]
pub enum Intake {
    /// Content, which may be empty, and whether more will come.
    Content(Content, bool),
    /// Nothing has arrived yet; an [`crate::Event::Wake`] follows.
    Pending,
    /// The worker ends, and asks the application to end its answer. The peer is still there. Told once.
    Ending,
    /// The peer is gone, or the exchange has ended.
    Gone,
}

/// The request's direction.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// Content is still arriving.
    Reading(BodyReader),
    /// All of it has arrived.
    Complete,
    /// It will never be complete.
    Broken,
}

/// The response's direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outbound {
    /// Nothing has been said.
    Pending,
    /// The head has left the application.
    Open(BodyWriter),
    /// The application has said all.
    Complete,
}

/// What the application waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) content: bool,
    pub(crate) room: bool,
}

pub(crate) struct Exchange {
    pub(crate) version: Version,
    pub(crate) method: MethodKind,
    /// What the request asked for.
    pub(crate) persistence: Persistence,
    /// What the answer's head promised.
    pub(crate) answer_persistence: Persistence,
    pub(crate) expectation: Expectation,
    pub(crate) inbound: Inbound,
    pub(crate) outbound: Outbound,
    pub(crate) waiting: Waiting,
    pub(crate) content: Content,
    /// The request, while it waits for its body or for a place before it goes to the application.
    pub(crate) held: Option<Box<InboundRequest>>,
    /// Its number among those that wait for a place, or zero.
    pub(crate) ticket: u64,
    /// Whether the application was asked to end its answer, because the worker ends.
    pub(crate) is_asked_to_end: bool,
    pub(crate) pace: Pace,
    /// When the peer must have taken something, or zero.
    pub(crate) stall_deadline: Millis,
    pub(crate) log: Option<LogDraft>,
    /// Microseconds of the monotonic clock at the request's arrival, to the turn's accuracy where there is no
    /// access log.
    pub(crate) started: u64,
    /// Where the scoreboard lists it.
    pub(crate) place: Place,
    pub(crate) status: u16,
    pub(crate) sent: u64,
}

impl Exchange {
    /// The application gets the request now, whose body was not read while that waited for a place.
    pub(crate) fn go_on(&mut self, now: Millis) {
        // A client that waits for 100 (Continue) goes on waiting, until the application reads.
        if self.expectation == Expectation::None {
            self.pace.resume(now);
        }
    }
}

impl Exchange {
    /// An exchange whose request's head has arrived at `now`, at its place among those in flight.
    pub(crate) fn new(
        request: &InboundRequest,
        body: BodyReader,
        place: Place,
        now: Millis,
    ) -> Self {
        let head = &request.head;
        let is_head = head.method.of(&request.buffer) == b"HEAD";
        Self {
            version: head.version,
            method: if is_head {
                MethodKind::Head
            } else {
                MethodKind::Other
            },
            persistence: head.persistence,
            answer_persistence: Persistence::Close,
            expectation: head.expectation,
            inbound: if body.is_done() {
                Inbound::Complete
            } else {
                Inbound::Reading(body)
            },
            outbound: Outbound::Pending,
            waiting: Waiting::default(),
            content: Content::new(),
            held: None,
            ticket: 0,
            is_asked_to_end: false,
            pace: Pace {
                began: now,
                ..Pace::default()
            },
            stall_deadline: 0,
            log: None,
            started: 0,
            place,
            status: 0,
            sent: 0,
        }
    }
}

/// What matters of a method for framing the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MethodKind {
    Head,
    Other,
}

/// How fast a request body arrives.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    /// When it began, moved on by the time that we did not read.
    pub(crate) began: Millis,
    pub(crate) received: u64,
    /// When we stopped reading because the application did, or zero.
    pub(crate) paused: Millis,
}

impl Pace {
    /// When the body must be complete or have got further, or zero.
    pub(crate) fn deadline(&self, rate: u64, grace: Millis) -> Millis {
        if rate == 0 || self.paused != 0 {
            return 0;
        }
        self.began + grace + self.received.saturating_mul(1000) / rate
    }

    pub(crate) fn pause(&mut self, now: Millis) {
        if self.paused == 0 {
            self.paused = now;
        }
    }

    pub(crate) fn resume(&mut self, now: Millis) {
        if self.paused != 0 {
            self.began += now.saturating_sub(self.paused);
            self.paused = 0;
        }
    }
}
