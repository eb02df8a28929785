//! [`Samples`]: the memory of all processes, and the rules that must hold.

use std::fmt;

use crate::world::World;

/// What is sampled.
const SERIES: [&str; 5] =
    ["Redis", "node A, resident", "node A, in use", "node B, resident", "node B, in use"];

/// The growth that is allowed, in percent and in bytes. The bytes matter where the memory is small.
const GROWTH: (usize, usize) = (10, 4 << 20);

/// The memory in bytes, in the order of [`SERIES`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample([usize; SERIES.len()]);

#[derive(Default)]
pub(crate) struct Samples(Vec<Sample>);

impl Samples {
    pub(crate) fn take(&mut self, world: &mut World) {
        let [a, b] = world.memory_of_nodes();
        self.0.push(Sample([world.memory_of_redis(), a[0], a[1], b[0], b[1]]));
    }

    /// Returns the last sample.
    pub(crate) fn last(&self) -> Sample {
        *self.0.last().expect("a sample")
    }

    /// Prints the median of the second quarter and that of the last one, and returns what has grown.
    pub(crate) fn broken_rules(&self) -> Vec<String> {
        let quarter = self.0.len() / 4;
        assert!(quarter > 0, "too short a run");
        let (early, late) = (&self.0[quarter..2 * quarter], &self.0[self.0.len() - quarter..]);
        let mut broken = Vec::new();
        for (place, name) in SERIES.iter().enumerate() {
            let [early, late] = [early, late].map(|samples| median(samples, place));
            println!("{name}: {} KiB early, {} KiB late", early >> 10, late >> 10);
            let (percent, bytes) = GROWTH;
            if late > early + (early * percent / 100).max(bytes) {
                broken.push(format!("{name} has grown from {early} to {late} bytes"));
            }
        }
        broken
    }
}

fn median(samples: &[Sample], place: usize) -> usize {
    let mut values: Vec<usize> = samples.iter().map(|sample| sample.0[place]).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, bytes)) in SERIES.iter().zip(self.0).enumerate() {
            let separator = if place > 0 { ", " } else { "" };
            write!(f, "{separator}{name} {:.1}", bytes as f64 / f64::from(1 << 20))?;
        }
        write!(f, " MiB")
    }
}
