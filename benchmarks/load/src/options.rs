//! What the command line asks for. Owns the rule that only this machine may be loaded.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How to call the program; shown with every wrong argument.
const USAGE: &str = "usage: bicorn-load --address IP:PORT --request FILE --body-length BYTES \
[--connections N] [--requests N] [--time SECONDS] [--warm-up SECONDS]";

/// One run's parameters.
pub struct Options {
    /// Where the server listens; a loopback address.
    pub address: SocketAddr,
    /// The file that holds one request, sent as it is.
    pub request: PathBuf,
    /// The length that every answer's body must have, without its chunked coding.
    pub body_length: u64,
    /// How many connections are kept busy. Default 64.
    pub connections: usize,
    /// A measurement ends when this many requests were sent. Default: no bound.
    pub requests: u64,
    /// A measurement ends after this time. Default 2 s.
    pub time: Duration,
    /// How long to load the server before the measurement. Default: one request on each connection.
    pub warm_up: Duration,
}

impl Options {
    /// Reads the arguments that follow the program's name.
    pub fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut address, mut request, mut body_length) = (None, None, None);
        let (mut connections, mut requests) = (64, u64::MAX);
        let (mut time, mut warm_up) = (2.0, 0.0);
        while let Some(name) = arguments.next() {
            let text = arguments
                .next()
                .ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
            match name.as_str() {
                "--address" => address = Some(loopback(value(&name, &text)?)?),
                "--request" => request = Some(PathBuf::from(text)),
                "--body-length" => body_length = Some(value(&name, &text)?),
                "--connections" => connections = value(&name, &text)?,
                "--requests" => requests = value(&name, &text)?,
                "--time" => time = value(&name, &text)?,
                "--warm-up" => warm_up = value(&name, &text)?,
                _ => return Err(format!("unknown argument {name}\n{USAGE}")),
            }
        }
        if connections == 0 {
            return Err("--connections must be at least 1".into());
        }
        Ok(Self {
            address: address.ok_or(USAGE)?,
            request: request.ok_or(USAGE)?,
            body_length: body_length.ok_or(USAGE)?,
            connections,
            requests,
            time: duration("--time", time)?,
            warm_up: duration("--warm-up", warm_up)?,
        })
    }
}

fn value<T: FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{name} {text}: not a value for it\n{USAGE}"))
}

fn loopback(address: SocketAddr) -> Result<SocketAddr, String> {
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!(
            "{address} is not this machine: only loopback addresses are loaded"
        ))
    }
}

fn duration(name: &str, seconds: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| format!("{name} {seconds}: not a number of seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::from_arguments(line.split_whitespace().map(String::from))
    }

    #[test]
    fn takes_loopback_addresses_only() {
        assert!(parse("--address 127.0.0.1:80 --request r --body-length 1").is_ok());
        assert!(parse("--address [::1]:80 --request r --body-length 1").is_ok());
        for address in ["192.0.2.1:80", "0.0.0.0:80", "[2001:db8::1]:80"] {
            let refused = parse(&format!("--address {address} --request r --body-length 1"));
            assert!(refused.is_err_and(|error| error.contains("loopback")));
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert!(parse("--address 127.0.0.1:80 --request r").is_err());
        assert!(parse("--adress 127.0.0.1:80").is_err());
        assert!(parse("--connections many").is_err());
        assert!(parse("--connections").is_err());
    }
}
