//! The measured time: from the end of the warm-up until the duration is over.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{Process, Sample, client::PATIENCE, process::CpuTime};

/// A measurement in progress.
pub(super) struct Span {
    server: Process,
    warm_up: Duration,
    duration: Duration,
    started: Instant,
    /// The time, the count and the CPU time at the end of the warm-up.
    begun: Option<(Instant, u64, CpuTime)>,
}

impl Span {
    pub(super) fn start(server: Process, warm_up: Duration, duration: Duration) -> Self {
        Self { server, warm_up, duration, started: Instant::now(), begun: None }
    }

    /// Returns whether the warm-up is over.
    pub(super) const fn counts(&self) -> bool {
        self.begun.is_some()
    }

    /// Returns the result once the time is over. `count` is the number of operations since the start.
    pub(super) fn tick(&mut self, count: u64) -> io::Result<Option<Sample>> {
        let now = Instant::now();
        let Some((begin, count_then, cpu_then)) = self.begun else {
            let warm = now.duration_since(self.started);
            if warm >= self.warm_up && !silent(count, warm)? {
                self.begun = Some((now, count, self.server.cpu_time()?));
            }
            return Ok(None);
        };
        let elapsed = now.duration_since(begin);
        if elapsed < self.duration || silent(count - count_then, elapsed)? {
            return Ok(None);
        }
        let cpu = self.server.cpu_time()?.since(cpu_then);
        Ok(Some(Sample { count: count - count_then, seconds: elapsed.as_secs_f64(), cpu }))
    }
}

/// Returns whether nothing has happened yet, which is an error after a while.
fn silent(count: u64, waited: Duration) -> io::Result<bool> {
    if count == 0 && waited > PATIENCE {
        return Err(io::Error::other("the server answered nothing"));
    }
    Ok(count == 0)
}
