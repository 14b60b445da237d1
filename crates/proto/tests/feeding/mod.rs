//! One connection's bytes, fed to the parser the way the engine feeds them.
//!
//! Owns the order head, body, next request, for every test that cares how bytes were cut: the
//! property tests, the corpora and the fuzz target share it. It judges nothing: it records what the
//! parser said.

use bicorn_proto::http1::{
    self, BodyReader, Expectation, Framing, Persistence, Progress, RequestHead, TargetForm, Version,
};
use bicorn_proto::{Limits, Refusal, fields};

/// What one connection gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// The requests whose head was accepted, in their order.
    pub requests: Vec<Request>,
    /// What ended the connection, if a refusal did.
    pub refusal: Option<Refusal>,
}

/// A request, with nothing left in it that depends on where its bytes lay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    pub form: TargetForm,
    pub path: Option<Vec<u8>>,
    pub query: Vec<u8>,
    pub version: Version,
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub host: Option<usize>,
    pub framing: Framing,
    pub persistence: Persistence,
    pub expectation: Expectation,
    pub content: Vec<u8>,
    pub is_complete: bool,
}

/// The reading side of a connection.
pub struct Feeder {
    limits: Limits,
    inbox: Vec<u8>,
    judged: usize,
    head: RequestHead,
    body: Option<BodyReader>,
    is_closed: bool,
    verdict: Verdict,
}

/// The verdict on bytes that arrive in these pieces.
pub fn feed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: &Limits) -> Verdict {
    let mut feeder = Feeder::new(*limits);
    for piece in pieces {
        feeder.take(piece);
    }
    feeder.verdict
}

/// Cuts bytes at the given places, which need be neither sorted nor different.
pub fn cut<'a>(bytes: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|&at| at.min(bytes.len())).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| &bytes[pair[0]..pair[1]])
        .filter(|piece| !piece.is_empty())
        .collect()
}

impl Feeder {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            inbox: Vec::new(),
            judged: 0,
            head: RequestHead::default(),
            body: None,
            is_closed: false,
            verdict: Verdict::default(),
        }
    }

    fn take(&mut self, piece: &[u8]) {
        if self.is_closed {
            return;
        }
        if let Err(refusal) = self.read(piece) {
            self.verdict.refusal = Some(refusal);
            self.is_closed = true;
        }
    }

    fn read(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        self.inbox.extend_from_slice(piece);
        while !self.is_closed && !self.inbox.is_empty() {
            let goes_on = if self.body.is_some() {
                self.read_body()?
            } else {
                self.read_head()?
            };
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    /// Whether a head was found.
    fn read_head(&mut self) -> Result<bool, Refusal> {
        let found = http1::parse(&self.inbox, self.judged, &self.limits, &mut self.head)?;
        let Some(length) = found else {
            self.judged = self.inbox.len();
            return Ok(false);
        };
        self.judged = 0;
        let request = record(&self.head, &self.inbox);
        let body = BodyReader::new(request.framing, self.limits.body);
        self.verdict.requests.push(request);
        self.inbox.drain(..length);
        let body = body?;
        if body.is_done() {
            self.complete();
        } else {
            self.body = Some(body);
        }
        Ok(true)
    }

    /// Whether the body was found to end.
    fn read_body(&mut self) -> Result<bool, Refusal> {
        let inbox = core::mem::take(&mut self.inbox);
        let mut rest = &inbox[..];
        let Some(body) = &mut self.body else {
            return Ok(false);
        };
        while !body.is_done() {
            match body.advance(rest)? {
                Progress::Content(range) => {
                    let end = range.end;
                    if let Some(request) = self.verdict.requests.last_mut() {
                        request.content.extend_from_slice(&rest[range]);
                    }
                    rest = &rest[end..];
                }
                Progress::NeedMore => return Ok(false),
                Progress::End(used) => rest = &rest[used..],
            }
        }
        self.inbox = rest.to_vec();
        self.body = None;
        self.complete();
        Ok(true)
    }

    fn complete(&mut self) {
        if let Some(request) = self.verdict.requests.last_mut() {
            request.is_complete = true;
            self.is_closed = request.persistence == Persistence::Close;
        }
    }
}

fn record(head: &RequestHead, buffer: &[u8]) -> Request {
    let text = |span: http1::Span| span.of(buffer).to_vec();
    let fields = head.fields.iter().map(|field| {
        assert_eq!(field.identity, fields::identify(field.name.of(buffer)));
        (text(field.name), text(field.value))
    });
    Request {
        method: text(head.method),
        target: text(head.target),
        form: head.form,
        path: head.path.map(text),
        query: text(head.query),
        version: head.version,
        fields: fields.collect(),
        host: head.host,
        framing: head.framing,
        persistence: head.persistence,
        expectation: head.expectation,
        content: Vec::new(),
        is_complete: false,
    }
}
