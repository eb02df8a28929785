//! [`Shared`]: the state behind the handles of a connection.

use std::{net::SocketAddr, sync::Arc};

use crate::{
    connection::{
        compression::Compression, id::LocalId, peer_addr::PeerAddr, request_info::RequestInfo,
    },
    outbox::{Outbox, budget::Evict},
};

/// The state that all handles of a connection share. Every idle connection has one, so its size matters.
pub(crate) struct Shared {
    pub(super) id: LocalId,
    pub(super) peer_addr: PeerAddr,
    pub(super) request: Arc<RequestInfo>,
    pub(crate) outbox: Outbox,
}

impl Shared {
    pub(super) fn new(
        peer_addr: Option<SocketAddr>,
        request: Arc<RequestInfo>,
        outbox: Outbox,
    ) -> Arc<Self> {
        Arc::new(Self { id: LocalId::new(), peer_addr: peer_addr.into(), request, outbox })
    }

    /// Returns the compression of what is sent. (A broadcast asks each connection, and should not have to look outside
    /// of this.)
    #[inline]
    pub(crate) fn compression(&self) -> Option<&Compression> {
        if self.outbox.compresses() { self.request.compression() } else { None }
    }
}

impl Evict for Shared {
    fn evict(&self, number: u64) -> bool {
        self.outbox.evict(number)
    }

    fn wake(&self) {
        self.outbox.wake_evicted();
    }
}

#[cfg(all(test, target_pointer_width = "64", not(prism_loom)))]
mod tests {
    use super::Shared;

    #[test]
    fn the_state_of_a_connection_fits_a_step_of_the_allocator() {
        // With the counts of an `Arc`. glibc's next step takes 16 bytes more.
        assert!(size_of::<Shared>() + 2 * size_of::<usize>() <= 216);
    }
}
