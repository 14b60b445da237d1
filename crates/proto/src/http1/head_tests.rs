use super::*;

fn parse_all(bytes: &[u8]) -> Result<Option<(usize, RequestHead)>, Refusal> {
    let mut head = RequestHead::default();
    Ok(parse(bytes, 0, &Limits::default(), &mut head)?.map(|length| (length, head)))
}

fn complete(bytes: &[u8]) -> RequestHead {
    parse_all(bytes).unwrap().unwrap().1
}

#[track_caller]
fn refused(bytes: &[u8], refusal: Refusal) {
    assert_eq!(
        parse_all(bytes).err(),
        Some(refusal),
        "{:?}",
        String::from_utf8_lossy(bytes)
    );
}

#[test]
fn a_plain_request() {
    let bytes = b"GET /a%20b?x=1&y HTTP/1.1\r\nHost: example.org:80\r\nX-One:  two \r\n\r\nrest";
    let (length, head) = parse_all(bytes).unwrap().unwrap();
    assert_eq!(&bytes[length..], b"rest");
    assert_eq!(head.method.of(bytes), b"GET");
    assert_eq!(head.path.unwrap().of(bytes), b"/a%20b");
    assert_eq!(head.query.of(bytes), b"x=1&y");
    assert_eq!(head.version, Version::Http11);
    assert_eq!(head.framing, Framing::Empty);
    assert_eq!(head.persistence, Persistence::Keep);
    let fields: Vec<_> = head
        .fields
        .iter()
        .map(|f| (f.name.of(bytes), f.value.of(bytes)))
        .collect();
    assert_eq!(
        fields,
        [(&b"Host"[..], &b"example.org:80"[..]), (b"X-One", b"two")]
    );
}

#[test]
fn refusals_of_the_request_line() {
    refused(b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::RequestLine);
    refused(b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::RequestLine);
    refused(b"GET /\r\nHost: a\r\n\r\n", Refusal::RequestLine);
    refused(b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Refusal::RequestLine);
    refused(b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", Refusal::RequestLine);
    refused(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", Refusal::Version);
    refused(b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", Refusal::Version);
    refused(b"GET / HTTX/1.1\r\nHost: a\r\n\r\n", Refusal::RequestLine);
    refused(b"\x16\x03\x01", Refusal::RequestLine);
    refused(b" GET / HTTP/1.1\r\n\r\n", Refusal::RequestLine);
    refused(
        b"\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        Refusal::LeadingEmptyLines,
    );
    refused(b"\nGET / HTTP/1.1\r\n\r\n", Refusal::BareLineBreak);
    refused(b"GET / HTTP/1.1\nHost: a\r\n\r\n", Refusal::BareLineBreak);
    refused(b"GET / HTTP/1.1\rHost: a\r\n\r\n", Refusal::BareLineBreak);
    assert!(
        parse_all(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap()
            .is_some()
    );
}

#[test]
fn refusals_of_fields() {
    for bad in [
        &b"A : b"[..],
        b" A: b",
        b"A\t: b",
        b": b",
        b"A\0: b",
        b"A(: b",
        b"no colon",
    ] {
        let bytes = [b"GET / HTTP/1.1\r\nHost: a\r\n", bad, b"\r\n\r\n"].concat();
        refused(&bytes, Refusal::FieldName);
    }
    for bad in [&b"A: \0"[..], b"A: b\x7f", b"A: \x01c"] {
        let bytes = [b"GET / HTTP/1.1\r\nHost: a\r\n", bad, b"\r\n\r\n"].concat();
        refused(&bytes, Refusal::FieldValue);
    }
    refused(
        b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n",
        Refusal::FieldName,
    );
    refused(
        b"GET / HTTP/1.1\r\nHost: a\nA: b\r\n\r\n",
        Refusal::BareLineBreak,
    );
    refused(b"GET / HTTP/1.1\r\nHost: a\r\n\n", Refusal::BareLineBreak);
    assert!(parse_all(b"GET / HTTP/1.1\r\nHost: a\r\nA: b\rc\r\n\r\n").is_err());
}

#[test]
fn refusals_of_framing() {
    let cases: [(&[u8], Refusal); 19] = [
        (
            b"Content-Length: 5\r\nTransfer-Encoding: chunked",
            Refusal::LengthAndEncoding,
        ),
        (
            b"Content-Length: 5\r\nContent-Length: 6",
            Refusal::ContentLength,
        ),
        (
            b"Content-Length: 5\r\nContent-Length: 5",
            Refusal::ContentLength,
        ),
        (b"Content-Length: 5, 5", Refusal::ContentLength),
        (b"Content-Length: +5", Refusal::ContentLength),
        (b"Content-Length: -5", Refusal::ContentLength),
        (b"Content-Length: 0x5", Refusal::ContentLength),
        (b"Content-Length: 5 5", Refusal::ContentLength),
        (b"Content-Length:", Refusal::ContentLength),
        (
            b"Content-Length: 99999999999999999999999",
            Refusal::BodyTooLong,
        ),
        (b"Transfer-Encoding: gzip", Refusal::UnknownCoding),
        (b"Transfer-Encoding: gzip, chunked", Refusal::UnknownCoding),
        (b"Transfer-Encoding: identity", Refusal::UnknownCoding),
        (
            b"Transfer-Encoding: chunked, chunked",
            Refusal::TransferEncoding,
        ),
        (
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            Refusal::TransferEncoding,
        ),
        (
            b"Transfer-Encoding: chunked, identity",
            Refusal::TransferEncoding,
        ),
        (b"Transfer-Encoding: \x0bchunked", Refusal::FieldValue),
        (b"Transfer-Encoding:", Refusal::TransferEncoding),
        (b"Expect: 200-ok", Refusal::Expectation),
    ];
    for (fields, refusal) in cases {
        refused(
            &[b"POST / HTTP/1.1\r\nHost: a\r\n", fields, b"\r\n\r\n"].concat(),
            refusal,
        );
    }
    refused(
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        Refusal::TransferEncoding,
    );
}

#[test]
fn framing_and_connection() {
    let with =
        |fields: &str| complete(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes());
    assert_eq!(with("Content-Length: 5\r\n").framing, Framing::Length(5));
    assert_eq!(with("Content-Length: 005\r\n").framing, Framing::Length(5));
    assert_eq!(with("Content-Length: 0\r\n").framing, Framing::Empty);
    assert_eq!(
        with("transfer-encoding: Chunked\r\n").framing,
        Framing::Chunked
    );
    assert_eq!(
        with("Connection: foo, Close\r\n").persistence,
        Persistence::Close
    );
    assert_eq!(
        with("Connection: close, keep-alive\r\n").persistence,
        Persistence::Close
    );
    let expectant = with("Expect: 100-Continue\r\nContent-Length: 1\r\n");
    assert_eq!(expectant.expectation, Expectation::Continue);
    assert_eq!(
        with("Expect: 100-continue\r\n").expectation,
        Expectation::None
    );
    let old = complete(b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(
        (old.version, old.persistence),
        (Version::Http10, Persistence::Close)
    );
    let kept = complete(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(kept.persistence, Persistence::Keep);
}

#[test]
fn hosts() {
    for good in [
        "a",
        "a:80",
        "[::1]:8000",
        "[::1]",
        "",
        "a_b.example",
        "1.2.3.4:1",
        "xn--a",
    ] {
        let bytes = format!("GET / HTTP/1.1\r\nHost: {good}\r\n\r\n");
        assert!(parse_all(bytes.as_bytes()).is_ok(), "{good}");
    }
    for bad in [
        "a b", "a/b", "a:b", "u@a", "[::1", "[x]", "a,b", ":80", "a:999999", "[::1]x", "a\"", "a#",
    ] {
        refused(
            format!("GET / HTTP/1.1\r\nHost: {bad}\r\n\r\n").as_bytes(),
            Refusal::Host,
        );
    }
    refused(b"GET / HTTP/1.1\r\n\r\n", Refusal::Host);
    refused(
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        Refusal::Host,
    );
    refused(
        b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        Refusal::Host,
    );
}

#[test]
fn targets() {
    let bytes = b"GET http://other:81/p?q HTTP/1.1\r\nHost: a\r\n\r\n";
    let head = complete(bytes);
    assert_eq!(head.form, TargetForm::Absolute);
    assert_eq!(head.fields[0].value.of(bytes), b"other:81");
    assert_eq!(
        (head.path.unwrap().of(bytes), head.query.of(bytes)),
        (&b"/p"[..], &b"q"[..])
    );
    let bare = b"GET HTTP://other?q HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(
        (complete(bare).path, complete(bare).query.of(bare)),
        (None, &b"q"[..])
    );
    assert_eq!(
        complete(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").form,
        TargetForm::Asterisk
    );
    for bad in [
        "*",
        "a",
        "/a#b",
        "/\u{e4}",
        "ftp://a/",
        "http://",
        "http:///x",
        "http://u@a/",
        "http://a b/",
    ] {
        let bytes = format!("GET {bad} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(
            matches!(parse_all(bytes.as_bytes()), Err(r) if r.status() == 400),
            "{bad}"
        );
    }
    refused(
        b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
        Refusal::Connect,
    );
    refused(b"CONNECT /a HTTP/1.1\r\nHost: a:1\r\n\r\n", Refusal::Target);
}

#[test]
fn underscore_names_are_dropped() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1\r\nContent_Length: 5\r\n\r\n";
    let head = complete(bytes);
    assert_eq!((head.fields.len(), head.framing), (1, Framing::Empty));
}

#[test]
fn at_each_limit_and_one_past_it() {
    let limits = Limits {
        request_line: 30,
        header_section: 80,
        header_fields: 2,
        body: 10,
    };
    let try_parse = |bytes: &str| {
        parse(bytes.as_bytes(), 0, &limits, &mut RequestHead::default())
            .map(|found| found.is_some())
    };
    let line = |length: usize| format!("GET /{} HTTP/1.1\r\n", "x".repeat(length - 14));
    assert_eq!(try_parse(&(line(30) + "Host: a\r\n\r\n")), Ok(true));
    assert_eq!(
        try_parse(&(line(31) + "Host: a\r\n\r\n")),
        Err(Refusal::RequestLineTooLong)
    );
    assert_eq!(try_parse(&"x".repeat(31)), Ok(false));
    assert_eq!(try_parse(&"x".repeat(32)), Err(Refusal::RequestLineTooLong));
    let filled = |length: usize| {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(length - start.len() - 4))
    };
    assert_eq!(try_parse(&filled(80)), Ok(true));
    assert_eq!(try_parse(&filled(81)), Err(Refusal::HeaderSectionTooLong));
    let two = "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n";
    assert_eq!(try_parse(&format!("{two}\r\n")), Ok(true));
    assert_eq!(
        try_parse(&format!("{two}D: e\r\n\r\n")),
        Err(Refusal::TooManyFields)
    );
}

#[test]
fn small_pieces_give_the_same_answer() {
    let bytes = b"\r\nPOST /x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let limits = Limits::default();
    let mut head = RequestHead::default();
    for end in 1..bytes.len() - 3 {
        assert_eq!(
            parse(&bytes[..end], end - 1, &limits, &mut head),
            Ok(None),
            "{end}"
        );
    }
    let end = bytes.len() - 3;
    assert_eq!(
        parse(&bytes[..end], end - 1, &limits, &mut head),
        Ok(Some(end))
    );
}

#[test]
fn the_first_broken_line_gives_the_refusal() {
    refused(
        b"GET / HTTP/1.1\r\nHost: a\nA : b\r\n\r\n",
        Refusal::BareLineBreak,
    );
    refused(
        b"GET / HTTP/1.1\r\nA : b\r\nHost: a\n\r\n",
        Refusal::FieldName,
    );
}
