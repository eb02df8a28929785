//! [`Recipients`]: a message on its way to many, and its [`Delivery`].

use std::{collections::BTreeSet, fmt};

use prism_driver::{
    CloseCode, Connection, ConnectionId, Message, PreparedMessage, TrySendError, hold_wakeups,
};

use super::{
    membership::{Membership, Scope},
    stamp::Stamp,
};

/// Whom to send to: what [`Rooms::to`](crate::Rooms::to) and
/// [`Rooms::everyone`](crate::Rooms::everyone) give.
///
/// ```no_run
/// # fn example(rooms: prism_rooms::Rooms, me: prism_driver::ConnectionId) {
/// let delivery = rooms.to("tea").and("coffee").except(me).send("the kettle is on");
/// println!("{} heard it, {} were too slow", delivery.delivered, delivery.dropped);
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

/// What became of a message to many. (Who was closing already is in neither number.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// Which message it was.
    pub stamp: Stamp,
    /// For how many it was accepted: it is in their outboxes, or on its way.
    pub delivered: usize,
    /// How many miss it, because their outboxes were full. (Where a handler has the
    /// [oldest](prism_driver::WhenSlow::DropOldest) messages dropped there is always room, and others
    /// are missed: [`Connection::missed`] counts those.)
    pub dropped: usize,
}

impl<'a> Recipients<'a> {
    pub(crate) const fn new(membership: &'a Membership<Connection>, scope: Scope<'a>) -> Self {
        Self { membership, scope, except: BTreeSet::new(), or_close: false }
    }

    /// And whoever is in this room, too. Nobody gets it twice.
    pub fn and(mut self, room: &'a str) -> Self {
        // Everyone is everyone already.
        if let Scope::Rooms(rooms) = &mut self.scope {
            rooms.push(room);
        }
        self
    }

    /// But not this connection. Many can be left out, one by one.
    pub fn except(mut self, id: ConnectionId) -> Self {
        self.except.insert(id);
        self
    }

    /// Members whose outbox is full are closed (1013, "try again later") instead of missing the
    /// message: for what makes no sense with a gap in it. (Where a handler has the
    /// [oldest](prism_driver::WhenSlow::DropOldest) messages dropped, there is room as long as there is one
    /// to drop: that member has the gap that it wants, and stays.)
    pub const fn or_close(mut self) -> Self {
        self.or_close = true;
        self
    }

    /// Sends a message: encodes it once, and puts it into the outbox of each who is there. Waits for
    /// nobody: who has no room for it misses it, unless told [otherwise](Self::or_close).
    pub fn send<'m>(&self, message: impl Into<Message<'m>>) -> Delivery {
        self.send_prepared(&PreparedMessage::new(message))
    }

    /// As [`send`](Self::send), with a message that is encoded already.
    pub fn send_prepared(&self, message: &PreparedMessage) -> Delivery {
        let (mut delivered, mut dropped) = (0, 0);
        let _wakeups = hold_wakeups(); // until no room is locked any more
        let mut slow = Vec::new();
        let stamp = self.for_each(|member| match member.try_send_prepared(message) {
            Ok(()) => delivered += 1,
            Err(TrySendError::Full) => {
                dropped += 1;
                if self.or_close {
                    slow.push(member.clone());
                }
            }
            Err(TrySendError::Refused(_)) => {} // it is leaving
        });
        for member in slow {
            member.close(CloseCode::TRY_AGAIN_LATER, "too slow");
        }
        Delivery { stamp, delivered, dropped }
    }

    /// Closes the connections, as [`Connection::close`] does. Returns how many this call closed: those
    /// that were open.
    pub fn close(&self, code: CloseCode, reason: &str) -> usize {
        let mut members = Vec::new();
        self.for_each(|member| members.push(member.clone()));
        members.iter().filter(|member| member.close(code, reason)).count()
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
