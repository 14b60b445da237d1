//! Parses a browser's request as often as the first argument says, for `tools/instructions.py`.

use std::env;
use std::hint::black_box;

use bicorn_proto::Limits;
use bicorn_proto::http1::{self, RequestHead};

/// A GET with the thirteen fields that a browser sends to a site it has visited before.
const REQUEST: &[u8] = b"GET /articles/2025/the-two-horns?page=2&sort=newest HTTP/1.1\r\n\
Host: www.example.org\r\n\
Connection: keep-alive\r\n\
sec-ch-ua: \"Chromium\";v=\"131\", \"Not_A Brand\";v=\"24\"\r\n\
sec-ch-ua-mobile: ?0\r\n\
sec-ch-ua-platform: \"Linux\"\r\n\
Upgrade-Insecure-Requests: 1\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
Sec-Fetch-Site: same-origin\r\n\
Referer: https://www.example.org/articles/2025/\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=1\r\n\
\r\n";

fn main() {
    let iterations = env::args().nth(1).and_then(|text| text.parse().ok());
    let limits = Limits::default();
    let mut head = RequestHead::default();
    for _ in 0..iterations.unwrap_or(1_u32) {
        let length = http1::parse(black_box(REQUEST), 0, &limits, black_box(&mut head));
        assert_eq!(black_box(length), Ok(Some(REQUEST.len())));
    }
}
