//! What is measured once, for the end of the page.

use std::error::Error;

use super::{
    amplification::amplification, authorize::authorize, floods::floods, idle::many_idle,
    in_memory::in_memory, questions::questions, sharing::sharing, silence::silence, slow::slow,
};

/// Something that is measured once.
pub struct Once {
    /// Its name on the command line.
    pub name: &'static str,
    /// How long it takes.
    pub takes: &'static str,
    heading: &'static str,
    measure: fn() -> Result<String, Box<dyn Error>>,
}

/// A part of the page.
pub struct Section {
    /// Its heading.
    pub heading: &'static str,
    /// The results.
    pub text: String,
}

/// All of these measurements, in the order of the page.
pub const ONCE: &[Once] = &[
    Once {
        name: "idle-50000",
        takes: "two minutes",
        heading: "Many idle connections",
        measure: || Ok(many_idle(50_000)?.to_string()),
    },
    Once {
        name: "slow-10000",
        takes: "four minutes",
        heading: "Members that do not read",
        measure: || Ok(slow()?.to_string()),
    },
    Once {
        name: "shared-rooms",
        takes: "ten seconds",
        heading: "Rooms that threads share",
        measure: || Ok(sharing()?.to_string()),
    },
    Once {
        name: "floods",
        takes: "six minutes",
        heading: "A good client in a flood",
        measure: floods,
    },
    Once {
        name: "questions",
        takes: "a minute",
        heading: "A good client while others ask for rooms",
        measure: questions,
    },
    Once {
        name: "silence",
        takes: "three minutes",
        heading: "Handshakes among silent peers",
        measure: silence,
    },
    Once {
        name: "authorize",
        takes: "two minutes",
        heading: "A good client while others are authorized",
        measure: authorize,
    },
    Once {
        name: "amplification",
        takes: "two minutes",
        heading: "What an attack on memory costs",
        measure: amplification,
    },
    Once {
        name: "in-memory",
        takes: "three minutes",
        heading: "Protocol code in memory",
        measure: || Ok(in_memory()?.to_string()),
    },
];

impl Once {
    /// Runs the measurement.
    ///
    /// # Errors
    /// If a process fails.
    pub fn run(&self) -> Result<Section, Box<dyn Error>> {
        Ok(Section { heading: self.heading, text: (self.measure)()?.trim_end().to_owned() })
    }
}
