//! [`Page`]: `CLUSTER.md`.

use std::{
    fmt::{self, Write},
    time::Duration,
};

use super::{
    Contestant, Highest, Measurement, RECEIVERS, Timing,
    contestants::{not_installed, versions},
};
use crate::{
    Spread,
    load::Sample,
    report::{
        machine::machine,
        table::{aligned, grouped, split},
    },
};

/// The text before the figures.
const INTRODUCTION: &str = "\
Two nodes and one Redis server. Each of 100 rooms has a member at node A that publishes, and nine members at node B. A message
is a text of 100 bytes. It is for all members but the publisher, so it causes nine deliveries, all of them across nodes.

Messages are published at fixed times, in one room after the other, whether or not earlier ones have been delivered. A time is
from when a message was due until a member of its room has read it, for each of the nine. A delivery that is missing after two
seconds is *lost*, and counts as two seconds. *Sent late* is the 99th percentile of how late the load generator was itself.

Both nodes, with one thread each, and Redis share core 0: *busy* is how much of it they use. The load generator has core 1 to
itself, because it polls without sleeping. Contestants take turns, A B C A B C, with new processes in each run. Values are
medians over the rounds, followed by the quartiles. CPU time is that of all threads of a process, as counted by the scheduler.
*User* and *kernel* are its parts, by the kernel's ticks in all rounds together, and **~** marks those from less than 30 s of
CPU time, which are rough. *floor-tokio* is a yardstick, not a library. Less than 10 % is a tie. [README.md](README.md#two-nodes)
describes the contestants, and the rules.";

/// The text before the highest rates.
const HIGHEST: &str = "\
The highest rate at which 99 % of the deliveries take at most 5 ms, while both nodes and Redis share one core. It is searched
for by doubling the rate, and then by halving the interval, until it is known within 5 %. A rate is too high if it is in two
runs. Values are medians over the searches. *At least* means that in a search the load generator could not keep up with a
higher rate.";

/// Fewer rounds are only a trial of the page.
const ROUNDS: usize = 10;

/// The processes, in the order of [`Measurement::cpu`].
const PROCESSES: [&str; 3] = ["node A", "node B", "Redis"];

/// Everything that was measured.
pub struct Page {
    /// The contestants.
    pub rows: Vec<Row>,
    /// The fixed rates, in messages per second.
    pub rates: Vec<f64>,
    /// How often each contestant was measured at each rate.
    pub rounds: usize,
    /// How long each of these runs took.
    pub timing: Timing,
    /// How long each run of a search for the highest rate took.
    pub search_timing: Timing,
}

/// The results of one contestant.
pub struct Row {
    /// The contestant.
    pub contestant: Contestant,
    /// The rounds at each of the rates.
    pub at_rates: Vec<Vec<Measurement>>,
    /// The highest rate, as each search has found it.
    pub highest: Vec<Highest>,
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Rooms across two nodes\n\n{INTRODUCTION}\n")?;
        if self.rounds < ROUNDS {
            writeln!(f, "**A quick run, with too few rounds to quote.**\n")?;
        }
        let Timing { warm_up, seconds } = self.timing;
        writeln!(f, "- {} rounds of {seconds} s, after {warm_up} s of warm-up", self.rounds)?;
        machine().iter().chain(&versions()).try_for_each(|line| writeln!(f, "- {line}"))?;
        let missing = not_installed();
        if !missing.is_empty() {
            let missing = missing.join(" and ");
            writeln!(f, "- Not measured, because not installed: {missing}")?;
        }
        for (place, rate) in self.rates.iter().enumerate() {
            writeln!(f, "\n## {} messages per second\n", grouped(*rate))?;
            writeln!(f, "How long a delivery takes, in microseconds:\n")?;
            self.write_latency(f, place)?;
            writeln!(f, "\nCPU time per delivery, in nanoseconds:\n")?;
            self.write_cpu(f, place)?;
        }
        self.write_highest(f)
    }
}

impl Page {
    fn write_latency(&self, f: &mut impl Write, place: usize) -> fmt::Result {
        let columns =
            ["p50", "p99", "p99.9", "lost", "busy", "sent late"].map(str::to_owned).to_vec();
        let mut lines = vec![(String::new(), columns)];
        for row in &self.rows {
            let rounds = &row.at_rates[place];
            let micros = |of: fn(&Measurement) -> Duration| {
                spread(rounds.iter().map(|round| of(round).as_secs_f64() * 1e6).collect())
            };
            let lost: u64 = rounds.iter().map(|round| round.lost).sum();
            let busy = |round: &Measurement| round.cpu.iter().map(Sample::busy).sum::<f64>();
            let busy = Spread::of(rounds.iter().map(busy).collect()).map_or(0.0, |it| it.median);
            let cells = vec![
                micros(|round| round.latency.p50),
                micros(|round| round.latency.p99),
                micros(|round| round.latency.p999),
                grouped(lost as f64),
                format!("{:.0} %", busy * 100.0),
                micros(|round| round.late),
            ];
            lines.push((row.contestant.name.to_owned(), cells));
        }
        aligned(f, &lines)
    }

    fn write_cpu(&self, f: &mut impl Write, place: usize) -> fmt::Result {
        let mut columns = vec!["all".to_owned()];
        columns
            .extend(PROCESSES.iter().flat_map(|name| [*name, "user", "kernel"]).map(str::to_owned));
        let mut lines = vec![(String::new(), columns)];
        for row in &self.rows {
            let rounds = &row.at_rates[place];
            let all = |round: &Measurement| round.cpu.iter().map(Sample::cpu_ns_each).sum::<f64>();
            let mut cells = vec![spread(rounds.iter().map(all).collect())];
            for process in 0..PROCESSES.len() {
                cells.extend(cpu_of(rounds, process));
            }
            lines.push((row.contestant.name.to_owned(), cells));
        }
        aligned(f, &lines)
    }

    fn write_highest(&self, f: &mut impl Write) -> fmt::Result {
        let Timing { warm_up, seconds } = self.search_timing;
        writeln!(f, "\n## The highest rate\n\n{HIGHEST}\n")?;
        writeln!(f, "Each run takes {seconds} s, after {warm_up} s of warm-up.\n")?;
        let columns = vec!["messages".to_owned(), "deliveries".to_owned()];
        let mut lines = vec![(String::new(), columns)];
        for row in &self.rows {
            let rates: Vec<f64> = row.highest.iter().map(|highest| highest.rate).collect();
            let deliveries = rates.iter().map(|rate| rate * RECEIVERS as f64).collect();
            let limited = row.highest.iter().any(|highest| highest.limited_by_load);
            let mark = if limited { "at least " } else { "" };
            let cells =
                vec![format!("{mark}{}", spread(rates)), format!("{mark}{}", spread(deliveries))];
            lines.push((row.contestant.name.to_owned(), cells));
        }
        aligned(f, &lines)
    }
}

/// Returns the CPU time per delivery of a process, and its parts.
fn cpu_of(rounds: &[Measurement], process: usize) -> [String; 3] {
    let each: Vec<f64> = rounds.iter().map(|round| round.cpu[process].cpu_ns_each()).collect();
    let sum = |ticks: fn(&Sample) -> u64| -> f64 {
        rounds.iter().map(|round| ticks(&round.cpu[process]) as f64).sum()
    };
    let user = sum(|sample| sample.cpu.user_ticks);
    let kernel = sum(|sample| sample.cpu.kernel_ticks);
    let median = Spread::of(each.clone()).map(|each| each.median);
    let [user, kernel] = split(median, user, kernel);
    [spread(each), user, kernel]
}

fn spread(values: Vec<f64>) -> String {
    let Some(Spread { low, median, high }) = Spread::of(values) else { return "–".into() };
    format!("{} ({}–{})", grouped(median), grouped(low), grouped(high))
}
