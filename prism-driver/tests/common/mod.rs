//! A world in one thread: tasks, a clock that jumps, and pipes that do as they are told.

#![allow(dead_code, unreachable_pub, reason = "each test file is a crate that uses a part of it")]

pub mod peer;
pub mod pipe;
pub mod sim;
