//! Tests of Prism's handlers, servers and clients: in memory, on virtual time, with faults.

mod peer;
mod pipe;
mod sim;

pub use prism_driver::Runtime;

pub use crate::{
    peer::{Peer, Received},
    pipe::{
        PipeEnd,
        faults::{Direction, Faults},
        pipe,
    },
    sim::{Sim, Sleep},
};
