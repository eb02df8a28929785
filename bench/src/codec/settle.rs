//! Copies and fills whose cost does not hang on where buffers happen to lie.

use std::{env, io, os::unix::process::CommandExt, process::Command};

/// An environment in which glibc copies and fills memory in a loop of vector instructions.
///
/// Otherwise it takes `rep movsb` and `rep stosb` for 2 KiB and more. On some CPUs the first is ten
/// times slower if both buffers have about the same place in their pages (glibc's bug 30994, which
/// later versions avoid), and which library has such luck says nothing about it. Under callgrind,
/// these instructions count as one for each byte, and hide all else.
pub(super) const SETTLED: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.cpu.x86_rep_movsb_threshold=1000000000:glibc.cpu.x86_rep_stosb_threshold=1000000000",
);

/// Starts the running program anew, with its arguments, in an environment in which copies cost the
/// same wherever they happen; returns at once if it is in one already. To be called first in `main`.
///
/// # Errors
/// If the program can not be started again.
pub fn settle() -> io::Result<()> {
    let (name, value) = SETTLED;
    if env::var(name).is_ok_and(|set| set == value) {
        return Ok(());
    }
    let arguments = env::args_os().skip(1);
    Err(Command::new(env::current_exe()?).args(arguments).env(name, value).exec())
}
