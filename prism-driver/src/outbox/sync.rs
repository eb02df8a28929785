//! The locks, flags and cells of an outbox, so that loom can put its own in their place.

#[cfg(prism_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8},
};
#[cfg(not(prism_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard, OnceLock,
    atomic::{AtomicBool, AtomicU8},
};

#[cfg(prism_loom)]
pub(crate) use self::once_lock::OnceLock;

#[cfg(prism_loom)]
mod once_lock;
