//! [`Latency`]: how long the peer takes to answer the pings of the keepalive.

use core::{num::NonZeroU32, time::Duration};

/// How long the peer takes to answer the pings of the keepalive, as measured by
/// [`WebSocket::handle_pong`](crate::WebSocket::handle_pong).
///
/// A round trip is the time from when a ping is appended to the output until `handle_pong` is
/// called with its pong. So a round trip is longer than the time on the network. It includes the
/// time that the ping and the pong wait behind other data in buffers and queues, at both ends and
/// on the way, and the time that the application spends on earlier messages before it reads the
/// pong.
///
/// The peer can make a round trip longer, by answering late. It can also make one shorter, by
/// answering a ping that has yet to arrive, because pings are numbered. Do not use the latency for
/// decisions from which the peer could profit.
///
/// Round trips are rounded up to microseconds. One of zero counts as one microsecond, and one of
/// more than 71 minutes (2^32 µs) as 71 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// The most recent round trip.
    pub last: Duration,
    /// The smoothed round trip (RFC 6298 §2): the first round trip, and from then on 7/8 of the
    /// previous value plus 1/8 of each new round trip.
    pub smoothed: Duration,
}

/// What a connection remembers of its round trips, in microseconds. A [`Latency`] would take four
/// times the memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundTrips {
    last: NonZeroU32,
    smoothed: NonZeroU32,
}

impl RoundTrips {
    /// Adds a round trip to the `earlier` ones, if any.
    pub(crate) fn after(earlier: Option<Self>, round_trip: Duration) -> Self {
        let micros = round_trip.as_nanos().div_ceil(1000);
        let last = NonZeroU32::new(u32::try_from(micros).unwrap_or(u32::MAX));
        let last = last.unwrap_or(NonZeroU32::MIN);
        let smoothed = earlier.map_or(last, |earlier| smooth(earlier.smoothed, last));
        Self { last, smoothed }
    }

    pub(crate) const fn latency(self) -> Latency {
        Latency { last: micros(self.last), smoothed: micros(self.smoothed) }
    }
}

/// RFC 6298 §2.3: "SRTT <- (1 - alpha) * SRTT + alpha * R'", with an alpha of 1/8. Rounds to the
/// nearest microsecond.
fn smooth(smoothed: NonZeroU32, last: NonZeroU32) -> NonZeroU32 {
    let sum = 7 * u64::from(smoothed.get()) + u64::from(last.get());
    let rounded = u32::try_from((sum + 4) / 8).unwrap_or(u32::MAX);
    NonZeroU32::new(rounded).unwrap_or(NonZeroU32::MIN)
}

const fn micros(count: NonZeroU32) -> Duration {
    Duration::from_micros(count.get() as u64)
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{Latency, RoundTrips};

    fn latency(round_trips: impl IntoIterator<Item = Duration>) -> Option<Latency> {
        let add = |earlier, round_trip| Some(RoundTrips::after(earlier, round_trip));
        round_trips.into_iter().fold(None, add).map(RoundTrips::latency)
    }

    #[test]
    fn a_round_trip_is_rounded_up_to_a_microsecond_and_saturates() {
        let longest = Duration::from_micros(u32::MAX.into());
        for (round_trip, stored) in [
            (Duration::ZERO, Duration::from_micros(1)),
            (Duration::from_nanos(1), Duration::from_micros(1)),
            (Duration::from_nanos(1000), Duration::from_micros(1)),
            (Duration::from_nanos(1001), Duration::from_micros(2)),
            (longest, longest),
            (longest + Duration::from_nanos(1), longest),
            (Duration::MAX, longest),
        ] {
            let expected = Some(Latency { last: stored, smoothed: stored });
            assert_eq!(latency([round_trip]), expected, "{round_trip:?}");
            assert_eq!(latency([round_trip; 3]), expected, "{round_trip:?}, three times");
        }
    }

    #[test]
    fn smoothing_moves_an_eighth_of_the_way_and_arrives() {
        let (low, high) = (Duration::from_millis(1), Duration::from_millis(9));
        for (first, then, second) in [(low, high, 2), (high, low, 8)] {
            let expected = Latency { last: then, smoothed: Duration::from_millis(second) };
            assert_eq!(latency([first, then]), Some(expected));
            let end = latency(core::iter::once(first).chain([then; 100])).map(|end| end.smoothed);
            assert!(
                end.is_some_and(|end| end.abs_diff(then) < Duration::from_micros(5)),
                "{end:?}"
            );
        }
    }
}
