//! What the suite needs from a runtime: each module has the same functions.

#![allow(
    dead_code,
    reason = "a program that runs the suite on one runtime uses only parts of the others"
)]

pub(crate) mod async_std;
pub(crate) mod smol;
pub(crate) mod tokio;
