//! However bytes are cut on their way, the parser says the same of them.
//!
//! Owns the generated connections: requests that are valid, what they must be read as, and mutations
//! of their bytes. The two verdicts that are compared come from the one driver in `feeding`.

mod feeding;

use bicorn_proto::http1::{BodyReader, Framing, Progress};
use bicorn_proto::{Limits, Refusal};
use feeding::{Verdict, cut, feed};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

proptest! {
    #[test]
    fn valid_requests_are_read_as_they_were_meant(
        requests in vec(request(), 1..4),
        places in vec(any::<Index>(), 0..8),
    ) {
        let bytes: Vec<u8> = requests.iter().flat_map(|request| request.bytes.clone()).collect();
        let limits = Limits::default();
        let verdict = feed([&bytes[..]], &limits);
        prop_assert_eq!(verdict.refusal, None);
        prop_assert_eq!(verdict.requests.len(), requests.len());
        for (read, meant) in verdict.requests.iter().zip(&requests) {
            prop_assert!(read.is_complete);
            prop_assert_eq!(&read.content, &meant.content);
            prop_assert_eq!(&read.fields, &meant.fields);
            prop_assert_eq!(&read.target, meant.target.as_bytes());
        }
        same_at_all_cuts(&bytes, &places, &limits, &verdict)?;
    }

    #[test]
    fn cuts_change_nothing(
        requests in vec(request(), 1..3),
        mutations in vec(mutation(), 1..6),
        places in vec(any::<Index>(), 0..8),
        limits in limits(),
    ) {
        let mut bytes: Vec<u8> = requests.iter().flat_map(|request| request.bytes.clone()).collect();
        for mutation in &mutations {
            mutation.apply(&mut bytes);
        }
        let verdict = feed([&bytes[..]], &limits);
        same_at_all_cuts(&bytes, &places, &limits, &verdict)?;
    }

    #[test]
    fn cuts_of_noise_change_nothing(
        tokens in vec(select(&TOKENS[..]), 0..40),
        places in vec(any::<Index>(), 0..8),
        limits in limits(),
    ) {
        let bytes = tokens.concat();
        let verdict = feed([&bytes[..]], &limits);
        same_at_all_cuts(&bytes, &places, &limits, &verdict)?;
    }

    #[test]
    fn cuts_of_a_body_change_nothing(
        tokens in vec(select(&CHUNK_TOKENS[..]), 0..40),
        places in vec(any::<Index>(), 0..8),
        framing in select(vec![Framing::Length(5), Framing::Length(40), Framing::Chunked]),
        limit in select(vec![4_u64, 50, u64::MAX]),
    ) {
        let bytes = tokens.concat();
        let whole = read_body([&bytes[..]], framing, limit);
        prop_assert_eq!(&read_body(bytes.chunks(1), framing, limit), &whole);
        prop_assert_eq!(&read_body(cut(&bytes, &resolve(&places, &bytes)), framing, limit), &whole);
    }
}

fn same_at_all_cuts(
    bytes: &[u8],
    places: &[Index],
    limits: &Limits,
    whole: &Verdict,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(&feed(bytes.chunks(1), limits), whole, "by byte");
    let lines = bytes.split_inclusive(|&byte| byte == b'\n');
    prop_assert_eq!(&feed(lines, limits), whole, "by line");
    let places = resolve(places, bytes);
    prop_assert_eq!(
        &feed(cut(bytes, &places), limits),
        whole,
        "cut at {:?}",
        places
    );
    Ok(())
}

fn resolve(places: &[Index], bytes: &[u8]) -> Vec<usize> {
    places
        .iter()
        .map(|place| place.index(bytes.len() + 1))
        .collect()
}

/// The content, and either how many bytes the body took or why it was refused.
fn read_body<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    framing: Framing,
    limit: u64,
) -> (Vec<u8>, Result<Option<usize>, Refusal>) {
    let mut content = Vec::new();
    let mut body = match BodyReader::new(framing, limit) {
        Ok(body) => body,
        Err(refusal) => return (content, Err(refusal)),
    };
    let mut taken = 0;
    for piece in pieces {
        let mut rest = piece;
        while !body.is_done() {
            match body.advance(rest) {
                Ok(Progress::Content(range)) => {
                    taken += range.end;
                    content.extend_from_slice(&rest[range.clone()]);
                    rest = &rest[range.end..];
                }
                Ok(Progress::NeedMore) => {
                    taken += rest.len();
                    break;
                }
                Ok(Progress::End(used)) => {
                    taken += used;
                    rest = &rest[used..];
                }
                Err(refusal) => return (content, Err(refusal)),
            }
        }
    }
    (content, Ok(body.is_done().then_some(taken)))
}

/// A request and what it says.
#[derive(Debug, Clone)]
struct Meant {
    bytes: Vec<u8>,
    target: String,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    content: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Body {
    Absent,
    Length(Vec<u8>),
    Chunked {
        chunks: Vec<Vec<u8>>,
        extension: &'static str,
        trailer: &'static str,
    },
}

fn request() -> impl Strategy<Value = Meant> {
    let method = select(vec!["GET", "POST", "PUT", "OPTIONS", "x!#$%&'*+-.^_`|~9"]);
    let target = "/[a-z0-9%/._~-]{0,20}(\\?[a-z0-9=&?/]{0,20})?";
    let fields = vec(
        ("[A-Za-z][A-Za-z0-9-]{0,10}", "[!-~]([ -~\t]{0,20}[!-~])?"),
        0..6,
    );
    (method, target, fields, body(), any::<bool>()).prop_map(
        |(method, target, fields, body, has_empty_line)| {
            let mut fields: Vec<_> = fields
                .into_iter()
                .map(|(name, value)| (format!("X-{name}"), value))
                .collect();
            fields.push(("Host".into(), "example.org:8000".into()));
            fields.extend(body.fields());
            let mut bytes = Vec::from(if has_empty_line { "\r\n" } else { "" });
            bytes.extend(format!("{method} {target} HTTP/1.1\r\n").bytes());
            for (name, value) in &fields {
                bytes.extend(format!("{name}: \t{value} \r\n").bytes());
            }
            bytes.extend(b"\r\n");
            bytes.extend(body.bytes());
            let octets = |(name, value): (String, String)| (name.into(), value.into());
            Meant {
                bytes,
                target,
                fields: fields.into_iter().map(octets).collect(),
                content: body.content(),
            }
        },
    )
}

fn body() -> impl Strategy<Value = Body> {
    let content = || vec(any::<u8>(), 1..60);
    let extension = select(vec!["", ";a", ";a=b", ";a=\"b;\\\"c\"", "; a"]);
    let trailer = select(vec!["", "A: b\r\n", "A:\r\nB: c d\r\n"]);
    prop_oneof![
        Just(Body::Absent),
        content().prop_map(Body::Length),
        (vec(content(), 0..4), extension, trailer).prop_map(|(chunks, extension, trailer)| {
            Body::Chunked {
                chunks,
                extension,
                trailer,
            }
        }),
    ]
}

impl Body {
    fn fields(&self) -> Vec<(String, String)> {
        match self {
            Self::Absent => vec![],
            Self::Length(content) => vec![("Content-Length".into(), content.len().to_string())],
            Self::Chunked { .. } => vec![("Transfer-Encoding".into(), "chunked".into())],
        }
    }

    fn content(&self) -> Vec<u8> {
        match self {
            Self::Absent => vec![],
            Self::Length(content) => content.clone(),
            Self::Chunked { chunks, .. } => chunks.concat(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let Self::Chunked {
            chunks,
            extension,
            trailer,
        } = self
        else {
            return self.content();
        };
        let mut bytes = vec![];
        for chunk in chunks {
            bytes.extend(format!("{:x}{extension}\r\n", chunk.len()).bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(format!("0{extension}\r\n{trailer}\r\n").bytes());
        bytes
    }
}

#[derive(Debug, Clone)]
enum Mutation {
    Replace(Index, u8),
    Insert(Index, &'static [u8]),
    Remove(Index),
    Truncate(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let byte = prop_oneof![
        select(b"\r\n\0 \t:;,/0fG_\"\\\x7f\xff".to_vec()),
        any::<u8>()
    ];
    prop_oneof![
        4 => (any::<Index>(), byte).prop_map(|(place, byte)| Mutation::Replace(place, byte)),
        4 => (any::<Index>(), select(&TOKENS[..])).prop_map(|(at, token)| Mutation::Insert(at, token)),
        2 => any::<Index>().prop_map(Mutation::Remove),
        1 => any::<Index>().prop_map(Mutation::Truncate),
    ]
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Replace(place, byte) => {
                let at = place.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Insert(place, token) => {
                let at = place.index(bytes.len());
                bytes.splice(at..at, token.iter().copied());
            }
            Self::Remove(place) => {
                bytes.remove(place.index(bytes.len()));
            }
            Self::Truncate(place) => bytes.truncate(place.index(bytes.len())),
        }
    }
}

/// The defaults, and limits that a short request reaches.
fn limits() -> impl Strategy<Value = Limits> {
    let tight = (14_usize..60, 20_usize..300, 0_usize..6, 0_u64..80);
    prop_oneof![
        Just(Limits::default()),
        tight.prop_map(
            |(request_line, header_section, header_fields, body)| Limits {
                request_line,
                header_section,
                header_fields,
                body,
            }
        ),
    ]
}

/// What requests are made of, and what breaks them.
const TOKENS: [&[u8]; 28] = [
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\r",
    b"\n",
    b" ",
    b"\t",
    b":",
    b"\0",
    b"\xff",
    b"x",
    b"GET / HTTP/1.1\r\n",
    b"POST /a?b HTTP/1.1\r\n",
    b"GET / HTTP/1.0\r\n",
    b"PRI * HTTP/2.0\r\n",
    b"GET / HTTP/1.1\n",
    b"Host: a\r\n",
    b"Host: a b\r\n",
    b"A: b\r\n",
    b"A : b\r\n",
    b"A: b\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 5x\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: x\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
];

/// What chunked bodies are made of, and what breaks them.
const CHUNK_TOKENS: [&[u8]; 18] = [
    b"\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b"1",
    b"5",
    b"0",
    b"a",
    b"F",
    b";",
    b"\"",
    b"\\",
    b"A: b\r\n",
    b"x",
    b"5\r\nhello\r\n",
    b"2;a\r\nxy\r\n",
    b"0\r\n",
    b"0\r\n\r\n",
];
