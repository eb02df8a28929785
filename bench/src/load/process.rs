//! What the kernel says about the server's process.

use std::{fs, io};

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
}

fn kilobytes(file: &str, field: &str) -> io::Result<u64> {
    let text = fs::read_to_string(file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    Ok(number(value.and_then(|value| value.split_whitespace().next()))? * 1024)
}

fn number(word: Option<&str>) -> io::Result<u64> {
    word.and_then(|word| word.parse().ok()).ok_or_else(|| io::Error::other("no number in /proc"))
}
