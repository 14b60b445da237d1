//! The engine's idea of now.
//!
//! Owns the two clocks, and the texts of the date that change once a second.

use bicorn_proto::date;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Milliseconds of the monotonic clock. Zero stands for "never".
pub(crate) type Millis = u64;

pub(crate) struct Clock {
    millis: Millis,
    micros: u64,
    second: u64,
    unix: u64,
    date_line: [u8; 37],
    common_log: [u8; 26],
}

impl Clock {
    pub(crate) fn new() -> Self {
        let mut clock = Self {
            millis: 0,
            micros: 0,
            second: 0,
            unix: 0,
            date_line: *b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
            common_log: date::common_log(0),
        };
        clock.refresh();
        clock
    }

    /// Reads the clocks. Once a turn, and where an application may have computed in between.
    pub(crate) fn refresh(&mut self) -> Millis {
        let now = clock_gettime(ClockId::Monotonic);
        let (second, nanos) = (now.tv_sec as u64, now.tv_nsec as u64);
        self.micros = second * 1_000_000 + nanos / 1000;
        self.millis = second * 1000 + nanos / 1_000_000;
        if second != self.second {
            self.second = second;
            self.unix = seconds(clock_gettime(ClockId::Realtime));
            self.date_line[6..35].copy_from_slice(&date::imf_fixdate(self.unix));
            self.common_log = date::common_log(self.unix);
        }
        self.millis
    }

    pub(crate) const fn millis(&self) -> Millis {
        self.millis
    }

    /// The same moment in microseconds.
    pub(crate) const fn micros(&self) -> u64 {
        self.micros
    }

    /// `date: <IMF-fixdate>\r\n`.
    pub(crate) const fn date_line(&self) -> &[u8] {
        &self.date_line
    }

    pub(crate) const fn common_log(&self) -> &[u8] {
        &self.common_log
    }
}

/// Microseconds of the monotonic clock, for durations.
pub(crate) fn micros() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    seconds(now) * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1000
}

fn seconds(time: Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0)
}
