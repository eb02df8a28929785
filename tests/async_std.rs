//! The suite on async-std.

mod runtimes;
mod suite;

use prism_async_std as prism;
use runtimes::async_std as runtime;
