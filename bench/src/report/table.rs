//! One cell's results as a table.

use std::fmt;

use super::{Cell, Contestant};
use crate::Spread;

/// The columns of values for the ticks of CPU time in user mode and in the kernel.
const USER: usize = 3;
const KERNEL: usize = 4;

/// The ticks of 10 ms, over all rounds, from which a split of the CPU time is more than an estimate: 30 seconds.
const TICKS: f64 = 3000.0;

/// The columns of values for compressed messages: the median length of their payloads, and the bits of their
/// window.
const LEN: usize = 5;
const WINDOW_BITS: usize = 6;

/// The columns of values for memory at the peak.
const PEAK: usize = 5;
const PEAK_IN_ALL: usize = 6;

/// The columns of values for latency: the 99th percentile is first, because it decides.
const P99: usize = 0;
const P50: usize = 1;
const P999: usize = 2;
const BUSY_AT_RATE: usize = 3;
pub(super) const LATE: usize = 4;

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
    /// The values of each round, as returned by [`measure`](super::measure).
    pub rounds: Vec<Vec<f64>>,
}

impl Row {
    /// Returns the spread of one of the values over the rounds.
    #[must_use]
    pub fn spread(&self, column: usize) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(|round| round.get(column).copied()).collect())
    }

    /// Returns the parts of the median CPU time in user mode and in the kernel, by the ticks of all rounds, with a mark if
    /// those are few.
    fn split(&self) -> [String; 2] {
        let sum = |column: usize| -> f64 {
            self.rounds.iter().filter_map(|round| round.get(column)).sum()
        };
        split(self.median(0), sum(USER), sum(KERNEL))
    }

    fn median(&self, column: usize) -> Option<f64> {
        self.spread(column).map(|spread| spread.median)
    }
}

impl Table {
    /// Creates a table, with the rows sorted by their first value: less is better.
    #[must_use]
    pub fn new(cell: &'static Cell, mut rows: Vec<Row>) -> Self {
        let key = |row: &Row| row.median(0).unwrap_or(f64::INFINITY);
        rows.sort_by(|a, b| key(a).total_cmp(&key(b)));
        Self { cell, rows, note: None }
    }

    /// Returns the columns that are compared, and their names: less is better.
    #[must_use]
    pub fn judged(&self) -> Vec<(usize, String)> {
        match self.cell.memory() {
            Some([first, second]) if self.cell.judges_both() => {
                vec![(0, first.into()), (1, second.into())]
            }
            Some([first, _]) => vec![(0, first.into())],
            None if self.cell.is_latency() => {
                [(P99, "p99, µs"), (P50, "p50, µs"), (P999, "p99.9, µs")]
                    .map(|(column, name)| (column, name.into()))
                    .into()
            }
            None => {
                let mut judged = vec![(0, format!("CPU ns per {}", self.cell.unit()))];
                if self.cell.has_lengths() {
                    judged.push((LEN, "bytes sent".into()));
                }
                if self.cell.has_peak() {
                    judged.push((PEAK, "bytes per connection at the peak".into()));
                }
                judged
            }
        }
    }

    /// Returns the median of the contestant with this name.
    #[must_use]
    pub fn value_of(&self, label: &str, column: usize) -> Option<f64> {
        self.rows.iter().find(|row| row.contestant.label == label)?.median(column)
    }

    /// Returns the best peer's name and median.
    #[must_use]
    pub fn best_peer(&self, column: usize) -> Option<(&str, f64)> {
        self.best(column, Contestant::is_peer)
    }

    /// Returns the best of all libraries.
    fn winner(&self, column: usize) -> Option<f64> {
        Some(self.best(column, |contestant| !contestant.is_yardstick())?.1)
    }

    fn best(&self, column: usize, counts: impl Fn(&Contestant) -> bool) -> Option<(&str, f64)> {
        let rows = self.rows.iter().filter(|row| counts(&row.contestant));
        let values =
            rows.filter_map(|row| Some((row.contestant.label.as_str(), row.median(column)?)));
        if self.more_is_better(column) {
            values.max_by(|a, b| a.1.total_cmp(&b.1))
        } else {
            values.min_by(|a, b| a.1.total_cmp(&b.1))
        }
    }

    fn more_is_better(&self, column: usize) -> bool {
        self.cell.memory().is_none() && !self.cell.is_latency() && column == 1
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
        let ratio = |column| self.ratio(row, column);
        if self.cell.memory().is_some() {
            let second = if self.cell.judges_both() { ratio(1) } else { String::new() };
            return vec![self.value(row, 0), ratio(0), self.value(row, 1), second];
        }
        let percent = |column| {
            row.median(column).map_or_else(String::new, |share| format!("{:.0} %", share * 100.0))
        };
        if self.cell.is_latency() {
            let mut line: Vec<_> =
                [P99, P50, P999].map(|column| [self.value(row, column), ratio(column)]).concat();
            line.push(percent(BUSY_AT_RATE));
            line.push(row.median(LATE).map_or_else(String::new, |late| format!("{late:.1}")));
            return line;
        }
        let mut line = vec![self.value(row, 0), ratio(0)];
        line.extend(row.split());
        if self.cell.has_lengths() {
            let window = row.median(WINDOW_BITS).map_or_else(String::new, window);
            line.extend([self.value(row, LEN), ratio(LEN), window]);
        }
        if self.cell.has_peak() {
            let all = row.median(PEAK_IN_ALL).map(|bytes| bytes / f64::from(1 << 20));
            let all = all.map_or_else(String::new, |all| format!("{all:.1}"));
            line.extend([self.value(row, PEAK), ratio(PEAK), all]);
        }
        line.extend([self.value(row, 1), percent(2)]);
        line
    }

    fn ratio(&self, row: &Row, column: usize) -> String {
        match (row.median(column), self.best_peer(column)) {
            (Some(value), Some((_, best))) => format!("{:.2}", value / best),
            _ => String::new(),
        }
    }

    fn value(&self, row: &Row, column: usize) -> String {
        let Some(spread) = row.spread(column) else { return "–".into() };
        let Spread { low, median, high } = spread;
        let wins = !row.contestant.is_yardstick() && self.winner(column) == Some(median);
        let mark = if wins { "**" } else { "" };
        if self.cell.has_lengths() && column == LEN && low == high {
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

/// Returns the parts of CPU time in user mode and in the kernel, by their ticks in all rounds, with a mark if those are few.
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
