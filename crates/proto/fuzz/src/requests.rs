//! Fuzzes the reading of requests: a connection's bytes end in requests or in a documented refusal,
//! and the same at every cut.
//!
//! The last bytes of the input choose the cuts, the rest is the connection. Run by
//! `tools/fuzz.py`.

#![no_main]

use bicorn_proto::{Limits, Refusal};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/feeding/mod.rs"]
mod feeding;

use feeding::{cut, feed};

/// Bytes at the end of the input that place the cuts; at the end, so that seeds stay as they are.
const CUTS: usize = 4;

fuzz_target!(|input: &[u8]| {
    let (bytes, cuts) = input.split_at(input.len() - CUTS.min(input.len()));
    let places: Vec<usize> = cuts
        .iter()
        .map(|&place| usize::from(place) * bytes.len() / 255)
        .collect();
    for limits in [Limits::default(), tight()] {
        let whole = feed([bytes], &limits);
        assert!(
            whole
                .refusal
                .is_none_or(|refusal| Refusal::ALL.contains(&refusal))
        );
        assert_eq!(
            feed(cut(bytes, &places), &limits),
            whole,
            "cut at {places:?}"
        );
        assert_eq!(feed(bytes.chunks(1), &limits), whole, "by byte");
    }
});

/// Limits that short inputs reach.
fn tight() -> Limits {
    Limits {
        request_line: 32,
        header_section: 128,
        header_fields: 4,
        body: 16,
    }
}
