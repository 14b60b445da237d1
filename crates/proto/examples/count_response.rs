//! Writes a response's head as often as the first argument says, for `tools/instructions.py`.

use std::env;
use std::hint::black_box;

use bicorn_proto::http1::response::{BodyWriter, Circumstances, ResponseHead};
use bicorn_proto::http1::{Persistence, Version};

/// What an application sets on a page.
const FIELDS: [(&[u8], &[u8]); 4] = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-length", b"13"),
    (b"cache-control", b"max-age=0, private"),
    (b"vary", b"accept-encoding, cookie"),
];

const AROUND: Circumstances<'_> = Circumstances {
    version: Version::Http11,
    is_head: false,
    persistence: Persistence::Keep,
    date: b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
    server: b"server: bicorn\r\n",
    whole: Some(13),
};

fn main() {
    let iterations = env::args().nth(1).and_then(|text| text.parse().ok());
    let mut head = ResponseHead::default();
    let mut out = Vec::new();
    for _ in 0..iterations.unwrap_or(1_u32) {
        out.clear();
        let mut written = head.begin(black_box(200), None);
        for (name, value) in black_box(FIELDS) {
            written = written.and_then(|()| head.field(name, value));
        }
        assert_eq!(written, Ok(()));
        let framed = head.finish(black_box(&AROUND), black_box(&mut out));
        assert_eq!(framed, (BodyWriter::Length(13), Persistence::Keep));
    }
}
