//! [`Acceptor`]: accepts connections, and closes all of them on shutdown.

use std::{io, sync::Arc, time::Duration};

use futures_lite::future::yield_now;

use crate::{
    runtime::{Network, with_nodelay},
    server::{
        pending_handshake::PendingHandshake,
        shared::ServerShared,
        slot::Slot,
        stats::{NotUpgraded, Shutdown},
    },
};

/// How long to wait after a failure of `accept` that does not concern a single connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The accepting side of a server. When this is dropped, no further connection is accepted.
pub(crate) struct Acceptor<N: Network>(Arc<ServerShared<N>>);

impl<N: Network> Acceptor<N> {
    pub(crate) const fn new(shared: Arc<ServerShared<N>>) -> Self {
        Self(shared)
    }

    /// Accepts connections forever.
    pub(crate) async fn run(&self, listener: &N::Listener) {
        let Self(shared) = self;
        loop {
            shared.admission.until_open_below_limit().await;
            let slot = Slot::new(shared.context.clone());
            match shared.network().accept(listener).await {
                Ok((stream, peer_addr)) => {
                    let Some(client) = shared.clients.accept(peer_addr) else {
                        drop(stream);
                        shared.connections.stats.accepted();
                        let reason = NotUpgraded::TooManyConnections;
                        shared.connections.not_upgraded(Some(peer_addr), reason, None);
                        // Nothing else limits how many of these there are in a row.
                        yield_now().await;
                        continue;
                    };
                    let stream = with_nodelay(shared.network(), stream);
                    let permit = shared.admission.admit().await;
                    shared.connections.stats.accepted();
                    let shared_by_task = shared.clone();
                    let pending =
                        PendingHandshake::new(stream, slot, permit, shared_by_task, client);
                    shared.network().spawn(pending.run());
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) if is_exhaustion(&error) => {
                    let now = || shared.network().now();
                    shared.connections.events.descriptors_exhausted(now, &error);
                    shared.admission.free_descriptor(ACCEPT_PAUSE).await;
                }
                Err(error) => {
                    let now = || shared.network().now();
                    shared.connections.events.accept_failed(now, &error);
                    shared.network().sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Closes all connections, and cuts those that have not ended within the grace period. Pages that are being sent
    /// continue until then; handshakes are dropped.
    pub(crate) async fn shut_down(self) -> Shutdown {
        let ServerShared { connections, admission, tls, .. } = &*self.0;
        admission.evict_handshakes();
        let spread = connections.options.effective_spread(tls.is_some());
        let all_ended = connections.registry.until_fewer_than(1);
        connections.shut_down(spread, all_ended, || admission.evict_pages()).await
    }
}

impl<N: Network> Drop for Acceptor<N> {
    fn drop(&mut self) {
        self.0.connections.registry.expect_no_more();
    }
}

/// Returns whether `accept` failed only because the peer disconnected. After any other failure, an immediate retry
/// would be a busy loop.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
    )
}

/// Returns whether the operating system has no descriptor or memory for one more connection.
fn is_exhaustion(error: &io::Error) -> bool {
    #[cfg(unix)]
    const EXHAUSTED: [i32; 4] = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    // WSAEMFILE and WSAENOBUFS: on Windows, only memory limits the number of sockets.
    #[cfg(not(unix))]
    const EXHAUSTED: [i32; 2] = [10_024, 10_055];
    error.raw_os_error().is_some_and(|code| EXHAUSTED.contains(&code))
}
