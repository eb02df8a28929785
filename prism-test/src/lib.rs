//! Tests of Prism's handlers, servers and clients: in memory, on virtual time, with faults.

mod peer;
mod pipe;
mod recorder;
mod sim;

pub use prism_driver::Runtime;

pub use crate::{
    peer::{Peer, Received},
    pipe::{
        PipeEnd,
        faults::{Direction, Faults},
        pipe,
    },
    recorder::{Recorded, Recorder},
    sim::{
        Sim, Sleep,
        hosts::{Incoming, Reach},
        network::SimListener,
    },
};
