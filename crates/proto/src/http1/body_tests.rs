use super::*;

/// Feeds the pieces and gives the content and the number of bytes that were not the body's.
fn read(framing: Framing, pieces: &[&[u8]]) -> Result<(Vec<u8>, Option<usize>), Refusal> {
    let mut reader = BodyReader::new(framing, 100)?;
    let mut content = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let mut rest = *piece;
        loop {
            match reader.advance(rest)? {
                Progress::Content(range) => {
                    content.extend_from_slice(&rest[range.clone()]);
                    rest = &rest[range.end..];
                }
                Progress::NeedMore => break,
                Progress::End(used) => {
                    let behind: usize = pieces[index + 1..].iter().map(|piece| piece.len()).sum();
                    return Ok((content, Some(rest.len() - used + behind)));
                }
            }
        }
    }
    Ok((content, None))
}

fn chunked(bytes: &[u8]) -> Result<(Vec<u8>, Option<usize>), Refusal> {
    let whole = read(Framing::Chunked, &[bytes]);
    let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(
        whole,
        read(Framing::Chunked, &bytewise),
        "{:?}",
        String::from_utf8_lossy(bytes)
    );
    whole
}

#[test]
fn content_length() {
    assert_eq!(
        read(Framing::Length(3), &[b"ab", b"cd"]),
        Ok((b"abc".to_vec(), Some(1)))
    );
    assert_eq!(
        read(Framing::Length(3), &[b"ab"]),
        Ok((b"ab".to_vec(), None))
    );
    assert_eq!(read(Framing::Empty, &[b"x"]), Ok((vec![], Some(1))));
    assert!(BodyReader::new(Framing::Length(100), 100).is_ok());
    assert_eq!(
        BodyReader::new(Framing::Length(101), 100),
        Err(Refusal::BodyTooLong)
    );
}

#[test]
fn chunks() {
    assert_eq!(
        chunked(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET"),
        Ok((b"abcde".to_vec(), Some(3)))
    );
    assert_eq!(
        chunked(b"3;a=b;c=\"d;\\\"e\"\r\nabc\r\n0\r\n\r\n"),
        Ok((b"abc".to_vec(), Some(0)))
    );
    assert_eq!(
        chunked(b"0003\r\nabc\r\n000\r\nA: b\r\nC:\r\n\r\n"),
        Ok((b"abc".to_vec(), Some(0)))
    );
    assert_eq!(
        chunked(b"A\r\n0123456789\r\n0\r\n"),
        Ok((b"0123456789".to_vec(), None))
    );
}

#[test]
fn refusals() {
    let cases: [(&[u8], Refusal); 22] = [
        (b"-3\r\nabc", Refusal::ChunkSize),
        (b"+3\r\nabc", Refusal::ChunkSize),
        (b"0x3\r\nabc", Refusal::ChunkSize),
        (b" 3\r\nabc", Refusal::ChunkSize),
        (b"3 \r\nabc", Refusal::ChunkSize),
        (b"\r\nabc", Refusal::ChunkSize),
        (b"g\r\nabc", Refusal::ChunkSize),
        (b"00000000000000003\r\nabc", Refusal::ChunkSize),
        (b"FFFFFFFFFFFFFFFFF\r\n", Refusal::ChunkSize),
        (b"3\nabc\r\n", Refusal::ChunkSize),
        (b"3\r\r\nabc", Refusal::BareLineBreak),
        (b"3;a\nabc\r\n", Refusal::ChunkExtension),
        (b"3;a=\"\r\n\"\r\nabc\r\n", Refusal::ChunkExtension),
        (b"3;\0\r\n", Refusal::ChunkExtension),
        (b"3\r\nabcd\r\n", Refusal::ChunkEnd),
        (b"3\r\nabc\n", Refusal::ChunkEnd),
        (b"3\r\nabc\rx", Refusal::ChunkEnd),
        (b"0\r\n A: b\r\n\r\n", Refusal::Trailer),
        (b"0\r\nA : b\r\n\r\n", Refusal::Trailer),
        (b"0\r\nA: b\n\r\n", Refusal::Trailer),
        (b"0\r\n\n", Refusal::Trailer),
        (b"FFFFFFFFFFFFFFFF\r\n", Refusal::BodyTooLong),
    ];
    for (bytes, refusal) in cases {
        assert_eq!(
            chunked(bytes),
            Err(refusal),
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
}

#[test]
fn at_each_limit_and_one_past_it() {
    let body = |sizes: &[usize]| {
        let mut bytes = Vec::new();
        for size in sizes {
            bytes.extend_from_slice(format!("{size:x}\r\n{}\r\n", "x".repeat(*size)).as_bytes());
        }
        bytes
    };
    assert!(chunked(&body(&[60, 40])).is_ok());
    assert_eq!(chunked(&body(&[60, 41])), Err(Refusal::BodyTooLong));
    let extension = |length| [b"1;".to_vec(), vec![b'x'; length], b"\r\n".to_vec()].concat();
    assert!(chunked(&extension(CHUNK_EXTENSIONS)).is_ok());
    assert_eq!(
        chunked(&extension(CHUNK_EXTENSIONS + 1)),
        Err(Refusal::ChunkExtension)
    );
    let trailer = |length| {
        [
            b"0\r\nA:".to_vec(),
            vec![b'x'; length - 4],
            b"\r\n".to_vec(),
        ]
        .concat()
    };
    assert!(chunked(&trailer(TRAILER_SECTION)).is_ok());
    assert_eq!(
        chunked(&trailer(TRAILER_SECTION + 1)),
        Err(Refusal::Trailer)
    );
}

#[test]
fn extensions_add_up_over_chunks() {
    let chunk = [
        b"1;".to_vec(),
        vec![b'x'; CHUNK_EXTENSIONS / 2],
        b"\r\nx\r\n".to_vec(),
    ]
    .concat();
    assert!(chunked(&chunk.repeat(2)).is_ok());
    assert_eq!(
        chunked(&[chunk.repeat(2), b"1;x".to_vec()].concat()),
        Err(Refusal::ChunkExtension)
    );
}
