//! What the codecs cost in memory: what the programs `codec` and `instructions` print.

use std::{
    fmt,
    io::{self, Write},
    process::{Command, Stdio},
};

use super::contestants::sibling;

/// The tables of the codecs.
pub(super) struct InMemory {
    time: String,
    instructions: String,
}

/// Measures the codecs. Each program is a process of its own, because it sets itself up.
///
/// # Errors
/// If one can not be run, or fails: counting instructions takes valgrind.
pub(super) fn in_memory() -> io::Result<InMemory> {
    Ok(InMemory { time: printed_by("codec")?, instructions: printed_by("instructions")? })
}

impl fmt::Display for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Time, the medians of 25 rounds and half the distance between the quartiles:")?;
        writeln!(f, "\n```text\n{}\n```", self.time.trim_end())?;
        writeln!(f, "\nInstructions, as valgrind counts them:")?;
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
