//! Latencies, and their text form for another process.

use std::{error::Error, fmt, str::FromStr, time::Duration};

/// The quantiles of some durations.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// The number of durations.
    pub count: usize,
    /// The median.
    pub p50: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The 99.9th percentile.
    pub p999: Duration,
    /// The longest.
    pub max: Duration,
}

impl Latency {
    /// Returns the quantiles of these durations; `None` if there are none.
    #[must_use]
    pub fn of(mut durations: Vec<Duration>) -> Option<Self> {
        durations.sort_unstable();
        let (count, max) = (durations.len(), *durations.last()?);
        let at = |permille| durations[(count - 1) * permille / 1000];
        Some(Self { count, p50: at(500), p99: at(990), p999: at(999), max })
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let durations = [self.p50, self.p99, self.p999, self.max];
        let [p50, p99, p999, max] = durations.map(|duration| duration.as_nanos());
        write!(f, "{} {p50} {p99} {p999} {max}", self.count)
    }
}

impl FromStr for Latency {
    type Err = Box<dyn Error>;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let mut words = line.split_whitespace();
        let mut next = || words.next().ok_or("a latency has five numbers");
        let count = next()?.parse()?;
        let mut duration = || Ok::<_, Self::Err>(Duration::from_nanos(next()?.parse()?));
        Ok(Self { count, p50: duration()?, p99: duration()?, p999: duration()?, max: duration()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_thousand_durations() {
        let latency = Latency::of((0..=1000).map(Duration::from_millis).collect()).unwrap();
        let [p50, p99, p999, max] = [500, 990, 999, 1000].map(Duration::from_millis);
        assert_eq!(latency.to_string(), Latency { count: 1001, p50, p99, p999, max }.to_string());
        let read: Latency = latency.to_string().parse().unwrap();
        assert_eq!(read.to_string(), latency.to_string());
        assert!(Latency::of(vec![]).is_none());
    }
}
