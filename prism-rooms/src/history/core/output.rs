//! [`Output`]: what a history does for connections.

use std::sync::Arc;

use bytes::Bytes;

use crate::history::position::Position;

/// Something to do for connections.
#[derive(Debug)]
pub(crate) enum Output {
    /// Send a record to the members of a room, without those that are being added.
    Deliver { room: Arc<str>, position: Position, record: Bytes },
    /// Tell the members of a room, without those that are being added, that they may have missed something.
    Broken { room: Arc<str>, position: Position },
    /// Send records to a connection that is being added, and make it a member like the others; see
    /// `HistoryCore::admit`.
    Admit(Admission),
    /// Subscribe to the room again: the backplane may have lost the subscription.
    Resubscribe(Arc<str>),
}

/// What makes a connection a member.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) join: u64,
    pub(crate) room: Arc<str>,
    /// The position of the last record, up to which the members of the room have got, too.
    pub(crate) position: Position,
    /// Records with consecutive offsets; `None` if what the connection has missed cannot be had.
    pub(crate) records: Option<Vec<Bytes>>,
    /// How many records it has been sent then, with those of earlier pages.
    pub(crate) repeated: u64,
}
