//! [`Asked`]: what a history has asked the backplane.

use std::sync::Arc;

use crate::history::{appends::PendingAppend, position::Position};

/// For whom something is read.
#[derive(Clone, Debug)]
pub(super) enum Reader {
    /// The members of the room.
    Room,
    /// Connections that are being added, or have fallen behind, with the numbers of their requests.
    Joins(Vec<(u128, u64)>),
}

/// What the session has yet to reply to.
pub(super) enum Asked {
    Append { room: Arc<str>, pending: PendingAppend },
    Read(AskedRead),
}

pub(super) struct AskedRead {
    pub(super) room: Arc<str>,
    /// Which room of that name it was.
    pub(super) created: u64,
    pub(super) reader: Reader,
    pub(super) after: Option<Position>,
    /// What was known of the log then, by its last message.
    pub(super) known: Option<Position>,
}
