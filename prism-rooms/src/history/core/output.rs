//! [`Output`]: what a history does for connections.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    backplane::history::Page,
    history::{join_id::JoinId, position::Position},
};

/// Something to do for connections.
#[derive(Debug)]
pub(crate) enum Output {
    /// Send a record to the members of a room, without those that are being added or have fallen behind.
    Deliver { room: Arc<str>, position: Position, record: Bytes },
    /// Tell the members of a room, without those that are being added or have fallen behind, that they may have missed
    /// something.
    Broken { room: Arc<str>, position: Position },
    /// Send a connection what a page has after a position; see `HistoryCore::handle_continue`.
    Give { id: JoinId, after: Position, page: Arc<Page> },
    /// Send records to a connection, and make it a member like the others; see `HistoryCore::end_join`.
    Admit(Admission),
    /// Give a connection up that the backplane has kept waiting; see `HistoryCore::end_join`.
    Expire(JoinId),
    /// Report that the backplane has refused to read a room, for another reason than before.
    ReadRefused { room: Arc<str>, reason: String },
    /// Report that the backplane has refused to keep a message, for another reason than before.
    AppendRefused { room: Arc<str>, reason: String },
    /// Subscribe to the room again: the backplane may have lost the subscription.
    Resubscribe(Arc<str>),
}

/// What makes a connection a member like the others.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) id: JoinId,
    /// The position of the last record, up to which the members of the room have got, too.
    pub(crate) position: Position,
    /// Records with consecutive offsets; `None` if what the connection has missed cannot be had.
    pub(crate) records: Option<Vec<Bytes>>,
    /// How many records it has been sent then, with those of earlier pages.
    pub(crate) repeated: u64,
    /// Whether all earlier ones could be shown.
    pub(crate) is_whole: bool,
    /// Whether it was a member before.
    pub(crate) is_behind: bool,
}
