//! [`JoinId`]: a request to add a connection to a room.

use std::sync::Arc;

/// A request to add a connection to a room, or to bring a member that has fallen behind up to date. Of those for the
/// same connection and room, only the latest counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JoinId {
    pub(crate) room: Arc<str>,
    /// The ID of the connection.
    pub(crate) member: u128,
    /// Tells the request from all others.
    pub(crate) number: u64,
}
