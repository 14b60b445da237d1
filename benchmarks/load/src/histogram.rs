//! A histogram of durations with a bounded relative error. Knows neither clocks nor requests.

/// Each power of two is cut into this many steps: a quantile is at most 1/64 too large.
const STEPS: u64 = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// Counts durations in nanoseconds.
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    /// An empty histogram.
    pub fn new() -> Self {
        Self {
            counts: vec![0; bucket(u64::MAX) + 1],
            total: 0,
            max: 0,
        }
    }

    /// Counts one duration.
    pub fn record(&mut self, nanos: u64) {
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    /// The largest duration; 0 if there was none.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The duration that the share `q` of all does not exceed; 0 if there was none.
    pub fn quantile(&self, q: f64) -> u64 {
        let rank = (q * self.total as f64).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank && seen > 0 {
                return upper_bound(index).min(self.max);
            }
        }
        self.max
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < STEPS {
        return nanos as usize;
    }
    let shift = nanos.ilog2() - STEP_BITS;
    (u64::from(shift + 1) * STEPS + (nanos >> shift) - STEPS) as usize
}

fn upper_bound(bucket: usize) -> u64 {
    let (power, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    if power == 0 {
        return step;
    }
    let shift = power - 1;
    ((STEPS + step) << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_in_its_bucket_within_the_error() {
        for nanos in [
            0,
            1,
            63,
            64,
            65,
            127,
            128,
            1_000,
            8_191,
            1_000_000,
            u64::MAX,
        ] {
            let upper = upper_bound(bucket(nanos));
            assert!(upper >= nanos);
            assert!(upper - nanos <= nanos / STEPS, "{nanos} in {upper}");
        }
    }

    #[test]
    fn quantiles_count_from_the_smallest() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.99), 0);
        (1..=100).for_each(|nanos| histogram.record(nanos * 10));
        let median = histogram.quantile(0.5);
        assert!((500..=508).contains(&median), "{median}");
        assert_eq!(histogram.quantile(1.0), 1000);
        assert_eq!(histogram.max(), 1000);
    }
}
