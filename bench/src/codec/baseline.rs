//! [`Baseline`]: the committed instruction counts that new ones are compared with.

use std::{fmt, io, process::Command};

/// Prism's instruction counts, and the compiler that made them.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// The output of `rustc --version`.
    pub compiler: String,
    /// Each item's name and its instructions per message.
    pub counts: Vec<(String, f64)>,
}

/// An item whose count differs by more than the tolerance.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The item's name.
    pub item: String,
    /// Its count in the baseline; `None` if it is new.
    pub was: Option<f64>,
    /// Its count now; `None` if it is gone.
    pub is: Option<f64>,
}

/// By how much a count may differ from the baseline, in per cent.
const TOLERANCE: f64 = 3.0;

impl Baseline {
    /// Creates a baseline of these counts, with the installed compiler.
    ///
    /// # Errors
    /// If the compiler cannot be run.
    pub fn of(counts: Vec<(String, f64)>) -> io::Result<Self> {
        let output = Command::new("rustc").arg("--version").output()?;
        let compiler = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Self { compiler, counts })
    }

    /// Parses the output of [`fmt::Display`]; `None` if it is malformed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let compiler = lines.next()?.strip_prefix("# ")?.to_owned();
        let counts = lines.filter(|line| !line.starts_with('#')).map(|line| {
            let (item, count) = line.split_once('\t')?;
            Some((item.to_owned(), count.parse().ok()?))
        });
        Some(Self { compiler, counts: counts.collect::<Option<_>>()? })
    }

    /// Returns what has changed from this baseline to `new` by more than the tolerance.
    #[must_use]
    pub fn changes(&self, new: &Self) -> Vec<Change> {
        let items = self
            .counts
            .iter()
            .chain(new.counts.iter().filter(|(item, _)| self.count(item).is_none()));
        let changes = items.map(|(item, _)| Change {
            item: item.clone(),
            was: self.count(item),
            is: new.count(item),
        });
        changes.filter(|change| change.percent().is_none_or(|by| by.abs() > TOLERANCE)).collect()
    }

    fn count(&self, item: &str) -> Option<f64> {
        Some(self.counts.iter().find(|(name, _)| name == item)?.1)
    }
}

impl Change {
    /// Returns whether the item costs more now, or cannot be compared.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        self.percent().is_none_or(|by| by > 0.0)
    }

    fn percent(&self) -> Option<f64> {
        let (was, is) = (self.was?, self.is?);
        Some((is - was) / was * 100.0)
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}", self.compiler)?;
        writeln!(f, "# Prism's instructions per message; written by `.ci/instructions --save`.")?;
        self.counts.iter().try_for_each(|(item, count)| writeln!(f, "{item}\t{count:.1}"))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { item, was, is } = self;
        match (was, is, self.percent()) {
            (Some(was), Some(is), Some(by)) => {
                write!(f, "{item}: was {was:.1} instructions per message, is {is:.1} ({by:+.1} %)")
            }
            (None, Some(is), _) => write!(f, "{item}: is {is:.1}, but not in the baseline"),
            _ => write!(f, "{item}: is only in the baseline"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Baseline;

    fn baseline(counts: &[(&str, f64)]) -> Baseline {
        let counts = counts.iter().map(|(item, count)| ((*item).to_owned(), *count)).collect();
        Baseline { compiler: "rustc 1.0.0".to_owned(), counts }
    }

    #[test]
    fn a_written_baseline_can_be_parsed() {
        let counts = baseline(&[("decode 32 B", 123.4), ("handshake", 5678.0)]);
        assert_eq!(Baseline::parse(&counts.to_string()), Some(counts));
        assert_eq!(Baseline::parse("decode 32 B\t123.4\n"), None);
        assert_eq!(Baseline::parse("# rustc 1.0.0\ndecode 32 B: many\n"), None);
    }

    #[test]
    fn changes_beyond_three_per_cent_are_reported() {
        let old = baseline(&[("same", 100.0), ("worse", 100.0), ("better", 100.0), ("gone", 1.0)]);
        let new = baseline(&[("same", 102.9), ("worse", 103.1), ("better", 96.9), ("new", 1.0)]);
        let told: Vec<_> =
            old.changes(&new).iter().map(|c| (c.item.clone(), c.is_worse())).collect();
        let expected = [("worse", true), ("better", false), ("gone", true), ("new", true)];
        assert_eq!(told, expected.map(|(item, worse)| (item.to_owned(), worse)));
    }

    #[test]
    fn a_change_names_the_item_and_both_counts() {
        let (old, new) = (baseline(&[("echo", 100.0)]), baseline(&[("echo", 110.0)]));
        let told = old.changes(&new)[0].to_string();
        assert_eq!(told, "echo: was 100.0 instructions per message, is 110.0 (+10.0 %)");
    }
}
