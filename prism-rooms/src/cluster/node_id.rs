//! [`NodeId`]: which node of a cluster.

use std::{fmt, num::NonZeroU64};

/// The ID of a node of a [`Cluster`](crate::Cluster). No two nodes have the same one, and a process that restarts has
/// another one.
///
/// It prints as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(NonZeroU64);

impl NodeId {
    /// Returns the ID with this number; `None` if that is zero.
    pub(crate) const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Returns the ID as a number, which is not zero.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:016x}", self.0))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns the ID of a node in a test.
#[cfg(test)]
pub(crate) const fn node_id(number: u64) -> NodeId {
    NodeId::new(number).expect("no node has the number zero")
}
