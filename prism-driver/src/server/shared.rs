//! [`ServerShared`]: the state that the tasks of a server share, and how it makes room for new connections.

use std::{sync::Arc, time::Duration};

use futures_lite::future::or;

use crate::{
    runtime::{
        Network,
        timeout::{until, within},
    },
    server::{
        admission::AdmissionLimiter, endpoint::Endpoint, router::Router, websockets::WebSockets,
    },
};

/// How long a handshake may take before it can be evicted. On a good line the request arrives at once, and this is long
/// enough for one retransmission. If the limit on handshakes is the length of the listener's queue, a full queue is
/// empty after this time.
const HANDSHAKE_MIN_TIME: Duration = Duration::from_millis(250);

/// How long sending a page may take before it can be evicted: half of the default handshake timeout. So a new page that
/// finds all permits held by slow readers gets one before its handshake times out.
const PAGE_MIN_TIME: Duration = Duration::from_secs(5);

/// The state that the tasks of a server share.
pub(crate) struct ServerShared<N: Network> {
    pub(crate) websockets: Arc<WebSockets<N>>,
    pub(crate) router: Router<Arc<dyn Endpoint<N>>>,
    pub(crate) handshakes: Arc<AdmissionLimiter>,
    /// Limits the pages and refusals that are waiting for their peers to read.
    pub(crate) pages: Arc<AdmissionLimiter>,
}

impl<N: Network> ServerShared<N> {
    pub(crate) fn new(
        websockets: Arc<WebSockets<N>>,
        router: Router<Arc<dyn Endpoint<N>>>,
    ) -> Arc<Self> {
        let handshakes =
            AdmissionLimiter::new(websockets.options.max_handshakes, HANDSHAKE_MIN_TIME);
        let pages = AdmissionLimiter::new(websockets.options.max_pages, PAGE_MIN_TIME);
        Arc::new(Self { websockets, router, handshakes, pages })
    }

    pub(crate) fn network(&self) -> &N {
        &self.websockets.runtime
    }

    /// Returns when a connection may be accepted.
    pub(crate) async fn until_open_below_limit(&self) {
        self.websockets.registry.until_fewer_open_than(self.max_connections()).await;
    }

    /// Returns when there is room for a connection that was accepted and has its slot already. Until then, handshakes
    /// and pages are evicted one by one, each once it has had its minimum time.
    pub(crate) async fn make_room(&self) {
        let (network, registry) = (self.network(), &self.websockets.registry);
        while let Some((due, limiter)) = self.next_eviction() {
            if due <= network.now() {
                limiter.evict_oldest();
                continue;
            }
            // Not only an eviction can make room: a handshake that completes releases its permit, too.
            let changed = || self.next_eviction().is_none_or(|(next, _)| next != due);
            let released = or(self.handshakes.until(changed), self.pages.until(changed));
            until(network, due, or(released, registry.until(changed))).await;
        }
    }

    /// Waits until a descriptor may be free again, at most for `pause`. If a handshake or a page has had its minimum
    /// time, it is evicted, which frees one.
    pub(crate) async fn free_descriptor(&self, pause: Duration) {
        let (network, registry) = (self.network(), &self.websockets.registry);
        let slots = registry.len();
        let (due, limiter) = self.first_due();
        if due <= network.now() {
            limiter.evict_oldest();
        }
        within(network, pause, registry.until_fewer_than(slots)).await;
    }

    /// Returns when the next handshake or page may be evicted, and from which limiter; `None` if there is room. The
    /// time is [`Duration::MAX`] if there is nothing to evict, or if enough is being evicted already.
    fn next_eviction(&self) -> Option<(Duration, &AdmissionLimiter)> {
        let slots = self.websockets.registry.len();
        let evicting = self.handshakes.occupancy().evicting + self.pages.occupancy().evicting;
        let is_full = |slots| slots > self.max_connections();
        if is_full(slots.saturating_sub(evicting)) {
            Some(self.first_due())
        } else if let Some(due) = self.handshakes.occupancy().next_eviction() {
            Some((due, &self.handshakes))
        } else {
            is_full(slots).then_some((Duration::MAX, &self.handshakes))
        }
    }

    /// Returns when the first handshake or page may be evicted, and from which limiter.
    fn first_due(&self) -> (Duration, &AdmissionLimiter) {
        let due = |limiter: &AdmissionLimiter| limiter.occupancy().next_due;
        let (handshake, page) = (due(&self.handshakes), due(&self.pages));
        if page < handshake { (page, &self.pages) } else { (handshake, &self.handshakes) }
    }

    fn max_connections(&self) -> usize {
        self.websockets.options.max_connections.max(1) // with zero, there would never be room
    }
}
