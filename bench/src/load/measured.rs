//! The result of a measurement of messages, and its text form for another process.

use std::{error::Error, fmt, str::FromStr};

use super::Sample;

/// What messages cost, and how long compressed ones are.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// The messages or deliveries.
    pub sample: Sample,
    /// What they look like, if they are compressed.
    pub replies: Option<Replies>,
}

/// The server's messages on connections that compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replies {
    /// The median length of a payload, in bytes.
    pub len: usize,
    /// The agreed window, as the base-2 logarithm of its bytes.
    pub window_bits: u8,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sample, replies } = self;
        write!(f, "{sample}")?;
        let Some(Replies { len, window_bits }) = replies else { return Ok(()) };
        write!(f, " {len} {window_bits}")
    }
}

impl FromStr for Measured {
    type Err = Box<dyn Error>;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let sample = line.parse()?;
        let replies = match *line.split_whitespace().skip(5).collect::<Vec<_>>() {
            [] => None,
            [len, window_bits] => {
                Some(Replies { len: len.parse()?, window_bits: window_bits.parse()? })
            }
            _ => return Err("a measurement has five or seven numbers".into()),
        };
        Ok(Self { sample, replies })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::CpuTime, *};

    #[test]
    fn another_process_reads_what_this_one_prints() {
        let cpu = CpuTime { ns: 7, user_ticks: 2, kernel_ticks: 5 };
        let sample = Sample { count: 3, seconds: 0.5, cpu };
        for replies in [None, Some(Replies { len: 412, window_bits: 12 })] {
            let read: Measured = Measured { sample, replies }.to_string().parse().unwrap();
            assert_eq!(read.replies, replies);
            assert_eq!((read.sample.count, read.sample.cpu), (3, cpu));
        }
        assert!("3 0.5 7 2 5 412".parse::<Measured>().is_err());
    }
}
