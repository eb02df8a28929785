//! [`Outcome`]: what a trial has measured, and [`Figure`]: a number of it.

use std::time::Duration;

use crate::load::{Latency, Measured, Peak};

/// What a trial has measured, by the kind of its cell.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// Bytes of memory per connection.
    Memory {
        /// In the first of the cell's two states.
        first: f64,
        /// In the second one, if the server can be brought there.
        second: Option<f64>,
    },
    /// How long messages took at a fixed rate.
    AtRate {
        /// From when a message was due until its answer was read.
        latency: Latency,
        /// The 99th percentile of how late messages were sent.
        late: Duration,
        /// The share of its core that the server used.
        busy: f64,
    },
    /// The work for operations.
    Work {
        /// Their number and CPU time, and the length of compressed messages.
        measured: Measured,
        /// The memory at the peak, if the cell is about that, too.
        peak: Option<Peak>,
    },
}

/// A number of an [`Outcome`]: a column of values in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Bytes of memory per connection in the first state.
    FirstMemory,
    /// Bytes of memory per connection in the second state.
    SecondMemory,
    /// The median latency, in microseconds.
    P50,
    /// The 99th percentile of latency, in microseconds.
    P99,
    /// The 99.9th percentile of latency, in microseconds.
    P999,
    /// The 99th percentile of how late messages were sent, in microseconds.
    Late,
    /// CPU time per operation, in nanoseconds.
    CpuNs,
    /// The ticks of CPU time in user mode.
    UserTicks,
    /// The ticks of CPU time in the kernel.
    KernelTicks,
    /// Operations per second.
    PerSecond,
    /// The share of its core that the server used.
    Busy,
    /// The median length of the payloads of compressed messages, in bytes.
    Len,
    /// The window of compressed messages, as the base-2 logarithm of its bytes.
    WindowBits,
    /// Bytes of memory per connection at the peak.
    PeakEach,
    /// Bytes of memory in all at the peak.
    PeakAll,
}

impl Outcome {
    /// Returns one of its numbers; `None` if it does not have that.
    #[must_use]
    pub fn figure(&self, figure: Figure) -> Option<f64> {
        let micros = |time: Duration| Some(time.as_secs_f64() * 1e6);
        match (self, figure) {
            (Self::Memory { first, .. }, Figure::FirstMemory) => Some(*first),
            (Self::Memory { second, .. }, Figure::SecondMemory) => *second,
            (Self::AtRate { latency, .. }, Figure::P50) => micros(latency.p50),
            (Self::AtRate { latency, .. }, Figure::P99) => micros(latency.p99),
            (Self::AtRate { latency, .. }, Figure::P999) => micros(latency.p999),
            (Self::AtRate { late, .. }, Figure::Late) => micros(*late),
            (Self::AtRate { busy, .. }, Figure::Busy) => Some(*busy),
            (Self::Work { measured, peak }, figure) => of_work(measured, *peak, figure),
            (Self::Memory { .. } | Self::AtRate { .. }, _) => None,
        }
    }
}

fn of_work(measured: &Measured, peak: Option<Peak>, figure: Figure) -> Option<f64> {
    let Measured { sample, replies } = measured;
    match figure {
        Figure::CpuNs => Some(sample.cpu_ns_each()),
        Figure::UserTicks => Some(sample.cpu.user_ticks as f64),
        Figure::KernelTicks => Some(sample.cpu.kernel_ticks as f64),
        Figure::PerSecond => Some(sample.per_second()),
        Figure::Busy => Some(sample.busy()),
        Figure::Len => replies.map(|replies| replies.len as f64),
        Figure::WindowBits => replies.map(|replies| f64::from(replies.window_bits)),
        Figure::PeakEach => peak.map(|peak| peak.each),
        Figure::PeakAll => peak.map(|peak| peak.all as f64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{CpuTime, Replies, Sample};

    #[test]
    fn lengths_and_the_peak_are_different_numbers_of_the_same_outcome() {
        let cpu = CpuTime { ns: 700, user_ticks: 2, kernel_ticks: 5 };
        let sample = Sample { count: 7, seconds: 0.5, cpu };
        let replies = Some(Replies { len: 412, window_bits: 12 });
        let peak = Some(Peak { each: 1024.5, all: 4096 });
        let outcome = Outcome::Work { measured: Measured { sample, replies }, peak };
        let figures = [Figure::CpuNs, Figure::Len, Figure::WindowBits, Figure::PeakEach];
        assert_eq!(
            figures.map(|figure| outcome.figure(figure)),
            [100.0, 412.0, 12.0, 1024.5].map(Some)
        );
        assert_eq!(outcome.figure(Figure::P99), None);
    }

    #[test]
    fn what_a_server_does_not_have_is_no_number() {
        let outcome = Outcome::Memory { first: 7.0, second: None };
        let figures = [Figure::FirstMemory, Figure::SecondMemory, Figure::CpuNs];
        assert_eq!(figures.map(|figure| outcome.figure(figure)), [Some(7.0), None, None]);
    }
}
