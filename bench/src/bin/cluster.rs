//! Measures rooms across two nodes with one Redis server, and writes `CLUSTER.md`.
//!
//! ```text
//! cluster [--rounds N] [--seconds S] [--searches N] [--quick] [--servers NAMES] [--page FILE]
//! cluster node NAME ADDR REDIS_URL
//! cluster load ADDR_A ADDR_B PROTOCOL PID_A PID_B PID_REDIS RATE WARM_UP SECONDS
//! ```
//!
//! With `--servers` (names, separated by commas) it prints the page instead of writing it, unless `--page` names a
//! file. The other two forms are the processes that it starts: a node of this package, and the load generator.

use std::{env, error::Error, fs, path::PathBuf};

use prism_bench::{
    cluster::{
        Load, Page, Row, Timing, contestants, highest, measure, measure_once, not_installed,
        run_node,
    },
    report::build,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The fixed rates, in messages per second.
const RATES: [f64; 2] = [1000.0, 5000.0];

/// Node compiles what runs often, which takes a while.
const SEARCH_TIMING: Timing = Timing { warm_up: 2.0, seconds: 1.0 };

struct Arguments {
    rounds: usize,
    searches: usize,
    timing: Timing,
    servers: Vec<String>,
    page: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("node") => {
            let [_, name, address, redis] = &words[..] else {
                return Err("cluster node NAME ADDR REDIS_URL".into());
            };
            Ok(run_node(name, address, redis)?)
        }
        Some("load") => {
            println!("{}", Load::parse(&words[1..])?.run()?);
            Ok(())
        }
        _ => compare(&Arguments::parse(&words)?),
    }
}

fn compare(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    if cfg!(debug_assertions) {
        return Err("only a release build is worth measuring".into());
    }
    if cfg!(feature = "peers") {
        // By itself, so that it does not change the others' features.
        build(&["--package", "bench-socketioxide"])?;
    }
    allow_files()?;
    let missing = not_installed();
    if !missing.is_empty() {
        eprintln!("not measured, because not installed (see README.md): {}", missing.join(", "));
    }
    let page = Page {
        rows: run(arguments)?,
        rates: RATES.to_vec(),
        rounds: arguments.rounds,
        timing: arguments.timing,
        search_timing: SEARCH_TIMING,
    };
    let whole = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/CLUSTER.md"));
    let whole = arguments.servers.is_empty().then_some(whole);
    match arguments.page.clone().or(whole) {
        Some(file) => fs::write(file, page.to_string())?,
        None => print!("{page}"),
    }
    Ok(())
}

/// Runs all rounds. Each contestant runs once per round and rate, and then once per search.
fn run(arguments: &Arguments) -> Result<Vec<Row>, Box<dyn Error>> {
    let row = |contestant| Row {
        contestant,
        at_rates: vec![Vec::new(); RATES.len()],
        highest: Vec::new(),
    };
    let mut rows: Vec<Row> = contestants(&arguments.servers)?.into_iter().map(row).collect();
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        for (place, rate) in RATES.into_iter().enumerate() {
            for row in &mut rows {
                match measure(&row.contestant, rate, arguments.timing) {
                    Ok(measured) => row.at_rates[place].push(measured),
                    Err(error) => eprintln!("{} at {rate}: {error}", row.contestant.name),
                }
            }
        }
    }
    for search in 1..=arguments.searches {
        eprintln!("search {search} of {} for the highest rate", arguments.searches);
        for row in &mut rows {
            match highest(|rate| measure_once(&row.contestant, rate, SEARCH_TIMING)) {
                Ok(found) => row.highest.push(found),
                Err(error) => eprintln!("{}: {error}", row.contestant.name),
            }
        }
    }
    Ok(rows)
}

/// Allows this process, and those that it starts, as many open files as they may have. The load generator needs a
/// thousand.
fn allow_files() -> Result<(), Box<dyn Error>> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

impl Arguments {
    fn parse(words: &[String]) -> Result<Self, Box<dyn Error>> {
        let mut arguments = Self {
            rounds: 10,
            searches: 3,
            timing: Timing { warm_up: 0.5, seconds: 4.0 },
            servers: Vec::new(),
            page: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--rounds" => arguments.rounds = value()?.parse()?,
                "--searches" => arguments.searches = value()?.parse()?,
                "--seconds" => arguments.timing.seconds = value()?.parse()?,
                "--quick" => {
                    (arguments.rounds, arguments.searches) = (2, 1);
                    arguments.timing = Timing { warm_up: 0.3, seconds: 1.0 };
                }
                "--servers" => arguments.servers = value()?.split(',').map(str::to_owned).collect(),
                "--page" => arguments.page = Some(value()?.into()),
                _ => return Err(format!("unknown argument {word}").into()),
            }
        }
        Ok(arguments)
    }
}
