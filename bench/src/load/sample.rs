//! The result of one measurement, and its text form for another process.

use std::{error::Error, fmt, str::FromStr};

use super::process::CpuTime;

/// The number of operations, the time they took, and the server's CPU time.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// The number of messages, deliveries or handshakes.
    pub count: u64,
    /// How long they took.
    pub seconds: f64,
    /// The CPU time that the server's threads used meanwhile.
    pub cpu: CpuTime,
}

impl Sample {
    /// Returns the CPU time per operation.
    #[must_use]
    pub fn cpu_ns_each(&self) -> f64 {
        self.cpu.ns as f64 / self.count as f64
    }

    /// Returns the operations per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.count as f64 / self.seconds
    }

    /// Returns the share of one core that the server used: near 1 unless the load is the bottleneck.
    #[must_use]
    pub fn busy(&self) -> f64 {
        self.cpu.ns as f64 / 1e9 / self.seconds
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CpuTime { ns, user_ticks, kernel_ticks } = self.cpu;
        write!(f, "{} {} {ns} {user_ticks} {kernel_ticks}", self.count, self.seconds)
    }
}

impl FromStr for Sample {
    type Err = Box<dyn Error>;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let mut words = line.split_whitespace();
        let mut next = || words.next().ok_or("a sample has five numbers");
        Ok(Self {
            count: next()?.parse()?,
            seconds: next()?.parse()?,
            cpu: CpuTime {
                ns: next()?.parse()?,
                user_ticks: next()?.parse()?,
                kernel_ticks: next()?.parse()?,
            },
        })
    }
}
