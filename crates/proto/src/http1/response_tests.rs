use super::*;

const DATE: &[u8] = b"date: D\r\n";
const SERVER: &[u8] = b"server: bicorn\r\n";

fn around(whole: Option<u64>) -> Circumstances<'static> {
    Circumstances {
        version: Version::Http11,
        is_head: false,
        persistence: Persistence::Keep,
        date: DATE,
        server: SERVER,
        whole,
    }
}

fn finish(head: &ResponseHead, around: &Circumstances<'_>) -> (String, BodyWriter, Persistence) {
    let mut out = Vec::new();
    let (body, persistence) = head.finish(around, &mut out);
    (String::from_utf8(out).unwrap(), body, persistence)
}

fn head(status: u16, fields: &[(&str, &str)]) -> ResponseHead {
    let mut head = ResponseHead::default();
    head.begin(status, None).unwrap();
    for (name, value) in fields {
        head.field(name.as_bytes(), value.as_bytes()).unwrap();
    }
    head
}

#[test]
fn a_whole_body_gets_its_length() {
    let (text, body, persistence) = finish(
        &head(200, &[("content-type", "text/plain")]),
        &around(Some(13)),
    );
    let expected = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ndate: D\r\nserver: bicorn\r\ncontent-length: 13\r\n\r\n";
    assert_eq!(text, expected);
    assert_eq!(
        (body, persistence),
        (BodyWriter::Length(13), Persistence::Keep)
    );
}

#[test]
fn an_open_body_is_chunked_or_ends_with_the_connection() {
    let (text, body, _) = finish(&head(200, &[]), &around(None));
    assert!(text.contains("transfer-encoding: chunked\r\n"));
    assert_eq!(body, BodyWriter::Chunked);
    let old = Circumstances {
        version: Version::Http10,
        ..around(None)
    };
    let (text, body, persistence) = finish(&head(200, &[]), &old);
    assert!(text.contains("connection: close\r\n") && !text.contains("chunked"));
    assert_eq!(
        (body, persistence),
        (BodyWriter::UntilClose, Persistence::Close)
    );
    let (text, ..) = finish(&head(200, &[("Content-Length", "3")]), &old);
    assert!(text.contains("content-length: 3\r\nconnection: keep-alive\r\n"));
}

#[test]
fn answers_without_a_body() {
    let (text, body, _) = finish(&head(204, &[("content-length", "3")]), &around(Some(3)));
    assert!(!text.contains("content-length") && !text.contains("chunked"));
    assert_eq!(body, BodyWriter::Discard);
    let (text, ..) = finish(&head(304, &[("content-length", "3")]), &around(Some(0)));
    assert!(text.contains("content-length: 3\r\n"));
    let to_head = Circumstances {
        is_head: true,
        ..around(None)
    };
    assert_eq!(finish(&head(200, &[]), &to_head).1, BodyWriter::Discard);
    assert!(
        finish(&head(200, &[("content-length", "7")]), &to_head)
            .0
            .contains("content-length: 7")
    );
}

#[test]
fn fields_of_the_connection_are_the_servers() {
    let fields = [
        ("Connection", "x, close"),
        ("Transfer-Encoding", "chunked"),
        ("Keep-Alive", "x"),
        ("Date", "now"),
        ("Server", "me"),
    ];
    let (text, body, persistence) = finish(&head(200, &fields), &around(Some(2)));
    assert_eq!(
        text,
        "HTTP/1.1 200 OK\r\nDate: now\r\nServer: me\r\ncontent-length: 2\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(
        (body, persistence),
        (BodyWriter::Length(2), Persistence::Close)
    );
}

#[test]
fn what_an_application_may_not_say() {
    let mut head = ResponseHead::default();
    for status in [0, 99, 100, 101, 199, 1000] {
        assert_eq!(head.begin(status, None), Err(HeadError::Status(status)));
    }
    assert_eq!(head.begin(200, Some(b"a\r\nb")), Err(HeadError::Reason));
    head.begin(299, Some(b"Fine")).unwrap();
    assert_eq!(head.field(b"a b", b"c"), Err(HeadError::Name));
    assert_eq!(head.field(b"", b"c"), Err(HeadError::Name));
    assert_eq!(head.field(b"a", b"b\r\nc: d"), Err(HeadError::Value));
    assert_eq!(
        head.field(b"content-length", b"x"),
        Err(HeadError::ContentLength)
    );
    head.field(b"content-length", b"5").unwrap();
    head.field(b"content-length", b"5").unwrap();
    assert_eq!(
        head.field(b"content-length", b"6"),
        Err(HeadError::ContentLength)
    );
}

#[test]
fn body_accounting() {
    let mut body = BodyWriter::Length(5);
    assert_eq!(body.admit(3, false), Ok(()));
    assert_eq!(body.admit(3, false), Err(HeadError::BodyTooLong));
    assert_eq!(body.admit(1, true), Err(HeadError::BodyTooShort));
    assert_eq!(BodyWriter::Length(2).admit(2, true), Ok(()));
    assert_eq!(BodyWriter::Chunked.admit(9, true), Ok(()));
}

#[test]
fn chunk_framing() {
    let frame = |length, end| {
        let mut out = Vec::new();
        BodyWriter::Chunked.open_chunk(length, &mut out);
        (
            String::from_utf8(out).unwrap(),
            BodyWriter::Chunked.close_chunk(length, end),
        )
    };
    assert_eq!(frame(500, false), ("1f4\r\n".to_owned(), &b"\r\n"[..]));
    assert_eq!(
        frame(16, true),
        ("10\r\n".to_owned(), &b"\r\n0\r\n\r\n"[..])
    );
    assert_eq!(frame(0, true), (String::new(), &b"0\r\n\r\n"[..]));
    assert_eq!(frame(0, false), (String::new(), &b""[..]));
    assert_eq!(BodyWriter::Length(1).close_chunk(1, true), b"");
}
