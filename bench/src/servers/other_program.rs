//! Servers that are other programs, beside this one.

use std::{env, fs, io, os::unix::process::CommandExt, path::PathBuf, process::Command};

/// A program beside this one.
#[derive(Clone, Copy, Debug)]
pub struct OtherProgram {
    /// Its file name.
    pub name: &'static str,
}

/// A package of this workspace.
pub(super) const ACTIX_WS: OtherProgram = OtherProgram { name: "actix-ws" };

/// Built by `uwebsockets/build`.
pub(super) const UWEBSOCKETS: OtherProgram = OtherProgram { name: "uwebsockets" };

/// Installed by `bun/install`.
pub(super) const BUN: OtherProgram = OtherProgram { name: "bun" };

const BUN_SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bun/server.js");

impl OtherProgram {
    /// Returns where it is expected.
    ///
    /// # Errors
    /// If the path of the running program is unknown.
    pub fn path(self) -> io::Result<PathBuf> {
        Ok(env::current_exe()?.with_file_name(self.name))
    }

    /// Returns whether it is there.
    #[must_use]
    pub fn is_there(self) -> bool {
        self.path().is_ok_and(|path| path.exists())
    }

    /// Returns its version, if a script has written it into a file beside it.
    #[must_use]
    pub fn version(self) -> Option<String> {
        let program = self.path().ok().filter(|path| path.exists())?;
        Some(fs::read_to_string(program.with_extension("version")).ok()?.trim().to_owned())
    }

    /// Replaces the running program, so that the process remains the one that is measured.
    fn run(self, arguments: &[&str]) -> io::Result<()> {
        Err(Command::new(self.path()?).args(arguments).exec())
    }
}

pub(super) fn actix_ws(address: &str, threads: usize) -> io::Result<()> {
    ACTIX_WS.run(&[address, &threads.to_string()])
}

pub(super) fn uwebsockets(address: &str, _: usize) -> io::Result<()> {
    UWEBSOCKETS.run(&[address])
}

pub(super) fn uwebsockets_broadcast(address: &str, _: usize) -> io::Result<()> {
    UWEBSOCKETS.run(&[address, "--broadcast"])
}

pub(super) fn uwebsockets_deflate(address: &str, _: usize) -> io::Result<()> {
    UWEBSOCKETS.run(&[address, "--deflate"])
}

pub(super) fn uwebsockets_takeover(address: &str, _: usize) -> io::Result<()> {
    UWEBSOCKETS.run(&[address, "--takeover"])
}

pub(super) fn uwebsockets_deflate_broadcast(address: &str, _: usize) -> io::Result<()> {
    UWEBSOCKETS.run(&[address, "--deflate-broadcast"])
}

pub(super) fn bun(address: &str, _: usize) -> io::Result<()> {
    BUN.run(&[BUN_SERVER, address])
}

pub(super) fn bun_broadcast(address: &str, _: usize) -> io::Result<()> {
    BUN.run(&[BUN_SERVER, address, "--broadcast"])
}
