//! Streams that a fuzzer found interesting in another server, against the parser.
//!
//! Owns the ways in which each is cut. Every one ends in requests or a documented refusal, the same
//! at every cut, within a bounded time.

mod feeding;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, io};

use bicorn_proto::Limits;
use feeding::{cut, feed};

/// Far above what the longest stream takes byte by byte in a debug build on a busy machine, and far
/// below what quadratic work over it would take.
const LONGEST: Duration = Duration::from_secs(5);

const CUTS_PER_STREAM: usize = 4;

#[test]
fn the_corpus_reads_the_same_at_every_cut() -> io::Result<()> {
    let Some(streams) = streams()? else {
        // Past the capture of the test harness: that nothing was tested must be seen.
        let _ =
            io::stderr().write_all(b"\nSKIPPED: no corpus h2o-http1.tar.gz beside this checkout\n");
        return Ok(());
    };
    assert!(!streams.is_empty());
    let limits = Limits::default();
    let mut random = Random(20_260_101);
    for (name, bytes) in &streams {
        let began = Instant::now();
        let whole = feed([&bytes[..]], &limits);
        let lines = bytes.split_inclusive(|&byte| byte == b'\n');
        assert_eq!(feed(lines, &limits), whole, "{name} by line");
        assert_eq!(feed(bytes.chunks(1), &limits), whole, "{name} by byte");
        for _ in 0..CUTS_PER_STREAM {
            let places = random.places(bytes.len());
            assert_eq!(
                feed(cut(bytes, &places), &limits),
                whole,
                "{name} cut at {places:?}"
            );
        }
        let took = began.elapsed();
        assert!(took < LONGEST, "{name} took {took:?}");
    }
    Ok(())
}

type Stream = (String, Vec<u8>);

/// The streams by name, or nothing where the corpus is not there.
fn streams() -> io::Result<Option<Vec<Stream>>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let archive = root.join("../shared/corpora/h2o-http1.tar.gz");
    if !archive.is_file() {
        return Ok(None);
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("h2o-http1");
    fs::create_dir_all(&folder)?;
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(archive).arg("-C").arg(&folder);
    assert!(tar.status()?.success(), "tar could not unpack the corpus");
    let mut streams = Vec::new();
    for entry in fs::read_dir(folder.join("http1-corpus"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        streams.push((name, fs::read(entry.path())?));
    }
    streams.sort();
    Ok(Some(streams))
}

/// A linear congruential generator (Knuth's MMIX constants): cuts that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }

    fn places(&mut self, length: usize) -> Vec<usize> {
        let count = 1 + self.below(8);
        (0..count).map(|_| self.below(length)).collect()
    }
}
