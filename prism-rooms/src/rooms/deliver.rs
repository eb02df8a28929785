//! Delivery to the members of this node: of what it sends itself, and of what arrives from other nodes.

use std::cell::LazyCell;

use prism_driver::{
    CloseCode, Connection, ConnectionId, PreparedMessage, TrySendError, hold_wakeups,
};

use super::membership::{Membership, Scope};
use crate::{
    cluster::{action::OwnedAction, core::Incoming},
    shared_message::SharedMessage,
};

/// The members of this node that something is for.
pub(super) struct LocalMembers<'a, E> {
    pub(super) membership: &'a Membership<Connection>,
    pub(super) scope: &'a Scope<'a>,
    /// Whether a member is left out.
    pub(super) is_excluded: E,
}

/// How many members have accepted a message, and how many miss it.
#[derive(Clone, Copy)]
pub(super) struct Tally {
    pub(super) delivered: usize,
    pub(super) dropped: usize,
}

impl<E: Fn(ConnectionId) -> bool> LocalMembers<'_, E> {
    /// Sends a message to all. Calls `stamp` under the locks that give it its place, and returns its result.
    #[inline]
    pub(super) fn send<R>(
        &self,
        message: &PreparedMessage,
        or_close: bool,
        stamp: impl FnOnce() -> R,
    ) -> (R, Tally) {
        let _wakeups = hold_wakeups();
        let mut full = Vec::new();
        let keep = |member: &Connection| {
            if or_close {
                full.push(member.clone());
            }
        };
        let sent = self.send_to_each(message, keep, stamp);
        for member in full {
            member.close(CloseCode::TRY_AGAIN_LATER, "too slow");
        }
        sent
    }

    /// Sends a message to all, and calls `on_full` with those whose outboxes are full, while rooms are locked.
    #[inline]
    fn send_to_each<R>(
        &self,
        message: &PreparedMessage,
        mut on_full: impl FnMut(&Connection),
        stamp: impl FnOnce() -> R,
    ) -> (R, Tally) {
        let message = SharedMessage::new(message.clone());
        self.membership.compress(&message, self.scope);
        // For members that have joined since then, with a form of their own. Nothing is compressed under a lock.
        let plain = LazyCell::new(|| message.to_send().clone().plain());
        let mut tally = Tally { delivered: 0, dropped: 0 };
        // Wakers are application code, so wake-ups are held back until no room is locked. When a handler sends, few
        // tasks have to be woken: `try_send` adds idle recipients to the session's thread-local batch, and the
        // session writes to them when the handler's turn ends (`connection/batch.rs` of the driver).
        let _wakeups = hold_wakeups();
        let stamp = self.for_each(stamp, |member| {
            let is_lacking = member.compressed_form().is_some_and(|form| message.lacks(form));
            match member.try_send(if is_lacking { &*plain } else { message.to_send() }) {
                Ok(()) => tally.delivered += 1,
                Err(TrySendError::Full) => {
                    tally.dropped += 1;
                    on_full(member);
                }
                Err(TrySendError::Refused(_)) => {} // it is closing
            }
        });
        (stamp, tally)
    }

    /// Closes all. Returns the result of `stamp`, and how many this call has closed.
    pub(super) fn close<R>(
        &self,
        code: CloseCode,
        reason: &str,
        stamp: impl FnOnce() -> R,
    ) -> (R, usize) {
        let mut members = Vec::new();
        let stamp = self.for_each(stamp, |member| members.push(member.clone()));
        (stamp, members.iter().filter(|member| member.close(code, reason)).count())
    }

    /// Wakes the handlers of all. Returns the result of `stamp`.
    pub(super) fn wake<R>(&self, stamp: impl FnOnce() -> R) -> R {
        let _wakeups = hold_wakeups(); // until no room is locked
        self.for_each(stamp, |member| member.wake())
    }

    fn for_each<R>(&self, stamp: impl FnOnce() -> R, mut visit: impl FnMut(&Connection)) -> R {
        self.membership.for_each(self.scope, stamp, |id, member| {
            if !(self.is_excluded)(id) {
                visit(member);
            }
        })
    }
}

/// Does for the members of this node what another one has asked for. The caller must hold no lock.
pub(crate) fn deliver(membership: &Membership<Connection>, incoming: Incoming) {
    let Incoming { rooms, except, action } = incoming;
    let scope = match &rooms {
        Some(rooms) => Scope::Rooms(rooms.iter().map(|room| &**room).collect()),
        None => Scope::Everyone,
    };
    let is_excluded = |id: ConnectionId| except.binary_search(&id.as_u128()).is_ok();
    let members = LocalMembers { membership, scope: &scope, is_excluded };
    match action {
        OwnedAction::Send { message, or_close } => {
            members.send(&message, or_close, || ());
        }
        OwnedAction::Close { code, reason } => {
            members.close(code, &reason, || ());
        }
        OwnedAction::Wake => members.wake(|| ()),
    }
}

/// Sends a message to the members of a room on this node, without some of them, whose IDs are in ascending order.
/// Returns those whose outboxes are full. The caller must hold no lock.
pub(crate) fn send_to_room(
    membership: &Membership<Connection>,
    room: &str,
    except: &[u128],
    message: &PreparedMessage,
) -> Vec<Connection> {
    let is_excluded = |id: ConnectionId| except.binary_search(&id.as_u128()).is_ok();
    let members = LocalMembers { membership, scope: &Scope::Rooms(vec![room]), is_excluded };
    let mut full = Vec::new();
    members.send_to_each(message, |member| full.push(member.clone()), || ());
    full
}
