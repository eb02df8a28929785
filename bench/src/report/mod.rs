//! Runs everything, in turn and often, and says what came out.

mod cells;
mod contestants;
mod idle;
mod in_memory;
mod machine;
mod page;
mod plots;
mod sharing;
mod slow;
mod table;
mod trial;

pub use self::{
    cells::{CELLS, Cell},
    contestants::{Contestant, contestants},
    idle::{ManyIdle, many_idle},
    in_memory::{InMemory, in_memory},
    page::{Once, write_page},
    sharing::{Sharing, sharing},
    slow::{Slow, slow},
    table::{Row, Table},
    trial::{Timing, measure},
};
