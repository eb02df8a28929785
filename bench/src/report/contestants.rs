//! The contestants of a cell.

use std::{env, io, path::PathBuf};

use super::Cell;
use crate::servers::{SERVERS, Server};

/// A server of one build of the server program.
#[derive(Clone)]
pub struct Contestant {
    /// Its name in the tables.
    pub label: String,
    pub(super) program: PathBuf,
    pub(super) server: &'static Server,
}

impl Contestant {
    /// Returns whether it is a library other than Prism: neither Prism nor a yardstick.
    #[must_use]
    pub fn is_peer(&self) -> bool {
        !self.is_prism() && !self.is_yardstick()
    }

    /// Returns whether it is Prism, in any build.
    #[must_use]
    pub fn is_prism(&self) -> bool {
        self.server.name.starts_with("prism")
    }

    /// Returns whether it is a yardstick instead of a library.
    #[must_use]
    pub fn is_yardstick(&self) -> bool {
        self.server.name.starts_with("floor") || self.server.name.starts_with("bare")
    }
}

/// Returns the contestants of a cell: the named ones of this build, or without names all that suit the
/// cell; and Prism on tokio of each other build.
///
/// # Errors
/// If the path of this program is unknown.
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
        .filter(|server| cell.admits(server) && wanted(server) && server.is_built())
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

/// Returns the servers that cannot take part, because their programs have not been built.
#[must_use]
pub fn not_built() -> Vec<&'static str> {
    SERVERS.iter().filter(|server| !server.is_built()).map(|server| server.name).collect()
}

/// Returns Prism on tokio, of this build.
pub(super) fn prism() -> io::Result<Contestant> {
    named("prism-tokio")
}

/// Returns `prism-rooms` on tokio, of this build.
pub(super) fn rooms() -> io::Result<Contestant> {
    named("prism-rooms")
}

/// Prism's echo servers, one for each runtime.
pub(super) const RUNTIMES: [&str; 3] = ["prism-tokio", "prism-smol", "prism-async-std"];

/// Returns a server of this build.
pub(super) fn named(name: &str) -> io::Result<Contestant> {
    let server = SERVERS.iter().find(|server| server.name == name);
    let server = server.ok_or(io::ErrorKind::NotFound)?;
    Ok(Contestant { label: name.to_owned(), program: sibling("server")?, server })
}

/// Returns the path of another program of this build.
pub(crate) fn sibling(name: &str) -> io::Result<PathBuf> {
    Ok(env::current_exe()?.with_file_name(name))
}
