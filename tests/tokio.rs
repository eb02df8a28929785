//! The suite on tokio.

mod runtimes;
mod suite;

use prism_tokio as prism;
use runtimes::tokio as runtime;
