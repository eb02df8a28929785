//! [`HandshakeGuard`]: what a request holds until its connection opens.

use std::net::SocketAddr;

use crate::{
    connection::Connection,
    runtime::Runtime,
    server::{
        address_limit::Place,
        slot::Slot,
        stats::{NotUpgraded, opened::HttpVersion},
    },
};

/// What a request holds until its connection opens: its place among those of its address, and its entry in the
/// registry. When this is dropped, the request is counted as refused or left.
pub(super) struct HandshakeGuard<R: Runtime> {
    /// `None` once the connection is open.
    held: Option<(Slot<R>, Place)>,
    peer_addr: Option<SocketAddr>,
    /// The version of HTTP over which the request came.
    version: HttpVersion,
    /// What a drop means.
    pub(super) if_dropped: NotUpgraded,
    /// The status of the refusal, if there is one.
    pub(super) status: Option<u16>,
}

impl<R: Runtime> HandshakeGuard<R> {
    pub(super) const fn new(
        slot: Slot<R>,
        place: Place,
        peer_addr: Option<SocketAddr>,
        version: HttpVersion,
    ) -> Self {
        Self {
            held: Some((slot, place)),
            peer_addr,
            version,
            if_dropped: NotUpgraded::Left,
            status: None,
        }
    }

    /// Records that the connection has opened, and returns its entry.
    pub(super) fn opened(mut self, connection: &Connection) -> Slot<R> {
        let (slot, place) = self.held.take().expect("it is taken only here");
        slot.opened(connection, self.version);
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
        if let Some((slot, _)) = &self.held {
            slot.not_upgraded(self.peer_addr, self.if_dropped, self.status);
        }
    }
}
