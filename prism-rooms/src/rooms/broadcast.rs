//! Sending to rooms: [`Recipients`] selects the receivers of a message, and [`Delivery`] counts them.

use std::{cell::LazyCell, collections::BTreeSet, fmt};

use prism_driver::{
    CloseCode, Connection, ConnectionId, Outgoing, PreparedMessage, TrySendError, hold_wakeups,
};

use super::membership::{Membership, Scope};
use crate::{shared_message::SharedMessage, stamp::Stamp};

/// A selection of connections to send to. Returned by [`Rooms::to`](crate::Rooms::to) and
/// [`Rooms::everyone`](crate::Rooms::everyone).
///
/// ```no_run
/// # fn example(rooms: prism_rooms::Rooms, me: prism_driver::ConnectionId) {
/// let delivery = rooms.to("tea").and("coffee").except(me).send("the kettle is on");
/// println!("sent to {}, {} were too slow", delivery.delivered, delivery.dropped);
/// # }
/// ```
#[derive(Clone)]
#[must_use = "nothing is sent before `send`"]
pub struct Recipients<'a> {
    membership: &'a Membership<Connection>,
    scope: Scope<'a>,
    except: BTreeSet<ConnectionId>,
    or_close: bool,
}

/// The result of sending a message to several connections. A connection that was already closing counts neither as
/// delivered nor as dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// The identity of the message, and its position in the order of each room that it was sent to.
    pub stamp: Stamp,
    /// The number of connections that accepted the message: it is in their outboxes, or already sent.
    pub delivered: usize,
    /// The number of connections that miss the message because their outboxes are full, including those that were
    /// [closed](Recipients::or_close) for that reason.
    ///
    /// If a connection has the policy [`DropOldest`](prism_driver::WhenSlow::DropOldest), the outbox accepts the new
    /// message, and older messages are dropped instead. [`Connection::missed`] counts those.
    pub dropped: usize,
}

impl<'a> Recipients<'a> {
    pub(super) const fn new(membership: &'a Membership<Connection>, scope: Scope<'a>) -> Self {
        Self { membership, scope, except: BTreeSet::new(), or_close: false }
    }

    /// Adds the members of another room. A connection in several of the rooms receives the message once.
    pub fn and(mut self, room: &'a str) -> Self {
        // `Everyone` includes the room already.
        if let Scope::Rooms(rooms) = &mut self.scope {
            rooms.push(room);
        }
        self
    }

    /// Leaves a connection out. To leave out several, call this once for each.
    pub fn except(mut self, id: ConnectionId) -> Self {
        self.except.insert(id);
        self
    }

    /// Makes [`send`](Self::send) close each connection whose outbox is full, with 1013 ("try again later"),
    /// instead of dropping the message for it. Use this where a gap would make the rest useless.
    ///
    /// A connection with the policy [`DropOldest`](prism_driver::WhenSlow::DropOldest) stays open as long as it has an
    /// older message to drop, and may miss those messages.
    pub const fn or_close(mut self) -> Self {
        self.or_close = true;
        self
    }

    /// Sends a message in any [form](Outgoing): encodes the message once, unless it is a [`PreparedMessage`], and puts
    /// it into the outbox of each recipient.
    ///
    /// Never waits for a peer. A recipient whose outbox is full misses the message. With [`or_close`](Self::or_close),
    /// or with the policy [`Close`](prism_driver::WhenSlow::Close), the recipient is also closed. With the policy
    /// [`DropOldest`](prism_driver::WhenSlow::DropOldest), it misses older messages instead.
    ///
    /// For recipients whose messages are [compressed](prism_driver::Options::compression), the message is compressed
    /// once, before any room is locked. (If they have agreed on different windows, a long message is compressed once for
    /// each window.) A connection that joins at that moment may receive it uncompressed.
    ///
    /// A message that a handler sends is written to idle recipients when the handler next waits, or soon after it
    /// returns.
    pub fn send(&self, message: impl Outgoing) -> Delivery {
        self.deliver(&message.prepare())
    }

    fn deliver(&self, message: &PreparedMessage) -> Delivery {
        let message = SharedMessage::new(message.clone());
        self.membership.compress(&message, &self.scope);
        // For members that have joined since then, with a form of their own. Nothing is compressed under a lock.
        let plain = LazyCell::new(|| message.to_send().clone().plain());
        let (mut delivered, mut dropped) = (0, 0);
        // Wakers are application code, so wake-ups are held back until no room is locked. When a handler sends, few
        // tasks have to be woken: `try_send` adds idle recipients to the session's thread-local batch, and the
        // session writes to them when the handler's turn ends (`connection/batch.rs` of the driver).
        let _wakeups = hold_wakeups();
        let mut slow = Vec::new();
        let stamp = self.for_each(|member| {
            let is_lacking = member.compressed_form().is_some_and(|form| message.lacks(form));
            match member.try_send(if is_lacking { &*plain } else { message.to_send() }) {
                Ok(()) => delivered += 1,
                Err(TrySendError::Full) => {
                    dropped += 1;
                    if self.or_close {
                        slow.push(member.clone());
                    }
                }
                Err(TrySendError::Refused(_)) => {} // it is closing
            }
        });
        for member in slow {
            member.close(CloseCode::TRY_AGAIN_LATER, "too slow");
        }
        Delivery { stamp, delivered, dropped }
    }

    /// Closes the connections, as [`Connection::close`] does. Returns the number of connections that this call has
    /// closed, which excludes those that were closing already.
    pub fn close(&self, code: CloseCode, reason: &str) -> usize {
        let mut members = Vec::new();
        self.for_each(|member| members.push(member.clone()));
        members.iter().filter(|member| member.close(code, reason)).count()
    }

    /// Wakes the handler of each recipient; see [`Connection::wake`].
    pub fn wake(&self) {
        let _wakeups = hold_wakeups(); // until no room is locked
        self.for_each(|member| member.wake());
    }

    fn for_each(&self, mut visit: impl FnMut(&Connection)) -> Stamp {
        self.membership.for_each(&self.scope, |id, member| {
            if !self.except.contains(&id) {
                visit(member);
            }
        })
    }
}

impl fmt::Debug for Recipients<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { membership: _, scope, except, or_close } = self;
        let mut debug = f.debug_struct("Recipients");
        debug.field("scope", scope).field("except", except).field("or_close", or_close);
        debug.finish_non_exhaustive()
    }
}
