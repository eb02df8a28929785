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
    /// The longest.
    pub max: Duration,
}

impl Latency {
    /// Returns the quantiles of these durations; `None` if there are none.
    #[must_use]
    pub fn of(mut durations: Vec<Duration>) -> Option<Self> {
        durations.sort_unstable();
        let (count, max) = (durations.len(), *durations.last()?);
        let at = |percent| durations[(count - 1) * percent / 100];
        Some(Self { count, p50: at(50), p99: at(99), max })
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, max] = [self.p50, self.p99, self.max].map(|duration| duration.as_nanos());
        write!(f, "{} {p50} {p99} {max}", self.count)
    }
}

impl FromStr for Latency {
    type Err = Box<dyn Error>;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let mut words = line.split_whitespace();
        let mut next = || words.next().ok_or("a latency has four numbers");
        let count = next()?.parse()?;
        let mut duration = || Ok::<_, Self::Err>(Duration::from_nanos(next()?.parse()?));
        Ok(Self { count, p50: duration()?, p99: duration()?, max: duration()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_hundred_durations() {
        let latency = Latency::of((0..=100).map(Duration::from_millis).collect()).unwrap();
        let [p50, p99, max] = [50, 99, 100].map(Duration::from_millis);
        assert_eq!(latency.to_string(), Latency { count: 101, p50, p99, max }.to_string());
        let read: Latency = latency.to_string().parse().unwrap();
        assert_eq!(read.to_string(), latency.to_string());
        assert!(Latency::of(vec![]).is_none());
    }
}
