//! Field names and values (RFC 9110 section 5), for every version of HTTP.
//!
//! Owns the character tables and the list of names that come up often. It must not know how a
//! version frames its fields.

/// Request field names that come up often, in lower case. Their position is their identity: the
/// gateways keep one ready-made Python object for each.
pub const KNOWN: [&str; 56] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "cache-control",
    "cdn-loop",
    "cf-connecting-ip",
    "cf-ray",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "dnt",
    "expect",
    "forwarded",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "origin",
    "pragma",
    "priority",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "te",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
];

/// The identity of a name that is not in [`KNOWN`].
pub const UNKNOWN: u8 = u8::MAX;

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
            )
            || matches!(b, b'`' | b'|' | b'~');
        byte += 1;
    }
    table
};

const BUCKETS: usize = 256;

/// An open hash table over [`KNOWN`], made when the crate is compiled.
const INDEX: [u8; BUCKETS] = {
    let mut index = [UNKNOWN; BUCKETS];
    let mut position = 0;
    while position < KNOWN.len() {
        let mut bucket = hash(KNOWN[position].as_bytes());
        while index[bucket] != UNKNOWN {
            bucket = (bucket + 1) % BUCKETS;
        }
        index[bucket] = position as u8;
        position += 1;
    }
    index
};

const fn hash(name: &[u8]) -> usize {
    let length = name.len();
    let first = (name[0] | 0x20) as usize;
    let middle = (name[length / 2] | 0x20) as usize;
    let last = (name[length - 1] | 0x20) as usize;
    (length * 7 + first * 3 + middle * 31 + last * 59) % BUCKETS
}

/// The position of a token in [`KNOWN`], in whatever case it is written, or [`UNKNOWN`].
#[must_use]
pub fn identify(name: &[u8]) -> u8 {
    if name.is_empty() {
        return UNKNOWN;
    }
    let mut bucket = hash(name);
    loop {
        let position = INDEX[bucket];
        if position == UNKNOWN || folds_to(name, KNOWN[position as usize].as_bytes()) {
            return position;
        }
        bucket = (bucket + 1) % BUCKETS;
    }
}

/// The bit by which the cases of a letter differ; no other bytes of a token that differ in it alone
/// are a letter or a hyphen, and a known name has nothing else.
const CASE: u8 = 0x20;

/// Whether a token is this known name but for its case. Compares eight bytes at a time: this is
/// done for each field of each request.
fn folds_to(token: &[u8], known: &[u8]) -> bool {
    let folds = |(token, known): (&[u8; 8], &[u8; 8])| {
        u64::from_ne_bytes(*token) | u64::from_ne_bytes([CASE; 8]) == u64::from_ne_bytes(*known)
    };
    if token.len() != known.len() {
        return false;
    }
    match (token.last_chunk(), known.last_chunk()) {
        // The last eight may overlap the eights before them.
        (Some(token_end), Some(known_end)) => {
            let eights = token.as_chunks().0.iter().zip(known.as_chunks().0);
            folds((token_end, known_end)) && eights.into_iter().all(folds)
        }
        _ => token
            .iter()
            .zip(known)
            .all(|(token, known)| token | CASE == *known),
    }
}

/// The position in [`KNOWN`] of a name that is known to be there; for constants.
///
/// # Panics
/// When the name is not in the list, which a constant makes a compile error.
#[must_use]
pub const fn position(name: &str) -> u8 {
    let mut at = 0;
    while at < KNOWN.len() {
        if same(KNOWN[at].as_bytes(), name.as_bytes()) {
            return at as u8;
        }
        at += 1;
    }
    panic!("not a known field name")
}

const fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Whether a byte may stand in a token (RFC 9110 section 5.6.2).
#[must_use]
pub const fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Whether the bytes are a token: a method or a field name.
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    // No early exit: names are short, and nearly all of them are tokens.
    let fits = bytes
        .iter()
        .fold(true, |fine, &byte| fine & is_token_byte(byte));
    fits && !bytes.is_empty()
}

/// Whether a byte may stand in a field value: visible, space, tab or obs-text (RFC 9110 section 5.5).
#[must_use]
pub const fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

/// Whether the bytes may be sent as a field value. CR, LF and NUL would let one field become two.
#[must_use]
pub fn is_value(bytes: &[u8]) -> bool {
    // No early exit: the compiler turns the fold into vector instructions.
    bytes
        .iter()
        .fold(true, |fine, &byte| fine & is_value_byte(byte))
}

/// Splits a comma-separated list (RFC 9110 section 5.6.1) into its trimmed, non-empty members.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for (at, name) in KNOWN.iter().enumerate() {
            assert_eq!(usize::from(identify(name.as_bytes())), at);
            assert_eq!(usize::from(identify(name.to_uppercase().as_bytes())), at);
        }
        assert_eq!(identify(b"x-unheard-of"), UNKNOWN);
        assert_eq!(identify(b"hos"), UNKNOWN);
        assert_eq!(identify(b"accept_encoding"), UNKNOWN);
        assert_eq!(identify(b""), UNKNOWN);
    }

    #[test]
    fn known_names_are_sorted_and_lower_case() {
        assert!(KNOWN.is_sorted());
        let is_folded = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        assert!(KNOWN.iter().all(|name| name.bytes().all(is_folded)));
    }

    #[test]
    fn values_refuse_what_would_split_a_field() {
        for bad in [
            &b"a\r\nb: c"[..],
            b"a\nb",
            b"a\rb",
            b"a\0b",
            b"a\x7fb",
            b"a\x1bb",
        ] {
            assert!(!is_value(bad), "{bad:?}");
        }
        for good in [&b""[..], b"a b\tc", b"\xe4\xff", b"!\"#"] {
            assert!(is_value(good), "{good:?}");
        }
    }

    #[test]
    fn tokens() {
        assert!(is_token(b"GET") && is_token(b"x!#$%&'*+-.^_`|~9"));
        for bad in [&b""[..], b"a b", b"a:", b"a(", b"\xe4"] {
            assert!(!is_token(bad), "{bad:?}");
        }
    }
}
