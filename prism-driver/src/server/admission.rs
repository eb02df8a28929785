//! [`Admission`]: how many connections a server accepts, and which handshakes, pages and waiting requests make way for
//! them.
//!
//! Silent peers cannot block new clients. When all permits are held, or no file descriptor is left, the oldest permit
//! is evicted in favor of a new connection, once it has been held for its minimum time. For a handshake that is a
//! quarter of a second, or three quarters with TLS: as much as a lost packet costs, and long enough that a rush of good
//! clients does not evict itself. An evicted task is polled once more before it ends, so a request that has just
//! arrived is still answered.
//!
//! A page may take longer. It is limited by its [progress](crate::session::write_progress), not by a deadline. The part
//! that the transport takes at once is sent under the handshake's permit. If the rest has to wait for the peer, it
//! needs a permit for a page, which can be evicted after five seconds. Because there are two pools of permits, slow
//! readers cannot block handshakes, and handshakes cannot block pages.
//!
//! An authorization may take longer, too, and only a shutdown evicts it while it runs. So it does not hold the permit
//! of a handshake, but one from a limited pool for authorizations. A request that waits for such a permit can be
//! evicted, but only if the server has reached its maximum number of connections, or no file descriptor is left.

use std::{sync::Arc, time::Duration};

use futures_lite::future::or;

use crate::{
    runtime::{
        Network,
        timeout::{until, within},
    },
    server::{
        connections::Connections,
        permits::{Permit, PermitPool},
    },
};

/// How long a handshake may take before it can be evicted. On a good link the request arrives at once, and this is long
/// enough for one retransmission. If the limit on handshakes is the length of the listener's queue, a full queue is
/// empty after this time.
const HANDSHAKE_MIN_TIME: Duration = Duration::from_millis(250);

/// The same where the server speaks TLS. The request then arrives after one more round trip (two with TLS 1.2), and
/// after cryptography on both sides. With only [`HANDSHAKE_MIN_TIME`], during an attack no client that is further away
/// than 100 ms would ever get in.
const TLS_HANDSHAKE_MIN_TIME: Duration = Duration::from_millis(750);

/// How long sending a page may take before it can be evicted: half of the default handshake timeout. So a new page that
/// finds all permits held by slow readers gets one before its handshake times out.
const PAGE_MIN_TIME: Duration = Duration::from_secs(5);

/// Decides when a connection may come in. Every connection holds a slot in the [registry](Connections::registry), and a
/// permit until it has become open or has been answered.
pub(crate) struct Admission<N: Network> {
    connections: Arc<Connections<N>>,
    handshakes: Arc<PermitPool>,
    /// For the pages and refusals that are waiting for their peers to read.
    pages: Arc<PermitPool>,
    /// For the requests that wait for their authorization to begin.
    queued: Arc<PermitPool>,
    /// For the authorizations that are running. They are evicted only by a shutdown.
    authorizations: Arc<PermitPool>,
}

impl<N: Network> Admission<N> {
    /// `tls` says whether handshakes include one of TLS.
    pub(crate) fn new(connections: Arc<Connections<N>>, tls: bool) -> Self {
        let options = &connections.options;
        let min_time = if tls { TLS_HANDSHAKE_MIN_TIME } else { HANDSHAKE_MIN_TIME };
        let handshakes = PermitPool::new(options.max_handshakes, min_time);
        let pages = PermitPool::new(options.max_pages, PAGE_MIN_TIME);
        let queued = PermitPool::new(usize::MAX, min_time);
        let authorizations = PermitPool::new(options.max_authorizations, Duration::MAX);
        Self { connections, handshakes, pages, queued, authorizations }
    }

    /// Waits until a connection may be accepted.
    pub(crate) async fn until_open_below_limit(&self) {
        self.connections.registry.until_fewer_open_than(self.max_connections()).await;
    }

    /// Admits a connection that was accepted and has its slot, as soon as there is room. Until then, handshakes, pages
    /// and waiting requests are evicted one by one, each once it has had its minimum time. Returns the permit for the
    /// handshake.
    pub(crate) async fn admit(&self) -> Permit {
        let (network, registry) = (&self.connections.runtime, &self.connections.registry);
        while let Some((due, pool)) = self.next_eviction() {
            if due <= network.now() {
                self.evict_oldest(pool);
                continue;
            }
            // An eviction is not the only way to make room: a handshake that completes releases its permit, too.
            let changed = || self.next_eviction().is_none_or(|(next, _)| next != due);
            // And after a refused authorization, the request holds a handshake's permit again, which can be evicted.
            let [handshakes, pages, queued] = self.evictable().map(|pool| pool.until(changed));
            let released =
                or(or(handshakes, pages), or(queued, self.authorizations.until(changed)));
            until(network, due, or(released, registry.until(changed))).await;
        }
        self.handshakes.take(network.now())
    }

    /// Returns a permit for a page, as soon as there is one.
    pub(crate) async fn admit_page(&self) -> Permit {
        self.pages.acquire(&self.connections.runtime).await
    }

    /// Returns a permit to finish a handshake after the application has decided on the request.
    pub(crate) fn readmit(&self) -> Permit {
        self.handshakes.take(self.connections.runtime.now())
    }

    /// Returns a permit to be held while the request waits for the permit of an
    /// [authorization](Self::admit_authorization).
    pub(crate) fn queue(&self) -> Permit {
        self.queued.take(self.connections.runtime.now())
    }

    /// Returns a permit to run an authorization, as soon as there is one.
    pub(crate) async fn admit_authorization(&self) -> Permit {
        self.authorizations.acquire(&self.connections.runtime).await
    }

    /// Waits until a descriptor may be free again, at most for `pause`. If a handshake, a page or a waiting request has
    /// had its minimum time, it is evicted, which frees a descriptor.
    pub(crate) async fn free_descriptor(&self, pause: Duration) {
        let (network, registry) = (&self.connections.runtime, &self.connections.registry);
        let slots = registry.len();
        let (due, pool) = self.first_due();
        if due <= network.now() {
            self.evict_oldest(pool);
        }
        within(network, pause, registry.until_fewer_than(slots)).await;
    }

    /// Evicts all handshakes, waiting requests and authorizations, including those that are admitted later.
    pub(crate) fn evict_handshakes(&self) {
        [&self.handshakes, &self.queued, &self.authorizations].iter().for_each(|it| it.evict_all());
    }

    /// Evicts all pages, including those that are admitted later.
    pub(crate) fn evict_pages(&self) {
        self.pages.evict_all();
    }

    fn evict_oldest(&self, pool: &PermitPool) {
        pool.evict_oldest();
        self.connections.events.evicting(|| self.connections.runtime.now());
    }

    /// Returns when the next handshake, page or waiting request may be evicted, and from which pool; `None` if there is
    /// room. The time is [`Duration::MAX`] if there is nothing to evict, or if enough is being evicted already.
    fn next_eviction(&self) -> Option<(Duration, &PermitPool)> {
        let slots = self.connections.registry.len();
        let evicting: usize = self.evictable().map(|pool| pool.occupancy().evicting).iter().sum();
        let is_full = |slots| slots > self.max_connections();
        if is_full(slots.saturating_sub(evicting)) {
            Some(self.first_due())
        } else if let Some(due) = self.handshakes.occupancy().next_eviction() {
            Some((due, &self.handshakes))
        } else {
            is_full(slots).then_some((Duration::MAX, &self.handshakes))
        }
    }

    /// Returns when the first handshake, page or waiting request may be evicted, and from which pool.
    fn first_due(&self) -> (Duration, &PermitPool) {
        let due = |pool: &PermitPool| pool.occupancy().next_due;
        let [first, others @ ..] = self.evictable().map(|pool| (due(pool), pool));
        others.into_iter().fold(first, |first, other| if other.0 < first.0 { other } else { first })
    }

    /// Returns the pools whose permits may be evicted to make room.
    fn evictable(&self) -> [&PermitPool; 3] {
        [&self.handshakes, &self.pages, &self.queued]
    }

    fn max_connections(&self) -> usize {
        self.connections.options.max_connections.max(1) // with zero, there would never be room
    }
}
