//! What went wrong with each of several addresses.

use std::{io, net::SocketAddr};

/// Adds to an error what it is about.
pub(crate) fn about(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Joins the failures of several addresses, each with its address; of the kind of the last one, but a
/// silence outweighs it.
pub(crate) fn all_failed(failures: &[(SocketAddr, io::Error)]) -> io::Error {
    let kinds = || failures.iter().map(|(_, error)| error.kind());
    let silent = kinds().find(|kind| *kind == io::ErrorKind::TimedOut);
    let kind = silent.or_else(|| kinds().next_back()).unwrap_or(io::ErrorKind::TimedOut);
    let each: Vec<_> =
        failures.iter().map(|(address, error)| format!("{address}: {error}")).collect();
    io::Error::new(kind, each.join("; "))
}
