//! What the suite needs of a runtime, for each of them: the same names, whatever is behind them.

#![allow(
    dead_code,
    reason = "a program that runs the suite on one needs only a part of the others"
)]

pub(crate) mod async_std;
pub(crate) mod smol;
pub(crate) mod tokio;
