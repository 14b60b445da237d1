//! Request targets and Host (RFC 9112 section 3.2, RFC 3986).
//!
//! Owns which of the four forms a target has, where its path and query lie, and which authority
//! the request is for.

use memchr::{memchr, memchr2};

use super::head::{RequestHead, Span};
use crate::refusal::Refusal;

/// The form of a request target (RFC 9112 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetForm {
    /// `/path?query`.
    #[default]
    Origin,
    /// `http://host/path?query`.
    Absolute,
    /// `*`, for OPTIONS alone.
    Asterisk,
}

/// Fills in the form, the path and the query from the target, and checks Host.
pub(super) fn resolve(head: &mut RequestHead, buffer: &[u8]) -> Result<(), Refusal> {
    let method = head.method.of(buffer);
    let target = head.target.of(buffer);
    // RFC 9112 section 3.2: a fragment is no part of any form; RFC 3986 section 2: other octets than
    // US-ASCII are percent-encoded, and who decodes them otherwise sees another path.
    if memchr(b'#', target).is_some() || !target.is_ascii() {
        return Err(Refusal::Target);
    }
    if let Some(host) = head.host
        && !is_authority(head.fields[host].value.of(buffer))
    {
        return Err(Refusal::Host);
    }
    if method == b"CONNECT" {
        return Err(if is_authority(target) {
            Refusal::Connect
        } else {
            Refusal::Target
        });
    }
    head.query = Span::default();
    match target {
        [b'/', ..] => {
            head.form = TargetForm::Origin;
            split_query(head, head.target, buffer);
            Ok(())
        }
        b"*" if method == b"OPTIONS" => {
            head.form = TargetForm::Asterisk;
            head.path = Some(head.target);
            Ok(())
        }
        _ => resolve_absolute(head, buffer),
    }
}

fn resolve_absolute(head: &mut RequestHead, buffer: &[u8]) -> Result<(), Refusal> {
    let target = head.target.of(buffer);
    let scheme = if starts_with_ignore_case(target, b"http://") {
        "http://".len()
    } else if starts_with_ignore_case(target, b"https://") {
        "https://".len()
    } else {
        return Err(Refusal::Target);
    };
    let rest = head.target.skip(scheme);
    let end = memchr2(b'/', b'?', rest.of(buffer)).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if authority.is_empty() || !is_authority(authority.of(buffer)) {
        return Err(Refusal::Target);
    }
    // RFC 9112 section 3.2.2: the target's authority replaces what Host says.
    if let Some(host) = head.host {
        head.fields[host].value = authority;
    }
    head.form = TargetForm::Absolute;
    split_query(head, tail, buffer);
    Ok(())
}

fn split_query(head: &mut RequestHead, target: Span, buffer: &[u8]) {
    let (path, query) = match memchr(b'?', target.of(buffer)) {
        Some(at) => (target.split_at(at).0, target.skip(at + 1)),
        None => (target, Span::default()),
    };
    head.path = (!path.is_empty()).then_some(path);
    head.query = query;
}

fn starts_with_ignore_case(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Whether the bytes are `uri-host [ ":" port ]` (RFC 3986 section 3.2.2), or nothing at all, which
/// RFC 9110 section 7.2 asks a client to send when its target has no authority. User information is
/// refused (RFC 9110 section 4.2.4).
fn is_authority(bytes: &[u8]) -> bool {
    let (host, port) = match bytes {
        [b'[', rest @ ..] => {
            let Some(end) = memchr(b']', rest) else {
                return false;
            };
            if !is_ip_literal(&rest[..end]) {
                return false;
            }
            (&b"x"[..], &rest[end + 1..])
        }
        _ => bytes.split_at(memchr(b':', bytes).unwrap_or(bytes.len())),
    };
    let port_fits = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    port_fits
        && (!host.is_empty() || port.is_empty())
        && host.iter().all(|&byte| is_host_byte(byte))
}

fn is_ip_literal(bytes: &[u8]) -> bool {
    core::str::from_utf8(bytes).is_ok_and(|text| text.parse::<core::net::Ipv6Addr>().is_ok())
}

/// `unreserved / pct-encoded / sub-delims` of RFC 3986, without the comma, which joins repeated fields.
const HOST: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric()
            || matches!(b, b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&')
            || matches!(b, b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=');
        byte += 1;
    }
    table
};

const fn is_host_byte(byte: u8) -> bool {
    HOST[byte as usize]
}
