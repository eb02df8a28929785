//! Builds the programs that a comparison needs, because `cargo run` builds only its own.

use std::{env, error::Error, process::Command};

/// Runs `cargo build --release` for this workspace, with these arguments. Without cargo (`CARGO`), it does nothing.
///
/// # Errors
/// If the build fails.
pub fn build(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let Some(cargo) = env::var_os("CARGO") else { return Ok(()) };
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--manifest-path"]);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).args(arguments);
    if command.status()?.success() { Ok(()) } else { Err("a program cannot be built".into()) }
}
