//! Who takes part.

use std::{env, io, path::PathBuf};

use super::Cell;
use crate::servers::{SERVERS, Server};

/// A server of some build of the server program.
#[derive(Clone)]
pub struct Contestant {
    /// What the tables call it.
    pub label: String,
    pub(super) program: PathBuf,
    pub(super) server: &'static Server,
}

impl Contestant {
    /// Whether it is a library other than Prism: neither Prism nor a yardstick.
    #[must_use]
    pub fn is_peer(&self) -> bool {
        !self.is_prism() && !self.is_yardstick()
    }

    /// Whether it is Prism, in any build.
    #[must_use]
    pub fn is_prism(&self) -> bool {
        self.server.name.starts_with("prism")
    }

    /// Whether it is there to compare with, and no library.
    #[must_use]
    pub fn is_yardstick(&self) -> bool {
        self.server.name.starts_with("floor") || self.server.name.starts_with("bare")
    }
}

/// Those that take part in a cell: of this build those named, or without names all that have
/// something to show; and Prism on tokio of each other build.
///
/// # Errors
/// If this program does not know where it is.
pub fn contestants(
    cell: &Cell,
    names: &[String],
    builds: &[(String, PathBuf)],
) -> io::Result<Vec<Contestant>> {
    let program = sibling("server")?;
    let wanted = |server: &Server| match names {
        [] => cell.suits(server),
        names => names.iter().any(|name| name == server.name),
    };
    let mut all: Vec<_> = SERVERS
        .iter()
        .filter(|server| cell.admits(server) && wanted(server))
        .map(|server| Contestant {
            label: server.name.to_owned(),
            program: program.clone(),
            server,
        })
        .collect();
    let prism = prism()?;
    for (label, program) in builds {
        all.push(Contestant { label: label.clone(), program: program.clone(), ..prism.clone() });
    }
    Ok(all)
}

/// Prism on tokio, of this build.
pub(super) fn prism() -> io::Result<Contestant> {
    named("prism-tokio")
}

/// Rooms on tokio, of this build.
pub(super) fn rooms() -> io::Result<Contestant> {
    named("prism-rooms")
}

/// Prism on each runtime, of this build: echo.
pub(super) const RUNTIMES: [&str; 3] = ["prism-tokio", "prism-smol", "prism-async-std"];

/// A server of this build.
pub(super) fn named(name: &str) -> io::Result<Contestant> {
    let server = SERVERS.iter().find(|server| server.name == name);
    let server = server.ok_or(io::ErrorKind::NotFound)?;
    Ok(Contestant { label: name.to_owned(), program: sibling("server")?, server })
}

/// Another program of this package, from the same build.
pub(super) fn sibling(name: &str) -> io::Result<PathBuf> {
    Ok(env::current_exe()?.with_file_name(name))
}
