//! The highest rate that a cluster sustains.

use std::{error::Error, time::Duration};

use super::Measurement;

/// What the 99th percentile may be.
const MAX_P99: Duration = Duration::from_millis(5);

/// The 99th percentile of how late the load generator may be.
const MAX_LATE: Duration = Duration::from_millis(1);

/// The first rate, in messages per second. Lower ones are of no interest.
const FIRST: f64 = 250.0;

/// Above this rate nothing is measured.
const LAST: f64 = FIRST * 2048.0;

/// How exact the result is, as a factor.
const EXACT: f64 = 1.05;

/// How often a rate is tried before it counts as too high: something else may have had the core.
const ATTEMPTS: usize = 2;

/// The highest rate, in messages per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Highest {
    /// The rate; 0 if it is below the first one that is tried.
    pub rate: f64,
    /// Whether the load generator was too slow for a higher one.
    pub limited_by_load: bool,
}

/// What came of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Sustained,
    TooHigh,
    LoadTooSlow,
}

/// Searches for the highest rate at which 99 % of the deliveries take at most 5 ms: it doubles the rate until one is
/// too high, and then halves the interval.
///
/// # Errors
/// If the first rate cannot be measured. Later, a run that fails shows that its rate is too high.
pub fn highest(
    mut measure: impl FnMut(f64) -> Result<Measurement, Box<dyn Error>>,
) -> Result<Highest, Box<dyn Error>> {
    measure(FIRST)?;
    Ok(search(|rate| {
        let mut outcome = Outcome::TooHigh;
        for _ in 0..ATTEMPTS {
            outcome = measure(rate).map_or(Outcome::TooHigh, |measured| judge(&measured));
            if outcome == Outcome::Sustained {
                break;
            }
        }
        outcome
    }))
}

fn judge(measured: &Measurement) -> Outcome {
    if measured.late > MAX_LATE {
        Outcome::LoadTooSlow
    } else if measured.latency.p99 > MAX_P99 {
        Outcome::TooHigh
    } else {
        Outcome::Sustained
    }
}

fn search(mut outcome: impl FnMut(f64) -> Outcome) -> Highest {
    let (mut low, mut high, mut limited_by_load) = (0.0, FIRST, false);
    while high <= LAST {
        match outcome(high) {
            Outcome::Sustained => (low, high) = (high, high * 2.0),
            failed => {
                limited_by_load = failed == Outcome::LoadTooSlow;
                break;
            }
        }
    }
    while low > 0.0 && high / low > EXACT && high <= LAST {
        let middle = (low * high).sqrt().round();
        match outcome(middle) {
            Outcome::Sustained => low = middle,
            failed => {
                limited_by_load = failed == Outcome::LoadTooSlow;
                high = middle;
            }
        }
    }
    Highest { rate: low, limited_by_load }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_rate_is_found_within_five_percent() {
        for limit in [250.0, 1000.0, 1700.0, 33_000.0, 400_000.0] {
            let found =
                search(|rate| if rate <= limit { Outcome::Sustained } else { Outcome::TooHigh });
            assert!(!found.limited_by_load);
            assert!(found.rate <= limit && found.rate * 1.06 > limit, "{found:?}, not {limit}");
        }
    }

    #[test]
    fn the_limit_may_be_that_of_the_load_generator() {
        let found =
            search(|rate| if rate < 9000.0 { Outcome::Sustained } else { Outcome::LoadTooSlow });
        assert!(found.limited_by_load && found.rate > 8500.0, "{found:?}");
        assert_eq!(search(|_| Outcome::Sustained).rate, LAST);
        assert_eq!(search(|_| Outcome::TooHigh).rate, 0.0);
    }
}
