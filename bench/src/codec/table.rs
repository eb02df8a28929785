//! [`table`]: figures for a terminal.

use std::fmt::Write;

use super::{item::ITEMS, library::LIBRARIES};

/// Returns a table with a row for each item and a column for each library.
#[must_use]
pub fn table(title: &str, cell: impl Fn(&str, &str) -> Option<String>) -> String {
    let mut lines = vec![String::new(); ITEMS.len() + 1];
    let items = ITEMS.iter().map(|item| item.name);
    let first = std::iter::once(title).chain(items.clone()).map(str::to_owned).collect();
    append_column(&mut lines, first, |text, width| format!("{text:<width$}"));
    for library in LIBRARIES {
        let figures = items.clone().map(|item| cell(item, library.name).unwrap_or("-".to_owned()));
        let column = std::iter::once(library.name.to_owned()).chain(figures).collect();
        append_column(&mut lines, column, |text, width| format!("  {text:>width$}"));
    }
    lines.iter().fold(String::new(), |mut table, line| {
        let _ = writeln!(table, "{}", line.trim_end()); // writing to a string cannot fail
        table
    })
}

fn append_column(lines: &mut [String], texts: Vec<String>, pad: impl Fn(&str, usize) -> String) {
    let width = texts.iter().map(String::len).max().unwrap_or(0);
    for (line, text) in lines.iter_mut().zip(texts) {
        line.push_str(&pad(&text, width));
    }
}
