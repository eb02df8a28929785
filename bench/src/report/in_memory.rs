//! The protocol code in memory: the output of the programs `codec` and `instructions`.

use std::{
    fmt,
    io::{self, Write},
    process::{Command, Stdio},
};

use super::contestants::sibling;

/// The tables of both programs.
pub(super) struct InMemory {
    time: String,
    instructions: String,
}

/// Measures the codecs. Each program is a separate process, because it sets up its environment.
///
/// # Errors
/// If a program cannot be run, or fails: counting instructions needs valgrind.
pub(super) fn in_memory() -> io::Result<InMemory> {
    Ok(InMemory { time: printed_by("codec")?, instructions: printed_by("instructions")? })
}

impl fmt::Display for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Time: the medians of 25 rounds, and half the distance between the quartiles:"
        )?;
        writeln!(f, "\n```text\n{}\n```", self.time.trim_end())?;
        writeln!(f, "\nInstructions, as counted by valgrind:")?;
        write!(f, "\n```text\n{}\n```", self.instructions.trim_end())
    }
}

pub(super) fn printed_by(program: &str) -> io::Result<String> {
    let output = Command::new(sibling(program)?).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        io::stderr().write_all(&output.stdout)?;
        return Err(io::Error::other(format!("{program} failed: {}", output.status)));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}
