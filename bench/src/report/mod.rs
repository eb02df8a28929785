//! Runs all measurements, interleaved, and reports the results.

mod amplification;
mod authorize;
mod build;
mod cell;
mod cells;
pub(crate) mod contestants;
mod floods;
mod idle;
mod in_memory;
pub(crate) mod machine;
mod maximum;
mod once;
mod outcome;
mod page;
mod plots;
mod questions;
pub(crate) mod running;
mod sharing;
mod silence;
mod slow;
pub(crate) mod table;
mod trial;

pub use self::{
    build::build,
    cell::Cell,
    cells::CELLS,
    contestants::{Contestant, contestants, not_built},
    maximum::Maximum,
    once::{ONCE, Once, Section},
    outcome::{Figure, Outcome},
    page::write_page,
    table::{Row, Table},
    trial::{Timing, measure},
};
