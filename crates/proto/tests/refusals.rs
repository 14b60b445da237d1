//! Every refusal, with bytes that earn it and the status that the peer is told.
//!
//! Owns the table that `docs/protocol.md` describes. A refusal without a case fails the test.

mod feeding;

use std::path::Path;
use std::{env, fs, io};

use bicorn_proto::{Limits, Refusal};
use feeding::{cut, feed};

/// Limits that short bytes reach.
const TIGHT: Limits = Limits {
    request_line: 64,
    header_section: 256,
    header_fields: 8,
    body: 32,
};

/// What has no bytes of its own: time is the engine's, and so is how much an application has in hand.
const WITHOUT_BYTES: [Refusal; 2] = [Refusal::Timeout, Refusal::Overload];

struct Case {
    refusal: Refusal,
    status: u16,
    streams: Vec<Vec<u8>>,
}

#[test]
fn every_refusal_has_a_case() {
    let cases = cases();
    for refusal in Refusal::ALL {
        let times = cases.iter().filter(|case| case.refusal == refusal).count();
        let expected = usize::from(!WITHOUT_BYTES.contains(&refusal));
        assert_eq!(times, expected, "cases for {refusal:?}");
    }
}

#[test]
fn the_protocol_page_tells_of_every_refusal() -> io::Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    let page = fs::read_to_string(page)?;
    for refusal in Refusal::ALL {
        let row = format!("\n| {} | {} |", refusal.reason(), refusal.status());
        assert!(page.contains(&row), "{row}");
    }
    Ok(())
}

#[test]
fn every_case_is_refused_so_at_every_cut() {
    for case in cases() {
        assert_eq!(case.refusal.status(), case.status, "{:?}", case.refusal);
        for stream in &case.streams {
            let told = String::from_utf8_lossy(stream);
            let whole = feed([&stream[..]], &TIGHT);
            assert_eq!(whole.refusal, Some(case.refusal), "{told:?}");
            assert_eq!(feed(stream.chunks(1), &TIGHT), whole, "by byte: {told:?}");
            for at in 1..stream.len() {
                assert_eq!(feed(cut(stream, &[at]), &TIGHT), whole, "at {at}: {told:?}");
            }
        }
    }
}

#[test]
fn at_the_limits_nothing_is_refused() {
    let line = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(64 - 14));
    let fields = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(7));
    let start = "GET / HTTP/1.1\r\nHost: a\r\nA: ";
    let head = format!("{start}{}\r\n\r\n", "x".repeat(256 - 4 - start.len()));
    let body = format!("{}{}", post("Content-Length: 32"), "x".repeat(32));
    let chunks = format!("{}20\r\n{}\r\n0\r\n\r\n", chunked(), "x".repeat(32));
    let extension = format!("{}0;{}\r\n\r\n", chunked(), "e".repeat(4096));
    let trailer = format!("{}0\r\nA:{}\r\n\r\n", chunked(), "t".repeat(8192 - 5));
    for stream in [line, fields, head, body, chunks, extension, trailer] {
        let verdict = feed([stream.as_bytes()], &TIGHT);
        assert_eq!(verdict.refusal, None, "{stream:?}");
        assert!(verdict.requests[0].is_complete, "{stream:?}");
    }
}

fn case<T: AsRef<[u8]>>(
    refusal: Refusal,
    status: u16,
    streams: impl IntoIterator<Item = T>,
) -> Case {
    let streams = streams.into_iter().map(|stream| stream.as_ref().to_vec());
    Case {
        refusal,
        status,
        streams: streams.collect(),
    }
}

fn cases() -> Vec<Case> {
    let mut cases = line_cases();
    cases.extend(target_cases());
    cases.extend(field_cases());
    cases.extend(framing_cases());
    cases.extend(chunk_cases());
    cases.extend(trailer_cases());
    cases.extend(limit_cases());
    cases
}

fn line_cases() -> Vec<Case> {
    let host = "Host: a\r\n\r\n";
    let line = |line: &str| format!("{line}\r\n{host}");
    vec![
        case(
            Refusal::RequestLine,
            400,
            [
                line("GET  / HTTP/1.1"),
                line("GET /"),
                line("GET / HTTX/1.1"),
                line("GET / http/1.1"),
                line("GET / HTTP/1.10"),
                line("GET / HTTP/1.1 "),
                line("GET\t/ HTTP/1.1"),
                line("G@T / HTTP/1.1"),
                line("GET /a b HTTP/1.1"),
                line("GET /\x01 HTTP/1.1"),
                " GET / HTTP/1.1\r\n".into(),
                "\x16\x03\x01\x02".into(),
                "\0".into(),
            ],
        ),
        case(
            Refusal::BareLineBreak,
            400,
            [
                format!("GET / HTTP/1.1\n{host}"),
                format!("GET / HTTP/1.1\r{host}"),
                format!("\nGET / HTTP/1.1\r\n{host}"),
                format!("\rGET / HTTP/1.1\r\n{host}"),
                "GET / HTTP/1.1\r\nHost: a\n\r\n".into(),
                "GET / HTTP/1.1\r\nHost: a\r\n\n".into(),
                format!("{}1\r\r", chunked()),
            ],
        ),
        case(
            Refusal::LeadingEmptyLines,
            400,
            [format!("\r\n\r\nGET / HTTP/1.1\r\n{host}")],
        ),
        case(
            Refusal::Version,
            505,
            [
                line("GET / HTTP/2.0"),
                line("GET / HTTP/1.2"),
                line("GET / HTTP/0.9"),
                line("PRI * HTTP/2.0"),
            ],
        ),
    ]
}

fn target_cases() -> Vec<Case> {
    let line = |line: &str| format!("{line}\r\nHost: a\r\n\r\n");
    vec![
        case(
            Refusal::Target,
            400,
            [
                line("GET * HTTP/1.1"),
                line("GET a HTTP/1.1"),
                line("GET /a#b HTTP/1.1"),
                line("GET /\u{e4} HTTP/1.1"),
                line("GET ftp://a/ HTTP/1.1"),
                line("GET http:///a HTTP/1.1"),
                line("GET http://u@a/ HTTP/1.1"),
                line("GET http://a:b/ HTTP/1.1"),
                line("CONNECT /a HTTP/1.1"),
            ],
        ),
        case(Refusal::Connect, 501, [line("CONNECT a:443 HTTP/1.1")]),
    ]
}

fn field_cases() -> Vec<Case> {
    let get = |field: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
    let hosted = |fields: &str| format!("GET / HTTP/1.1\r\n{fields}\r\n");
    vec![
        case(
            Refusal::FieldName,
            400,
            [
                get("A : b"),
                get("A\t: b"),
                get(" A: b"),
                get("A: b\r\n c"),
                get("A: b\r\n\tc"),
                get(": b"),
                get("A(: b"),
                get("A\0: b"),
                get("A\u{e4}: b"),
                get("no colon"),
            ],
        ),
        case(
            Refusal::FieldValue,
            400,
            [
                get("A: \0"),
                get("A: b\x7f"),
                get("A: \x01c"),
                get("A: b\x0bc"),
                get("A: b\rc"),
            ],
        ),
        case(
            Refusal::Host,
            400,
            [
                hosted(""),
                hosted("Host: a\r\nHost: a\r\n"),
                hosted("Host: a, b\r\n"),
                hosted("Host: a b\r\n"),
                hosted("Host: u@a\r\n"),
                hosted("Host: a/b\r\n"),
                hosted("Host: a:x\r\n"),
                hosted("Host: a:999999\r\n"),
                hosted("Host: [::1\r\n"),
                hosted("Host: [x]\r\n"),
                "GET http://a/ HTTP/1.1\r\n\r\n".into(),
            ],
        ),
        case(
            Refusal::Expectation,
            417,
            [get("Expect: 200-ok"), get("Expect:")],
        ),
    ]
}

fn framing_cases() -> Vec<Case> {
    vec![
        case(
            Refusal::ContentLength,
            400,
            [
                post("Content-Length: 5\r\nContent-Length: 6"),
                post("Content-Length: 5\r\nContent-Length: 5"),
                post("Content-Length: 5, 5"),
                post("Content-Length: +5"),
                post("Content-Length: -5"),
                post("Content-Length: 0x5"),
                post("Content-Length: 5 5"),
                post("Content-Length: 1_0"),
                post("Content-Length: 5.0"),
                post("Content-Length: \u{0665}"),
                post("Content-Length:"),
            ],
        ),
        case(
            Refusal::LengthAndEncoding,
            400,
            [
                post("Content-Length: 5\r\nTransfer-Encoding: chunked"),
                post("Transfer-Encoding: chunked\r\nContent-Length: 0"),
                post("Transfer-Encoding: xchunked\r\nContent-Length: 5"),
            ],
        ),
        case(
            Refusal::TransferEncoding,
            400,
            [
                post("Transfer-Encoding: chunked, chunked"),
                post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
                post("Transfer-Encoding: chunked, identity"),
                post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
                post("Transfer-Encoding:"),
                post("Transfer-Encoding: ,"),
                "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            ],
        ),
        case(
            Refusal::UnknownCoding,
            501,
            [
                post("Transfer-Encoding: gzip"),
                post("Transfer-Encoding: gzip, chunked"),
                post("Transfer-Encoding: identity"),
                post("Transfer-Encoding: xchunked"),
                post("Transfer-Encoding: chunked;q=1"),
                post("Transfer-Encoding: \"chunked\""),
            ],
        ),
    ]
}

fn chunk_cases() -> Vec<Case> {
    let body = |chunks: &str| format!("{}{chunks}", chunked());
    let extensions = format!("1;{}\r\nx\r\n", "e".repeat(2048));
    vec![
        case(
            Refusal::ChunkSize,
            400,
            [
                body("+1\r\n"),
                body("-1\r\n"),
                body("0x1\r\n"),
                body(" 1\r\n"),
                body("1 \r\n"),
                body("1 ;a\r\n"),
                body("1_0\r\n"),
                body("1\n"),
                body("\r\n"),
                body(";a\r\n"),
                body("g\r\n"),
                body("10000000000000000\r\n"),
                body("00000000000000001\r\n"),
                body("1\r\nx\r\n\r\n"),
            ],
        ),
        case(
            Refusal::ChunkEnd,
            400,
            [
                body("1\r\nxx"),
                body("1\r\nx\n"),
                body("1\r\nx\rx"),
                body("1\r\nx0\r\n\r\n"),
            ],
        ),
        case(
            Refusal::ChunkExtension,
            400,
            [
                body("1;a\n"),
                body("1;a\0"),
                body("1;a=\"\r\n\"\r\n"),
                body("1;a=\"\\\r"),
                body(&format!("1;{}\r\n", "e".repeat(4097))),
                body(&extensions.repeat(3)),
            ],
        ),
    ]
}

fn trailer_cases() -> Vec<Case> {
    let body = |chunks: &str| format!("{}{chunks}", chunked());
    vec![case(
        Refusal::Trailer,
        400,
        [
            body("0\r\nx "),
            body("0\r\nA : b\r\n\r\n"),
            body("0\r\n A: b\r\n\r\n"),
            body("0\r\nA: b\r\n c\r\n\r\n"),
            body("0\r\nA: b\n\r\n"),
            body("0\r\nA: \x01\r\n\r\n"),
            body("0\r\n: b\r\n\r\n"),
            body("0\r\n\n"),
            body(&format!("0\r\nA:{}\r\n\r\n", "t".repeat(8192 - 4))),
        ],
    )]
}

fn limit_cases() -> Vec<Case> {
    let start = "GET / HTTP/1.1\r\nHost: a\r\nA: ";
    vec![
        case(
            Refusal::RequestLineTooLong,
            414,
            [
                format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(65 - 14)),
                "x".repeat(66),
            ],
        ),
        case(
            Refusal::HeaderSectionTooLong,
            431,
            [
                format!("{start}{}\r\n\r\n", "x".repeat(257 - 4 - start.len())),
                format!("{start}{}", "x".repeat(256)),
            ],
        ),
        case(
            Refusal::TooManyFields,
            431,
            [format!(
                "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
                "A: b\r\n".repeat(8)
            )],
        ),
        case(
            Refusal::BodyTooLong,
            413,
            [
                post("Content-Length: 33"),
                post("Content-Length: 99999999999999999999999"),
                format!("{}21\r\n", chunked()),
                format!("{}20\r\n{}\r\n1\r\n", chunked(), "x".repeat(32)),
                format!("{}FFFFFFFFFFFFFFFF\r\n", chunked()),
            ],
        ),
    ]
}

fn post(fields: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
}

fn chunked() -> String {
    post("Transfer-Encoding: chunked")
}
