//! What the kernel says about the server's process.

use std::{fs, io};

use rustix::process::{Pid, Signal, kill_process};

/// A process that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    /// The CPU time of all its threads, from the scheduler, which counts nanoseconds; those of
    /// `/proc/PID/stat` are ticks of ten milliseconds.
    ///
    /// # Errors
    /// If there is no such process any more.
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

    /// Its memory, in bytes, without that of files: code that happened to run counts for nobody.
    ///
    /// # Errors
    /// If there is no such process any more.
    pub fn memory(self) -> io::Result<u64> {
        kilobytes(&format!("/proc/{}/smaps_rollup", self.0), "Pss_Anon:")
    }

    /// Forgets the [peak](Self::peak) so far.
    ///
    /// # Errors
    /// If there is no such process any more, or it is somebody else's.
    pub fn forget_peak(self) -> io::Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.0), "5")
    }

    /// The most memory that it has had, without that of files as it is now.
    ///
    /// # Errors
    /// If there is no such process any more.
    pub fn peak(self) -> io::Result<u64> {
        let status = format!("/proc/{}/status", self.0);
        let files = kilobytes(&status, "RssFile:")? + kilobytes(&status, "RssShmem:")?;
        Ok(kilobytes(&status, "VmHWM:")?.saturating_sub(files))
    }

    /// Stops it, or lets it go on.
    ///
    /// # Errors
    /// If there is no such process any more, or it is somebody else's.
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
