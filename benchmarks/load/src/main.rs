//! The load client of the benchmarks: many keep-alive connections in one thread that never sleeps.
//!
//! A client that sleeps makes the server pay for waking its processor, so this one polls. It knows HTTP/1.1
//! answers and nothing of the servers under test, and it loads nothing but the machine that it runs on.
//!
//! Standard output carries `ready` once every connection has had an answer and the warm-up is over; each line on
//! standard input starts a measurement; its result is one line of JSON, written while all connections are
//! still open; the end of standard input closes them. So the caller reads the server's counters exactly where
//! a measurement begins and ends, and can look at a server that holds idle connections.

#![forbid(unsafe_code)]

mod answer;
mod client;
mod histogram;
mod options;

use std::error::Error;
use std::io::{Write, stdin, stdout};
use std::process::ExitCode;
use std::time::Duration;

use client::{Bounds, Client, Tally};
use options::Options;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bicorn-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let options = Options::from_arguments(std::env::args().skip(1))?;
    let request = std::fs::read(&options.request)
        .map_err(|error| format!("{}: {error}", options.request.display()))?;
    let mut client = Client::open(&options, request)?;
    if options.warm_up > Duration::ZERO {
        client.run(&Bounds {
            requests: u64::MAX,
            time: options.warm_up,
        })?;
    }
    say("ready")?;
    while stdin().read_line(&mut String::new())? > 0 {
        let tally = client.run(&Bounds {
            requests: options.requests,
            time: options.time,
        })?;
        say(&json(&tally))?;
    }
    Ok(())
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn json(tally: &Tally) -> String {
    let micros = |nanos: u64| nanos as f64 / 1000.0;
    format!(
        "{{\"requests\": {}, \"seconds\": {:.6}, \"reconnects\": {}, \
         \"p50_us\": {:.1}, \"p99_us\": {:.1}, \"max_us\": {:.1}}}",
        tally.answers,
        tally.elapsed.as_secs_f64(),
        tally.reconnects,
        micros(tally.latency.quantile(0.50)),
        micros(tally.latency.quantile(0.99)),
        micros(tally.latency.max()),
    )
}
