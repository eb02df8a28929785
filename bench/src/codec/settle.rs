//! Makes the cost of copies and fills independent of the placement of buffers.

use std::{env, io, os::unix::process::CommandExt, process::Command};

/// An environment in which glibc copies and fills memory in a loop of vector instructions.
///
/// Otherwise it uses `rep movsb` and `rep stosb` for 2 KiB and more. On some CPUs the first is ten times
/// slower if both buffers have about the same offset in their pages (glibc's bug 30994, which later versions
/// avoid), and whether a library's buffers do says nothing about the library. Under callgrind, these
/// instructions count as one per byte, and hide everything else.
pub(super) const SETTLED: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.cpu.x86_rep_movsb_threshold=1000000000:glibc.cpu.x86_rep_stosb_threshold=1000000000",
);

/// Restarts the running program, with its arguments, in an environment in which the placement of buffers
/// does not matter. Returns at once if it already has this environment. Call it first in `main`.
///
/// # Errors
/// If the program cannot be restarted.
pub fn settle() -> io::Result<()> {
    let (name, value) = SETTLED;
    if env::var(name).is_ok_and(|set| set == value) {
        return Ok(());
    }
    let arguments = env::args_os().skip(1);
    Err(Command::new(env::current_exe()?).args(arguments).env(name, value).exec())
}
