//! Sending to rooms: [`Recipients`] selects the receivers of a message, and [`Delivery`] counts them.

use std::{collections::BTreeSet, fmt, time::Duration};

use prism_driver::{CloseCode, Connection, ConnectionId, Outgoing, PreparedMessage};

use super::{
    deliver::{LocalMembers, Tally},
    membership::{Membership, Scope},
};
use crate::{
    cluster::{action::OwnedAction, elsewhere::Elsewhere, shared::Shared},
    stamp::Stamp,
};

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
    /// What becomes of the message on other nodes of the [`Cluster`](crate::Cluster), if there is one. The other
    /// numbers are those of this node.
    pub elsewhere: Elsewhere,
}

/// The result of closing several connections. Returned by [`Recipients::close`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// The number of connections that the call has closed on this node. Those that were closing already do not count.
    pub here: usize,
    /// What becomes of the closing on other nodes of the [`Cluster`](crate::Cluster), if there is one.
    pub elsewhere: Elsewhere,
}

impl Delivery {
    const fn new(stamp: Stamp, tally: Tally, elsewhere: Elsewhere) -> Self {
        let Tally { delivered, dropped } = tally;
        Self { stamp, delivered, dropped, elsewhere }
    }
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

    /// Sends a message in any [form](Outgoing): encodes the message once, unless it is a
    /// [`PreparedMessage`](prism_driver::PreparedMessage), and puts
    /// it into the outbox of each recipient.
    ///
    /// Never waits for a peer. A recipient whose outbox is full misses the message. With [`or_close`](Self::or_close),
    /// or with the policy [`Close`](prism_driver::WhenSlow::Close), the recipient is also closed. With the policy
    /// [`DropOldest`](prism_driver::WhenSlow::DropOldest), it misses older messages instead.
    ///
    /// For recipients whose messages are [compressed](prism_driver::Options::compression), the message is compressed
    /// once, before any room is locked. (If they have agreed on different windows, a long message is compressed once
    /// for each window.) A connection that joins at that moment may receive it uncompressed.
    ///
    /// A message that a handler sends is written to idle recipients when the handler next waits, or soon after it
    /// returns.
    pub fn send(&self, message: impl Outgoing) -> Delivery {
        let message = message.prepare();
        if let Some(cluster) = self.membership.cluster() {
            return self.send_in(cluster, &message);
        }
        let (stamp, tally) = self.here().send(&message, self.or_close, Stamp::next);
        Delivery::new(stamp, tally, Elsewhere::NoCluster)
    }

    /// Sends a message to the members on all nodes.
    #[inline(never)] // it would make `send` slower where there is no cluster
    fn send_in(&self, cluster: &Shared, message: &PreparedMessage) -> Delivery {
        let action = OwnedAction::Send { message: message.clone(), or_close: self.or_close };
        let publication = self.publication(cluster, action);
        let publish = || publication.publish();
        let ((stamp, elsewhere), tally) = self.here().send(message, self.or_close, publish);
        cluster.wake();
        Delivery::new(stamp, tally, elsewhere)
    }

    /// Closes the connections, as [`Connection::close`] does.
    pub fn close(&self, code: CloseCode, reason: &str) -> Closed {
        let Some(cluster) = self.membership.cluster() else {
            let ((), here) = self.here().close(code, reason, || ());
            return Closed { here, elsewhere: Elsewhere::NoCluster };
        };
        let publication = self.publication(cluster, OwnedAction::close(code, reason));
        let ((_, elsewhere), here) = self.here().close(code, reason, || publication.publish());
        cluster.wake();
        Closed { here, elsewhere }
    }

    /// Wakes the handler of each recipient; see [`Connection::wake`]. Returns what becomes of this on other nodes.
    pub fn wake(&self) -> Elsewhere {
        let Some(cluster) = self.membership.cluster() else {
            self.here().wake(|| ());
            return Elsewhere::NoCluster;
        };
        let publication = self.publication(cluster, OwnedAction::Wake);
        let (_, elsewhere) = self.here().wake(|| publication.publish());
        cluster.wake();
        elsewhere
    }

    /// Returns the recipients of this node.
    fn here(&self) -> LocalMembers<'_, impl Fn(ConnectionId) -> bool> {
        let is_excluded = |id| self.except.contains(&id);
        LocalMembers { membership: self.membership, scope: &self.scope, is_excluded }
    }

    /// Prepares what has to be published for other nodes.
    fn publication<'c>(&'c self, cluster: &'c Shared, action: OwnedAction) -> Publication<'c> {
        let rooms = match &self.scope {
            Scope::Everyone => None,
            Scope::Rooms(rooms) => Some(&rooms[..]),
        };
        let is_elsewhere = |id: &&ConnectionId| self.membership.member(**id).is_none();
        let except = self.except.iter().filter(is_elsewhere).map(|id| id.as_u128()).collect();
        Publication { cluster, rooms, except, action, now: cluster.now() }
    }
}

/// What has to be published, as far as it can be prepared before a room is locked.
struct Publication<'a> {
    cluster: &'a Shared,
    rooms: Option<&'a [&'a str]>,
    /// The connections to leave out that are not here.
    except: Vec<u128>,
    action: OwnedAction,
    now: Duration,
}

impl Publication<'_> {
    /// Puts the publication into the node's outbox, under the lock of the rooms: that gives it the same place among the
    /// messages to each room as here.
    fn publish(self) -> (Stamp, Elsewhere) {
        let Self { cluster, rooms, except, action, now } = self;
        cluster.publish(rooms, except, action, now)
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
