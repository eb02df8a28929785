//! Errors that name the addresses that they are about.

use std::{io, net::SocketAddr};

/// Prefixes an error with its subject.
pub(crate) fn with_context(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Joins the errors of several addresses, each prefixed with its address. The result is of the kind of the last error,
/// or `TimedOut` if any address timed out.
pub(crate) fn all_failed(failures: &[(SocketAddr, io::Error)]) -> io::Error {
    let kinds = || failures.iter().map(|(_, error)| error.kind());
    let timeout = kinds().find(|kind| *kind == io::ErrorKind::TimedOut);
    let kind = timeout.or_else(|| kinds().next_back()).unwrap_or(io::ErrorKind::TimedOut);
    let each: Vec<_> =
        failures.iter().map(|(address, error)| format!("{address}: {error}")).collect();
    io::Error::new(kind, each.join("; "))
}
