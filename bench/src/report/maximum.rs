//! The maximum of the slowest server, which decides the rates of the cells with a fixed one.

use std::error::Error;

use super::{Contestant, Figure, Timing, cells::MAXIMUM, measure, table::grouped};
use crate::Spread;

/// How often each server is measured.
const ROUNDS: usize = 3;

/// The messages per second of the slowest server.
#[derive(Clone, Debug)]
pub struct Maximum {
    /// The server; `None` if the maximum was given instead of measured.
    pub server: Option<String>,
    /// The messages per second.
    pub per_second: f64,
}

impl Maximum {
    /// Measures all servers, in turn, and returns the median of the slowest one. Yardsticks do not count.
    ///
    /// # Errors
    /// If no server can be measured.
    pub fn of_slowest(contestants: &[Contestant], timing: Timing) -> Result<Self, Box<dyn Error>> {
        let contestants = contestants.iter().filter(|contestant| !contestant.is_yardstick());
        let mut rounds: Vec<_> = contestants.map(|contestant| (contestant, Vec::new())).collect();
        for _ in 0..ROUNDS {
            for (contestant, rates) in &mut rounds {
                match measure(&MAXIMUM, contestant, timing, None) {
                    Ok(outcome) => rates.extend(outcome.figure(Figure::PerSecond)),
                    Err(error) => eprintln!("{} failed: {error}", contestant.label),
                }
            }
        }
        let maxima = rounds
            .into_iter()
            .filter_map(|(contestant, rates)| Some((&contestant.label, Spread::of(rates)?.median)));
        let slowest = maxima.min_by(|a, b| a.1.total_cmp(&b.1)).ok_or("no server has a maximum")?;
        Ok(Self { server: Some(slowest.0.clone()), per_second: slowest.1 })
    }

    /// Returns this share of it, in messages per second, and a sentence about that.
    #[must_use]
    pub fn rate(&self, share: f64) -> (f64, String) {
        let rate = (share * self.per_second).round();
        let of = match &self.server {
            Some(server) => format!("the maximum of {server}, which is the slowest"),
            None => "a given maximum".into(),
        };
        let (percent, maximum) = (share * 100.0, grouped(self.per_second));
        let rate_text = grouped(rate);
        (rate, format!("{rate_text} messages per second: {percent:.0} % of {of} ({maximum})."))
    }
}

#[cfg(test)]
mod tests {
    use super::Maximum;

    #[test]
    fn a_rate_is_a_share_of_the_maximum() {
        let maximum = Maximum { server: Some("tortoise".into()), per_second: 40_000.0 };
        let (rate, note) = maximum.rate(0.8);
        assert_eq!(rate, 32_000.0);
        assert!(note.starts_with("32,000 messages") && note.contains("tortoise"), "{note}");
    }
}
