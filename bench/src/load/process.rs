//! The kernel's figures for the server's process.

use std::{fs, io};

use rustix::process::{Pid, Signal, kill_process};

/// The CPU time of all threads of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTime {
    /// The sum in nanoseconds, as the scheduler counts it.
    pub ns: u64,
    /// The part in user mode, in ticks of ten milliseconds. Its share of the sum is an estimate: the kernel looks some
    /// hundred times per second at what is running.
    pub user_ticks: u64,
    /// The part in the kernel.
    pub kernel_ticks: u64,
}

impl CpuTime {
    /// Returns what was added since an earlier time.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            ns: self.ns - earlier.ns,
            user_ticks: self.user_ticks - earlier.user_ticks,
            kernel_ticks: self.kernel_ticks - earlier.kernel_ticks,
        }
    }
}

/// A process that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    /// Returns its CPU time so far.
    ///
    /// # Errors
    /// If the process no longer exists.
    pub fn cpu_time(self) -> io::Result<CpuTime> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // The name of the program is in parentheses, and may have spaces. Fields 14 and 15 of the line are the times.
        let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
        let mut times = fields.split_whitespace().skip(11);
        let (user_ticks, kernel_ticks) = (number(times.next())?, number(times.next())?);
        Ok(CpuTime { ns: self.cpu_ns()?, user_ticks, kernel_ticks })
    }

    fn cpu_ns(self) -> io::Result<u64> {
        let mut ns = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.0))? {
            let Ok(stat) = fs::read_to_string(task?.path().join("schedstat")) else {
                continue; // a thread that has just ended
            };
            ns += number(stat.split_whitespace().next())?;
        }
        Ok(ns)
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn computing_is_time_in_user_mode() {
        let this = Process(std::process::id());
        let (before, begin) = (this.cpu_time().unwrap(), Instant::now());
        while begin.elapsed() < Duration::from_secs(5) {
            let cpu = this.cpu_time().unwrap().since(before);
            if cpu.user_ticks > 0 && cpu.ns > 0 {
                return;
            }
            std::hint::black_box((0..10_000_000).fold(0_u64, |sum, number| sum ^ (number * sum)));
        }
        panic!("no time was counted");
    }
}
