//! The kernel's figures for the server's process.

use std::{fs, io};

use rustix::process::{Pid, Signal, kill_process};

/// A process that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    /// Returns the CPU time of all its threads, from the scheduler, which counts nanoseconds.
    /// (`/proc/PID/stat` has ticks of ten milliseconds.)
    ///
    /// # Errors
    /// If the process no longer exists.
    pub fn cpu_ns(self) -> io::Result<u64> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.0))? {
            let Ok(stat) = fs::read_to_string(task?.path().join("schedstat")) else {
                continue; // a thread that has just ended
            };
            sum += number(stat.split_whitespace().next())?;
        }
        Ok(sum)
    }

    /// Returns its memory in bytes, without files: code that happened to run does not count.
    ///
    /// # Errors
    /// If the process no longer exists.
    pub fn memory(self) -> io::Result<u64> {
        kilobytes(&format!("/proc/{}/smaps_rollup", self.0), "Pss_Anon:")
    }

    /// Resets the [peak](Self::peak).
    ///
    /// # Errors
    /// If the process no longer exists, or belongs to another user.
    pub fn forget_peak(self) -> io::Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.0), "5")
    }

    /// Returns its peak memory, without the current memory of files.
    ///
    /// # Errors
    /// If the process no longer exists.
    pub fn peak(self) -> io::Result<u64> {
        let status = format!("/proc/{}/status", self.0);
        let files = kilobytes(&status, "RssFile:")? + kilobytes(&status, "RssShmem:")?;
        Ok(kilobytes(&status, "VmHWM:")?.saturating_sub(files))
    }

    /// Sends it a signal, such as `SIGSTOP` or `SIGCONT`.
    ///
    /// # Errors
    /// If the process no longer exists, or belongs to another user.
    pub fn signal(self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.0).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.ok_or(io::ErrorKind::NotFound)?, signal)?)
    }
}

fn kilobytes(file: &str, field: &str) -> io::Result<u64> {
    let text = fs::read_to_string(file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    Ok(number(value.and_then(|value| value.split_whitespace().next()))? * 1024)
}

fn number(word: Option<&str>) -> io::Result<u64> {
    word.and_then(|word| word.parse().ok()).ok_or_else(|| io::Error::other("no number in /proc"))
}
