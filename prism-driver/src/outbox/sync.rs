//! The lock and the flags of an outbox, so that loom can put its own in their place.

#[cfg(prism_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8},
};
#[cfg(not(prism_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8},
};
