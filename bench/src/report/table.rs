//! One cell's results as a table.

use std::fmt;

use super::{
    Cell, Contestant,
    outcome::{Figure, Outcome},
};
use crate::Spread;

/// The ticks of 10 ms, over all rounds, from which a split of the CPU time is more than an estimate: 30 seconds.
const TICKS: f64 = 3000.0;

/// The results of one cell, best first.
pub struct Table {
    /// The cell.
    pub cell: &'static Cell,
    /// The results of each contestant.
    pub rows: Vec<Row>,
    /// What was decided while it was measured.
    pub note: Option<String>,
}

/// The results of one contestant.
pub struct Row {
    /// The contestant.
    pub contestant: Contestant,
    /// The outcome of each round.
    pub rounds: Vec<Outcome>,
}

impl Row {
    /// Returns the spread of one of the numbers over the rounds.
    #[must_use]
    pub fn spread(&self, figure: Figure) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(|outcome| outcome.figure(figure)).collect())
    }

    /// Returns the parts of the median CPU time in user mode and in the kernel, by the ticks of all rounds, with a mark
    /// if those are few.
    fn split(&self) -> [String; 2] {
        let sum = |figure| -> f64 {
            self.rounds.iter().filter_map(|outcome| outcome.figure(figure)).sum()
        };
        let (user, kernel) = (sum(Figure::UserTicks), sum(Figure::KernelTicks));
        split(self.median(Figure::CpuNs), user, kernel)
    }

    fn median(&self, figure: Figure) -> Option<f64> {
        self.spread(figure).map(|spread| spread.median)
    }
}

impl Table {
    /// Creates a table, with the rows sorted by the first number that is compared: less is better.
    #[must_use]
    pub fn new(cell: &'static Cell, rows: Vec<Row>) -> Self {
        let mut table = Self { cell, rows, note: None };
        if let Some((first, _)) = table.judged().into_iter().next() {
            let key = |row: &Row| row.median(first).unwrap_or(f64::INFINITY);
            table.rows.sort_by(|a, b| key(a).total_cmp(&key(b)));
        }
        table
    }

    /// Returns the numbers that are compared, and their names: less is better.
    #[must_use]
    pub fn judged(&self) -> Vec<(Figure, String)> {
        match self.cell.memory() {
            Some([first, second]) if self.cell.judges_both() => {
                vec![(Figure::FirstMemory, first.into()), (Figure::SecondMemory, second.into())]
            }
            Some([first, _]) => vec![(Figure::FirstMemory, first.into())],
            None if self.cell.is_latency() => {
                [(Figure::P99, "p99, µs"), (Figure::P50, "p50, µs"), (Figure::P999, "p99.9, µs")]
                    .map(|(figure, name)| (figure, name.into()))
                    .into()
            }
            None => {
                let mut judged = vec![(Figure::CpuNs, format!("CPU ns per {}", self.cell.unit()))];
                if self.cell.has_lengths() {
                    judged.push((Figure::Len, "bytes sent".into()));
                }
                if self.cell.has_peak() {
                    judged.push((Figure::PeakEach, "bytes per connection at the peak".into()));
                }
                judged
            }
        }
    }

    /// Returns the median of the contestant with this name.
    #[must_use]
    pub fn value_of(&self, label: &str, figure: Figure) -> Option<f64> {
        self.rows.iter().find(|row| row.contestant.label == label)?.median(figure)
    }

    /// Returns the best peer's name and median.
    #[must_use]
    pub fn best_peer(&self, figure: Figure) -> Option<(&str, f64)> {
        self.best(figure, Contestant::is_peer)
    }

    /// Returns the best of all libraries.
    fn winner(&self, figure: Figure) -> Option<f64> {
        Some(self.best(figure, |contestant| !contestant.is_yardstick())?.1)
    }

    fn best(&self, figure: Figure, counts: impl Fn(&Contestant) -> bool) -> Option<(&str, f64)> {
        let rows = self.rows.iter().filter(|row| counts(&row.contestant));
        let values =
            rows.filter_map(|row| Some((row.contestant.label.as_str(), row.median(figure)?)));
        if figure == Figure::PerSecond {
            values.max_by(|a, b| a.1.total_cmp(&b.1))
        } else {
            values.min_by(|a, b| a.1.total_cmp(&b.1))
        }
    }

    /// Returns the titles of the columns. The share of the core that the server used is not compared.
    fn columns(&self) -> Vec<String> {
        if let Some([first, second]) = self.cell.memory() {
            let [first, second] = [first, second].map(|when| format!("{when}, bytes"));
            let judged = if self.cell.judges_both() { "to best peer" } else { "" };
            return vec![first, "to best peer".into(), second, judged.into()];
        }
        if self.cell.is_latency() {
            let columns = ["p99, µs", "to best peer", "p50, µs", "to best peer", "p99.9, µs"];
            let rest = ["to best peer", "server's core used", "sent late, p99, µs"];
            return columns.into_iter().chain(rest).map(str::to_owned).collect();
        }
        let mut columns = vec![format!("CPU ns per {}", self.cell.unit())];
        columns.extend(["to best peer", "user", "kernel"].map(str::to_owned));
        if self.cell.has_lengths() {
            columns.extend(["bytes sent", "to best peer", "window"].map(str::to_owned));
        }
        if self.cell.has_peak() {
            let peak = ["peak per connection, bytes", "to best peer", "server's peak, MiB"];
            columns.extend(peak.map(str::to_owned));
        }
        columns.extend(["per second", "server's core used"].map(str::to_owned));
        columns
    }

    fn line(&self, row: &Row) -> Vec<String> {
        let compared = |figure| [self.value(row, figure), self.ratio(row, figure)];
        let shown =
            |figure, show: fn(f64) -> String| row.median(figure).map(show).unwrap_or_default();
        let busy = shown(Figure::Busy, |share| format!("{:.0} %", share * 100.0));
        if self.cell.memory().is_some() {
            let [second, ratio] = compared(Figure::SecondMemory);
            let ratio = if self.cell.judges_both() { ratio } else { String::new() };
            return [&compared(Figure::FirstMemory)[..], &[second, ratio]].concat();
        }
        if self.cell.is_latency() {
            let mut line = [Figure::P99, Figure::P50, Figure::P999].map(compared).concat();
            line.extend([busy, shown(Figure::Late, |late| format!("{late:.1}"))]);
            return line;
        }
        let mut line = compared(Figure::CpuNs).to_vec();
        line.extend(row.split());
        if self.cell.has_lengths() {
            line.extend(compared(Figure::Len));
            line.push(shown(Figure::WindowBits, window));
        }
        if self.cell.has_peak() {
            line.extend(compared(Figure::PeakEach));
            line.push(shown(Figure::PeakAll, |bytes| format!("{:.1}", bytes / f64::from(1 << 20))));
        }
        line.extend([self.value(row, Figure::PerSecond), busy]);
        line
    }

    fn ratio(&self, row: &Row, figure: Figure) -> String {
        match (row.median(figure), self.best_peer(figure)) {
            (Some(value), Some((_, best))) => format!("{:.2}", value / best),
            _ => String::new(),
        }
    }

    fn value(&self, row: &Row, figure: Figure) -> String {
        let Some(spread) = row.spread(figure) else { return "–".into() };
        let Spread { low, median, high } = spread;
        let wins = !row.contestant.is_yardstick() && self.winner(figure) == Some(median);
        let mark = if wins { "**" } else { "" };
        if figure == Figure::Len && low == high {
            return format!("{mark}{}{mark}", grouped(median)); // the same in each round
        }
        format!("{mark}{}{mark} ({}–{})", grouped(median), grouped(low), grouped(high))
    }
}

/// Writes Markdown, aligned so that the source is readable, too.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![(String::new(), self.columns())];
        lines.extend(self.rows.iter().map(|row| (row.contestant.label.clone(), self.line(row))));
        if let Some(note) = &self.note {
            writeln!(f, "{note}\n")?;
        }
        aligned(f, &lines)
    }
}

/// Writes a table: for each line its label and its cells. The first line is the head.
pub(crate) fn aligned(f: &mut impl fmt::Write, lines: &[(String, Vec<String>)]) -> fmt::Result {
    let first = lines.iter().map(|(first, _)| first.chars().count()).max().unwrap_or(0);
    let width = |column: usize| lines.iter().map(|(_, rest)| rest[column].chars().count()).max();
    let widths: Vec<_> = (0..lines[0].1.len()).map(|column| width(column).unwrap_or(0)).collect();
    for (number, (label, rest)) in lines.iter().enumerate() {
        write!(f, "| {label:first$} |")?;
        rest.iter().zip(&widths).try_for_each(|(text, width)| write!(f, " {text:>width$} |"))?;
        writeln!(f)?;
        if number == 0 {
            write!(f, "|{:-<1$}|", "", first + 2)?;
            widths.iter().try_for_each(|width| write!(f, "{:->1$}:|", "", width + 1))?;
            writeln!(f)?;
        }
    }
    Ok(())
}

/// Returns the parts of CPU time in user mode and in the kernel, by their ticks in all rounds, with a mark if those are
/// few.
pub(crate) fn split(total: Option<f64>, user: f64, kernel: f64) -> [String; 2] {
    let ticks = user + kernel;
    let Some(total) = total.filter(|_| ticks > 0.0) else {
        return ["–", "–"].map(str::to_owned);
    };
    let mark = if ticks < TICKS { "~" } else { "" };
    [user, kernel].map(|part| format!("{mark}{}", grouped(part / ticks * total)))
}

/// Formats the size of a window.
fn window(bits: f64) -> String {
    match 2_f64.powf(bits) {
        bytes if bytes < 1024.0 => format!("{bytes} B"),
        bytes => format!("{} KiB", bytes / 1024.0),
    }
}

/// Formats a number with commas between thousands.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.max(0.0));
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_in_the_largest_unit() {
        assert_eq!([9.0, 12.0, 15.0].map(window), ["512 B", "4 KiB", "32 KiB"]);
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(
            [0.4, 999.0, 1000.0, 1_234_567.0].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
