//! [`Members`]: the members of rooms on a node, as a history sees them.

use std::sync::Arc;

use async_channel::Sender;
use bytes::Bytes;

use crate::{
    error::JoinError,
    history::{join_id::JoinId, joined::JoinStep, position::Position},
};

/// The members of rooms on a node: connections, or what the simulation has in their place.
pub(crate) trait Members {
    type Member: Clone;

    /// Returns whether the member has not ended.
    fn is_open(&self, member: &Self::Member) -> bool;

    fn contains(&self, room: &str, member: &Self::Member) -> bool;

    /// Returns whether the member has entered the room: `false` if it was in already.
    fn join(&self, member: &Self::Member, room: &str) -> Result<bool, JoinError>;

    fn leave(&self, member: &Self::Member, room: &str);

    /// Sends a record to the members of a room, without some of them, whose IDs are in ascending order. Returns those
    /// without room for it.
    fn send(
        &self,
        room: &Arc<str>,
        except: Vec<u128>,
        position: &Position,
        record: &Bytes,
    ) -> Vec<Self::Member>;

    fn send_one(&self, member: &Self::Member, position: &Position, record: &Bytes) -> Sent;

    /// Tells the members of a room, without some of them, that they may have missed something.
    fn warn(&self, room: &Arc<str>, except: Vec<u128>, position: &Position);

    fn warn_one(&self, room: &str, member: &Self::Member, position: &Position);

    /// Closes the members of a room, because they cannot receive anything more here.
    fn close(&self, room: &Arc<str>);

    /// Begins to send a member that has fallen behind what it has missed. Returns the request, and where its steps go.
    fn catch_up(&self, room: &Arc<str>, member: &Self::Member) -> (JoinId, Sender<JoinStep>);
}

/// What has become of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The member has it, or is closing.
    Taken,
    /// There is no room for it.
    Full,
    /// It cannot be shown.
    NotShown,
}
