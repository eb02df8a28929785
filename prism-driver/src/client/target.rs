//! The target of a request: its path and its query.

/// Splits a target at the `?` that begins its query.
pub(crate) fn split_query(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        None => (target, None),
        Some((path, query)) => (path, Some(query)),
    }
}

/// Does the reverse.
pub(crate) fn join_query(path: &str, query: Option<&str>) -> String {
    query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}
