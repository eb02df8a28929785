//! HTTP heads from lines, and good heads with something changed.

/// Joins lines to a head.
pub fn head<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let lines = lines.into_iter().chain([""]);
    lines.flat_map(|line| [line, "\r\n"]).collect::<String>().into_bytes()
}

/// A good head, with additional lines.
pub fn plus(good: &[&str], lines: &[&str]) -> Vec<u8> {
    head(good.iter().chain(lines).copied())
}

/// A good head, with other lines in place of the one that starts with `start`.
pub fn with(good: &[&str], start: &str, lines: &[&str]) -> Vec<u8> {
    assert!(good.iter().any(|line| line.starts_with(start)), "{start}");
    head(good.iter().flat_map(|line| match line.starts_with(start) {
        true => lines.to_vec(),
        false => vec![*line],
    }))
}
