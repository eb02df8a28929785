//! [`Connections`]: the members of rooms, if they are connections.

use std::sync::{Arc, Weak};

use async_channel::Sender;
use bytes::Bytes;
use prism_driver::{CloseCode, Connection, Runtime, TrySendError, in_batches};

use super::members::{Members, Sent};
use crate::{
    cluster::{action::OwnedAction, core::Incoming, runtime::AnyRuntime},
    error::JoinError,
    history::{hub::Hub, join::Joining, join_id::JoinId, joined::JoinStep, position::Position},
    rooms::{
        deliver::{deliver, send_to_room},
        membership::Membership,
    },
};

/// Why members are closed that may have missed something.
const LOST: &str = "messages were lost";
/// Why members are closed whose node has left.
const LEFT: &str = "the node has left the cluster";

pub(super) struct Connections {
    pub(super) hub: Arc<Hub>,
    pub(super) runtime: AnyRuntime,
    /// Once it is gone, nobody is left to whom this matters.
    pub(super) membership: Weak<Membership<Connection>>,
}

impl Members for Connections {
    type Member = Connection;

    fn is_open(&self, member: &Connection) -> bool {
        member.is_open()
    }

    fn contains(&self, room: &str, member: &Connection) -> bool {
        self.membership.upgrade().is_some_and(|all| all.contains(room, member.id()))
    }

    fn join(&self, member: &Connection, room: &str) -> Result<bool, JoinError> {
        self.membership.upgrade().map_or(Err(JoinError::Ended), |all| all.join(member, room))
    }

    fn leave(&self, member: &Connection, room: &str) {
        if let Some(all) = self.membership.upgrade() {
            all.leave(member.id(), room);
        }
    }

    fn send(
        &self,
        room: &Arc<str>,
        except: Vec<u128>,
        position: &Position,
        record: &Bytes,
    ) -> Vec<Connection> {
        let Some(membership) = self.membership.upgrade() else { return Vec::new() };
        let Some(message) = self.hub.format(position, record) else {
            self.warn(room, except, position);
            return Vec::new();
        };
        send_to_room(&membership, room, &except, &message)
    }

    /// Whatever the connection's policy is: it must not miss a message.
    fn send_one(&self, member: &Connection, position: &Position, record: &Bytes) -> Sent {
        if member.is_full() {
            return Sent::Full;
        }
        match self.hub.format(position, record).map(|message| member.try_send(message)) {
            Some(Ok(()) | Err(TrySendError::Refused(_))) => Sent::Taken,
            // Others send to it as well, and have filled it just now.
            Some(Err(TrySendError::Full)) => Sent::Full,
            None => Sent::NotShown,
        }
    }

    fn warn(&self, room: &Arc<str>, except: Vec<u128>, position: &Position) {
        let action = match self.hub.notice(room, position) {
            Some(message) => OwnedAction::Send { message, or_close: true },
            None => OwnedAction::close(CloseCode::SERVICE_RESTART, LOST),
        };
        self.act(room, except, action);
    }

    fn warn_one(&self, room: &str, member: &Connection, position: &Position) {
        let told = self.hub.notice(room, position).map(|message| member.try_send(message));
        let (code, reason) = match told {
            Some(Ok(()) | Err(TrySendError::Refused(_))) => return, // or it is closing
            Some(Err(TrySendError::Full)) => (CloseCode::TRY_AGAIN_LATER, "too slow"),
            None => (CloseCode::SERVICE_RESTART, LOST),
        };
        member.close(code, reason);
    }

    fn close(&self, room: &Arc<str>) {
        self.act(room, Vec::new(), OwnedAction::close(CloseCode::SERVICE_RESTART, LEFT));
    }

    fn catch_up(&self, room: &Arc<str>, member: &Connection) -> (JoinId, Sender<JoinStep>) {
        let (hub, membership) = (self.hub.clone(), self.membership.clone());
        let (joining, answer_to) = Joining::new(hub, membership, member, room.clone());
        let id = joining.id().clone();
        self.runtime.spawn(in_batches(async {
            let _ = joining.run().await; // if it leaves, nobody waits for that
        }));
        (id, answer_to)
    }
}

impl Connections {
    fn act(&self, room: &Arc<str>, except: Vec<u128>, action: OwnedAction) {
        if let Some(membership) = self.membership.upgrade() {
            deliver(&membership, Incoming { rooms: Some(vec![room.clone()]), except, action });
        }
    }
}
