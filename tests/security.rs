//! Checks `SECURITY.md` against the code: every test that it names exists in the named file, and
//! every limit has a row.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use prism_rooms::{PresenceOptions, RoomsOptions};
use prism_tokio::{ClientOptions, ServerOptions};

const PAGE: &str = include_str!("../SECURITY.md");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the rows of the tables that name tests, which excludes the tables of measurements.
fn rows() -> impl Iterator<Item = &'static str> {
    let tables = PAGE.split("\n\n").filter(|block| block.starts_with('|'));
    let shown =
        tables.filter(|table| table.lines().next().is_some_and(|head| head.contains(" shown by ")));
    shown.flat_map(str::lines)
}

/// Returns the code spans of a line.
fn code(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Returns the names of the tests in a file, without the ignored ones.
fn tests(text: &str) -> HashSet<&str> {
    let attributes = ["#[test]\n", "#[tokio::test]\n", "#[tokio::test(start_paused = true)]\n"];
    let behind_attributes = attributes.iter().flat_map(|attribute| text.split(attribute).skip(1));
    let names = behind_attributes.filter_map(|text| {
        let text = text.trim_start();
        text.strip_prefix("async ").unwrap_or(text).strip_prefix("fn ")?.split('(').next()
    });
    names.collect()
}

/// Returns whether this is a scenario that the `main.rs` beside the file lists, to run on each runtime.
fn is_on_each_runtime(path: &str, text: &str, name: &str) -> bool {
    let list = || read(&path.replace(path.rsplit('/').next().unwrap_or(path), "main.rs"));
    text.contains(&format!("async fn {name}<N: Net>("))
        && list().lines().any(|line| line.trim().trim_end_matches(';') == name)
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A row names a file and then its tests: "`path/to/file.rs` `name_of_test`, `another`".
#[test]
fn every_test_that_the_page_names_exists() {
    let mut named = 0;
    for row in rows() {
        let mut file: Option<(&str, String)> = None;
        for code in code(row) {
            if code.ends_with(".rs") {
                file = Some((code, read(code)));
            } else if let Some((path, text)) = &file {
                let exists = tests(text).contains(code) || is_on_each_runtime(path, text, code);
                assert!(exists, "{path} has no test {code}");
                named += 1;
            }
        }
        assert!(file.is_some() || !row.contains('`'), "the row names no test: {row}");
    }
    assert!(named > 0, "the page names no tests");
}

/// In prose, a colon is between a file and its tests: "(`path/to/file.rs`: `name_of_test`, `another`)".
#[test]
fn every_test_that_the_prose_names_exists() {
    let mut named = 0;
    for block in PAGE.split("\n\n").filter(|block| !block.starts_with('|')) {
        // Text and code take turns.
        let parts: Vec<_> = block.split('`').map(str::trim).collect();
        let mut file = None;
        for turn in parts.windows(3).skip(1).step_by(2) {
            file = match turn[1] {
                ":" if turn[0].ends_with(".rs") => Some(turn[0]),
                "," => file,
                _ => None,
            };
            if let Some(file) = file {
                assert!(tests(&read(file)).contains(turn[2]), "{file} has no test {}", turn[2]);
                named += 1;
            }
        }
    }
    assert!(named > 0, "the prose names no tests");
}

#[test]
fn every_file_that_the_page_names_exists() {
    for file in PAGE.lines().flat_map(code).filter(|code| code.ends_with(".rs")) {
        assert!(root().join(file).exists(), "{file}");
    }
}

/// Takes the names of the limits from the `Debug` output of the options.
#[test]
fn every_limit_has_a_row() {
    let named: HashSet<_> = rows().flat_map(code).collect();
    let (rooms, presence) = (RoomsOptions::default(), PresenceOptions::default());
    let (server, client) = (ServerOptions::default(), ClientOptions::default());
    let options = format!("{server:#?}\n{client:#?}\n{rooms:#?}\n{presence:#?}");
    let limits: Vec<_> = options
        .lines()
        .filter_map(|line| line.trim_start().split_once(": "))
        .map(|(name, _)| name)
        .filter(|name| !["connection", "protocol"].contains(name))
        .collect();
    assert!(limits.len() > 10, "{limits:?}");
    for limit in limits {
        assert!(named.contains(limit), "{limit} is not in SECURITY.md");
    }
}
