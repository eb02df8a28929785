//! [`RoundTrips`]: how long peers take to answer the pings of the keepalive.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// A histogram of the times that peers took to answer the pings of the keepalive, as
/// [`Latency::last`](crate::Latency::last) measures them. There are none if the keepalive is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoundTrips {
    /// The number of round trips in each bucket. The first bucket has those that took at most the first of the
    /// [limits](Self::LIMITS), each further one those that took longer, up to its own limit. The last one has those
    /// that took longer than any limit.
    pub buckets: [u64; Self::LIMITS.len() + 1],
    /// The sum of all round trips.
    pub sum: Duration,
}

impl RoundTrips {
    /// The upper limits of all buckets but the last, which has none.
    pub const LIMITS: [Duration; 11] = [
        Duration::from_millis(1),
        Duration::from_micros(2500),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_millis(2500),
    ];

    /// Returns the number of round trips.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[derive(Debug, Default)]
pub(super) struct RoundTripCounters {
    buckets: [AtomicU64; RoundTrips::LIMITS.len() + 1],
    /// In microseconds: enough for half a million years.
    sum: AtomicU64,
}

impl RoundTripCounters {
    pub(super) fn add(&self, round_trip: Duration) {
        let bucket = RoundTrips::LIMITS.partition_point(|limit| *limit < round_trip);
        self.buckets[bucket].fetch_add(1, Relaxed);
        let micros = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
        self.sum.fetch_add(micros, Relaxed);
    }

    pub(super) fn snapshot(&self) -> RoundTrips {
        RoundTrips {
            buckets: self.buckets.each_ref().map(|count| count.load(Relaxed)),
            sum: Duration::from_micros(self.sum.load(Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{RoundTripCounters, RoundTrips};

    #[test]
    fn a_limit_belongs_to_its_bucket() {
        let counters = RoundTripCounters::default();
        let just_longer = |limit: &Duration| *limit + Duration::from_micros(1);
        RoundTrips::LIMITS.iter().for_each(|limit| counters.add(*limit));
        counters.add(just_longer(&RoundTrips::LIMITS[0]));
        counters.add(just_longer(&RoundTrips::LIMITS[10]));
        counters.add(Duration::ZERO);
        let round_trips = counters.snapshot();
        assert_eq!(round_trips.buckets, [2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(round_trips.count(), 14);
        assert_eq!(round_trips.sum, Duration::from_micros(6_944_502));
    }

    #[test]
    fn the_limits_ascend() {
        assert!(RoundTrips::LIMITS.is_sorted_by(|a, b| a < b));
    }
}
