//! The suite on smol.

mod runtimes;
mod suite;

use prism_smol as prism;
use runtimes::smol as runtime;
