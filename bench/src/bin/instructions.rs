//! Counts the instructions per message. Needs valgrind.
//!
//! - `instructions`: prints a table of all libraries.
//! - `instructions --check`: compares Prism's counts with the baseline, and fails if one is worse.
//! - `instructions --save`: makes Prism's counts the baseline.
//! - `instructions run LIBRARY ITEM BATCHES`: what runs under valgrind.

use std::{collections::HashMap, error::Error, fs, process::ExitCode};

use prism_bench::codec::{Baseline, ITEMS, LIBRARIES, Library, count, run_counted, table};

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.tsv");

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        None => compare_libraries()?,
        Some("run") => run_counted(&arguments[1..]),
        Some("--check") => return check(),
        Some("--save") => fs::write(BASELINE, count_prism()?.to_string())?,
        Some(_) => {
            eprintln!("usage: instructions [--check | --save]");
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn compare_libraries() -> Result<(), Box<dyn Error>> {
    let mut counts = HashMap::new();
    for library in LIBRARIES {
        for item in ITEMS {
            if let Some(count) = count(library, item)? {
                counts.insert((item.name, library.name), count);
            }
        }
    }
    let figure = |item: &str, library: &str| Some(format!("{:.1}", counts.get(&(item, library))?));
    print!("{}", table("instructions per message", figure));
    Ok(())
}

fn check() -> Result<ExitCode, Box<dyn Error>> {
    let was = Baseline::parse(&fs::read_to_string(BASELINE)?).ok_or("the baseline is malformed")?;
    let is = count_prism()?;
    print!("{is}");
    let changes = was.changes(&is);
    let (worse, better): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.is_worse());
    for change in &better {
        println!("better: {change}");
    }
    for change in &worse {
        eprintln!("WORSE: {change}");
    }
    if !changes.is_empty() && was.compiler != is.compiler {
        eprintln!("The baseline is from {}, and this is {}.", was.compiler, is.compiler);
    }
    if worse.is_empty() && !better.is_empty() {
        println!("Save the new baseline with `.ci/instructions --save`, and commit it.");
    }
    if !worse.is_empty() {
        eprintln!(
            "If this is intended, save the new baseline with `.ci/instructions --save`, and say why."
        );
    }
    Ok(if worse.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn count_prism() -> Result<Baseline, Box<dyn Error>> {
    let prism = Library::named("prism").ok_or("Prism is measured")?;
    let mut counts = Vec::new();
    for item in ITEMS {
        let count = count(prism, item)?.ok_or("Prism does every item")?;
        counts.push((item.name.to_owned(), count));
    }
    Ok(Baseline::of(counts)?)
}
