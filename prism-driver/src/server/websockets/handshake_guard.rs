//! [`HandshakeGuard`]: what a request holds until its connection opens.

use crate::{
    connection::Connection,
    runtime::Runtime,
    server::{
        address_limit::Place,
        slot::Slot,
        stats::{NotUpgraded, ServerStats},
    },
};

/// What a request holds until its connection opens: its place among those of its address, and its entry in the registry.
/// When this is dropped, the request is counted as refused or left.
pub(super) struct HandshakeGuard<R: Runtime> {
    /// `None` once the connection is open.
    held: Option<(Slot<R>, Place)>,
    stats: ServerStats,
    /// What a drop means.
    pub(super) if_dropped: NotUpgraded,
}

impl<R: Runtime> HandshakeGuard<R> {
    pub(super) const fn new(slot: Slot<R>, place: Place, stats: ServerStats) -> Self {
        Self { held: Some((slot, place)), stats, if_dropped: NotUpgraded::Left }
    }

    /// Records that the connection has opened, and returns its entry.
    pub(super) fn opened(mut self, connection: &Connection) -> Slot<R> {
        let (slot, place) = self.held.take().expect("it is taken only here");
        slot.opened(connection);
        if connection.peer_addr().is_some() {
            place.keep();
        }
        slot
    }

    /// Returns the entry in the registry.
    pub(super) fn slot(&mut self) -> &mut Slot<R> {
        let (slot, _) = self.held.as_mut().expect("it is taken only by `opened`");
        slot
    }
}

impl<R: Runtime> Drop for HandshakeGuard<R> {
    fn drop(&mut self) {
        if self.held.is_some() {
            self.stats.not_upgraded(self.if_dropped);
        }
    }
}
