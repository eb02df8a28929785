//! [`Measurement`]: the result of a run, and its text form for another process.

use std::{error::Error, fmt, str::FromStr, time::Duration};

use crate::load::{Latency, Sample};

/// How long messages took at a fixed rate, and what they cost.
#[derive(Clone, Copy, Debug)]
pub struct Measurement {
    /// From the time at which a message was due until a receiver had it, for each receiver. A delivery that is
    /// lost counts as two seconds.
    pub latency: Latency,
    /// The 99th percentile of how late messages were sent. If that is long, the load generator was too slow.
    pub late: Duration,
    /// How many deliveries are missing.
    pub lost: u64,
    /// The deliveries in the measured time, with the CPU time of node A, node B and Redis.
    pub cpu: [Sample; 3],
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { latency, late, lost, cpu: [a, b, redis] } = self;
        write!(f, "{latency}; {} {lost}; {a}; {b}; {redis}", late.as_nanos())
    }
}

impl FromStr for Measurement {
    type Err = Box<dyn Error>;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let parts: Vec<_> = line.split(';').map(str::trim).collect();
        let [latency, counts, a, b, redis] = parts[..] else {
            return Err(format!("not a measurement: {line:?}").into());
        };
        let (late, lost) = counts.split_once(' ').ok_or("a measurement has two counts")?;
        Ok(Self {
            latency: latency.parse()?,
            late: Duration::from_nanos(late.parse()?),
            lost: lost.parse()?,
            cpu: [a.parse()?, b.parse()?, redis.parse()?],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::CpuTime;

    #[test]
    fn another_process_reads_what_this_one_prints() {
        let latency = Latency::of(vec![Duration::from_micros(7); 5]).unwrap();
        let cpu = [1, 2, 3].map(|ns| Sample {
            count: 45,
            seconds: 0.5,
            cpu: CpuTime { ns, user_ticks: 4, kernel_ticks: 6 },
        });
        let written = Measurement { latency, late: Duration::from_nanos(8), lost: 9, cpu };
        let read: Measurement = written.to_string().parse().unwrap();
        assert_eq!(read.to_string(), written.to_string());
        assert!("1 2 3".parse::<Measurement>().is_err());
    }
}
