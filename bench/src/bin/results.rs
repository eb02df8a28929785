//! Measures everything, interleaved, and writes `RESULTS.md` and its plots, or a part of it.
//!
//! ```text
//! results [--rounds N] [--seconds S] [--warm-up S] [--quick] [--only CELLS] [--servers NAMES] [--prism-binary NAME=PATH]...
//!         [--slowest PER_SECOND] [--page FILE]
//! ```
//!
//! With `--only` (cells' names, or parts of them, separated by commas), `--servers` (whole names) or `--prism-binary`
//! (the server program of another build, called NAME) it prints the tables and writes no page. The cells of latency
//! measure the slowest server's maximum first, unless `--slowest` says what it is, so that several runs have the same
//! rates. With `--page` it writes the page into that file, and the plots into the folder `plots` beside it.

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
};

use prism_bench::report::{
    CELLS, Cell, Maximum, ONCE, Row, Section, Table, Timing, build, contestants, measure,
    not_built, write_page,
};

struct Arguments {
    rounds: usize,
    timing: Timing,
    only: Vec<String>,
    servers: Vec<String>,
    builds: Vec<(String, PathBuf)>,
    slowest: Option<f64>,
    page: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    if cfg!(debug_assertions) {
        return Err("only a release build is worth measuring".into());
    }
    let arguments = Arguments::parse()?;
    build_programs()?;
    let missing = not_built();
    if !missing.is_empty() {
        eprintln!("not measured, because not built (see README.md): {}", missing.join(", "));
    }
    let mut tables = Vec::new();
    let mut maximum = arguments.slowest.map(|per_second| Maximum { server: None, per_second });
    for cell in CELLS.iter().filter(|cell| arguments.includes(cell.name)) {
        let table = run(cell, &arguments, &mut maximum)?;
        println!("{}: {}\n{table}", cell.name, cell.title);
        tables.push(table);
    }
    let sections = run_once(&arguments);
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS.md");
    let all = arguments.is_everything().then_some(all);
    if let Some(file) = arguments.page.as_ref().or(all.as_ref()) {
        write_page(file, &tables, &sections, arguments.rounds, arguments.timing)?;
    }
    Ok(())
}

/// Runs what is measured once, and leaves out what fails.
fn run_once(arguments: &Arguments) -> Vec<Section> {
    let wanted = |name| {
        arguments.is_everything() || (!arguments.only.is_empty() && arguments.includes(name))
    };
    let mut sections = Vec::new();
    for once in ONCE.iter().filter(|once| wanted(once.name)) {
        eprintln!("{}: about {}", once.name, once.takes);
        match once.run() {
            Ok(section) => {
                println!("{}\n", section.text);
                sections.push(section);
            }
            Err(error) => eprintln!("failed: {error}"),
        }
    }
    sections
}

/// Runs all rounds of one cell. Every contestant runs once per round. The first cell with a fixed rate sets the
/// maximum, unless it is known.
fn run(
    cell: &'static Cell,
    arguments: &Arguments,
    maximum: &mut Option<Maximum>,
) -> Result<Table, Box<dyn Error>> {
    let contestants = contestants(cell, &arguments.servers, &arguments.builds)?;
    let (mut rate, mut note) = (None, None);
    if let Some(share) = cell.share {
        let known = match maximum.take() {
            Some(known) => known,
            None => Maximum::of_slowest(&contestants, arguments.timing)?,
        };
        let (per_second, text) = maximum.insert(known).rate(share);
        (rate, note) = (Some(per_second), Some(text));
    }
    let row = |contestant| Row { contestant, rounds: Vec::new() };
    let mut rows: Vec<_> = contestants.into_iter().map(row).collect();
    for round in 1..=arguments.rounds {
        eprint!("\r{}: round {round} of {} ", cell.name, arguments.rounds);
        for row in &mut rows {
            match measure(cell, &row.contestant, arguments.timing, rate) {
                Ok(outcome) => row.rounds.push(outcome),
                Err(error) => eprintln!("{} failed: {error}", row.contestant.label),
            }
        }
    }
    eprintln!();
    Ok(Table { note, ..Table::new(cell, rows) })
}

/// Builds the other programs, because `cargo run` builds only this one.
fn build_programs() -> Result<(), Box<dyn Error>> {
    let mut arguments = vec!["--bin", "server", "--bin", "load", "--bin", "codec"];
    arguments.extend(["--bin", "instructions", "--bin", "rooms", "--bin", "example-chat"]);
    arguments.extend(["--bin", "example-rooms"]);
    if !cfg!(feature = "peers") {
        arguments.extend(["--no-default-features", "--features", "servers"]);
    }
    build(&arguments)?;
    if cfg!(feature = "peers") {
        // By itself, so that it does not change the others' features.
        build(&["--package", "bench-actix-ws"])?;
    }
    Ok(())
}

impl Arguments {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let mut arguments = Self {
            rounds: 10,
            timing: Timing { warm_up: 0.15, seconds: 0.4 },
            only: Vec::new(),
            servers: Vec::new(),
            builds: Vec::new(),
            slowest: None,
            page: None,
        };
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--rounds" => arguments.rounds = value()?.parse()?,
                "--seconds" => arguments.timing.seconds = value()?.parse()?,
                "--warm-up" => arguments.timing.warm_up = value()?.parse()?,
                "--quick" => {
                    arguments.rounds = 3;
                    arguments.timing = Timing { warm_up: 0.1, seconds: 0.2 };
                }
                "--only" => arguments.only = list(&value()?),
                "--servers" => arguments.servers = list(&value()?),
                "--prism-binary" => {
                    let value = value()?;
                    let (name, path) = value.split_once('=').ok_or("--prism-binary NAME=PATH")?;
                    arguments.builds.push((name.to_owned(), path.into()));
                }
                "--slowest" => arguments.slowest = Some(value()?.parse()?),
                "--page" => arguments.page = Some(value()?.into()),
                _ => return Err(format!("unknown argument {word}").into()),
            }
        }
        Ok(arguments)
    }

    /// Returns whether everything is measured for the page, rather than a part for a comparison.
    fn is_everything(&self) -> bool {
        self.only.is_empty() && self.servers.is_empty() && self.builds.is_empty()
    }

    fn includes(&self, cell: &str) -> bool {
        let is_name = |word: &str| CELLS.iter().any(|cell| cell.name == word);
        let means = |word: &String| if is_name(word) { cell == word } else { cell.contains(word) };
        self.only.is_empty() || self.only.iter().any(means)
    }
}

fn list(words: &str) -> Vec<String> {
    words.split(',').map(str::to_owned).collect()
}
