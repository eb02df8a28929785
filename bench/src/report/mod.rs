//! Runs everything, in turn and often, and says what came out.

mod cells;
mod contestants;
mod stats;
mod table;
mod trial;

pub use self::{
    cells::{CELLS, Cell},
    contestants::{Contestant, contestants},
    stats::Spread,
    table::{Row, Table},
    trial::{Timing, measure},
};
