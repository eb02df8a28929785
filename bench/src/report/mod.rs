//! Runs all measurements, interleaved, and reports the results.

mod amplification;
mod authorize;
mod cell;
mod cells;
mod contestants;
mod floods;
mod idle;
mod in_memory;
mod machine;
mod maximum;
mod once;
mod page;
mod plots;
mod questions;
mod running;
mod sharing;
mod silence;
mod slow;
mod table;
mod trial;

pub use self::{
    cell::Cell,
    cells::CELLS,
    contestants::{Contestant, contestants, not_built},
    maximum::Maximum,
    once::{ONCE, Once, Section},
    page::write_page,
    table::{Row, Table},
    trial::{Timing, measure},
};
