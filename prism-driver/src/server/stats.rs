//! [`ServerStats`]: the counters of a server.

use std::{
    iter::Sum,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// A handle to the counters of a server; see [`Server::stats`](crate::Server::stats).
///
/// Clones are handles to the same counters. They stay valid after the server has stopped. Counting costs a few atomic
/// additions per connection. [Deploying](crate::docs::deploying#monitoring) says what to watch.
///
/// ```no_run
/// # use prism_driver::{Network, Reply, Server};
/// # async fn example(server: Server<impl Network>) {
/// let stats = server.stats();
/// let page = move |_| {
///     let counts = stats.counts();
///     Reply::text(200, format!("open {}\naccepted {}\n", counts.open, counts.accepted))
/// };
/// server.get("/metrics", page).serve().await;
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ServerStats {
    counters: Arc<Counters>,
}

/// The totals so far, except for `buffered`. What is current, such as the open connections, is a difference of totals.
#[derive(Debug, Default)]
struct Counters {
    accepted: AtomicU64,
    opened: AtomicU64,
    closed: AtomicU64,
    stuck: AtomicU64,
    unstuck: AtomicU64,
    incomplete: AtomicU64,
    evicted: AtomicU64,
    /// The current number of bytes.
    buffered: AtomicU64,
    not_upgraded: [AtomicU64; NotUpgraded::COUNT],
}

/// The reason why an accepted transport did not become a WebSocket connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotUpgraded {
    /// The request was for a page, or was OPTIONS.
    Page,
    BadRequest,
    /// A trusted proxy sent no valid header of the PROXY protocol, or a malformed list of addresses.
    BadProxyHeader,
    /// The TLS handshake failed.
    BadTls,
    Forbidden,
    Unauthorized,
    NotFound,
    TimedOut,
    Evicted,
    /// The peer disconnected, or the transport failed.
    Left,
    /// The client's address has as many connections as one address may have.
    TooManyConnections,
    /// A page's function or the authorization function panicked.
    Failed,
}

impl NotUpgraded {
    const COUNT: usize = Self::Failed as usize + 1;
}

/// A snapshot of the counters of a server, from [`ServerStats::counts`]. The counters are read one after another, so a
/// connection whose state changes meanwhile may be counted twice, or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// The number of transports accepted so far. Apart from those whose state changes while the counters are read, each
    /// is counted in exactly one of [`in_handshake`], [`open`], [`closed`], [`pages`] and [`refused`].
    ///
    /// [`in_handshake`]: Self::in_handshake
    /// [`open`]: Self::open
    /// [`closed`]: Self::closed
    /// [`pages`]: Self::pages
    /// [`refused`]: Self::refused
    pub accepted: u64,
    /// The number of transports that are in their handshake now, including those whose request waits for its
    /// authorization or its page.
    pub in_handshake: u64,
    /// The number of connections that are open now: from the end of the handshake until `on_disconnect` has returned
    /// and the transport has ended.
    pub open: u64,
    /// The number of open connections whose transport is gone, so that
    /// [`Connection::closed`](crate::Connection::closed) has returned, but whose handler is still running. Each counts
    /// towards [`max_connections`](crate::ServerOptions::max_connections) until its handler returns. If this number
    /// only grows, some handler hangs.
    pub stuck: u64,
    /// The number of connections that have ended so far, for whatever reason.
    pub closed: u64,
    /// The number of connections aborted so far because the server buffered [too
    /// much](crate::ServerOptions::max_buffered) for peers that did not read. They also count as
    /// [closed](Self::closed), once their handlers have returned.
    pub evicted: u64,
    /// The number of bytes of memory that are buffered now for peers that do not keep up; see
    /// [`ServerOptions::max_buffered`](crate::ServerOptions::max_buffered). Zero while every peer keeps up.
    pub buffered: u64,
    /// The number of requests answered so far with a page (a plain HTTP response), including OPTIONS requests.
    pub pages: u64,
    /// The number of pages and refusals that were not sent completely, because the peer read [too
    /// slowly](crate::Options::min_write_rate) or disconnected, or because the response was cut off to [make
    /// room](crate::ServerOptions::max_pages) for another or at the end of a shutdown. They also count as
    /// [pages](Self::pages) or [refused](Self::refused).
    pub incomplete: u64,
    /// The numbers of peers that got neither a connection nor a page, by reason.
    pub refused: Refused,
}

/// The numbers of peers that a server has refused so far, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// Peers that sent an invalid request: 400, 405, 426, 431, 505.
    pub bad_request: u64,
    /// Peers that are trusted proxies, and sent no valid header of the [PROXY protocol](crate::Server::proxy_protocol)
    /// or a malformed [list of addresses](crate::Server::trust_proxies): 400.
    pub bad_proxy_header: u64,
    /// Peers of a server with [TLS](crate::docs::tls) that did not speak TLS, or whose TLS handshake failed, for example
    /// because they do not trust the server's certificate or have no good one themselves. They got an alert, unless
    /// they sent one or sent too much. Always zero without TLS.
    pub bad_tls: u64,
    /// Peers whose [origin](crate::Server::origins) is not allowed: 403.
    pub forbidden_origin: u64,
    /// Peers that the [authorization function](crate::Server::authorize) refused, whatever the status.
    pub unauthorized: u64,
    /// Peers that requested a path without a route: 404.
    pub not_found: u64,
    /// Peers whose request did not arrive within the [handshake timeout](crate::Options::handshake_timeout): 408; and
    /// peers whose page or authorization was not ready in that time: 503.
    pub timed_out: u64,
    /// Peers whose handshake was dropped, also while their page or authorization was pending, to make room for another
    /// (see [`ServerOptions::max_handshakes`](crate::ServerOptions::max_handshakes)) or by a shutdown. They got no
    /// answer, or with [`WebSockets`](crate::WebSockets), during a shutdown, a 503.
    pub evicted: u64,
    /// Peers that disconnected, or whose transport failed, before their request was complete or while their page or
    /// authorization was pending.
    pub left: u64,
    /// Peers whose address had as many connections as [one address may
    /// have](crate::ServerOptions::max_connections_per_ip): 429, or no answer; and with
    /// [`WebSockets`](crate::WebSockets), peers that found
    /// [`max_connections`](crate::ServerOptions::max_connections) open: 503.
    pub too_many_connections: u64,
    /// Peers whose request caused a panic in a page's function or in the authorization function: 500.
    pub failed: u64,
}

/// The numbers of connections that ended in each way during a server's shutdown, as
/// [`Server::serve_until`](crate::Server::serve_until) returns them. Each connection is counted in one of these
/// numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// The number of connections that ended cleanly within the grace period: both sides sent a close frame.
    pub closed: usize,
    /// The number of connections that failed within the grace period
    /// ([`Disconnect::Failed`](crate::Disconnect::Failed)): the peer did not answer the close frame in time, or
    /// disconnected without an answer, or the handler panicked or aborted the connection.
    pub failed: usize,
    /// The number of connections that were still open at the end of the grace period, and were cut (aborted).
    pub cut: usize,
}

/// Adds up the numbers of several servers.
impl Sum for Shutdown {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            closed: sum.closed + one.closed,
            failed: sum.failed + one.failed,
            cut: sum.cut + one.cut,
        })
    }
}

impl Refused {
    /// Returns the sum over all reasons.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.bad_request
            + self.bad_proxy_header
            + self.bad_tls
            + self.forbidden_origin
            + self.unauthorized
            + self.not_found
            + self.timed_out
            + self.evicted
            + self.left
            + self.too_many_connections
            + self.failed
    }
}

impl ServerStats {
    /// Returns a snapshot of the counters.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let not_upgraded =
            |why: NotUpgraded| self.counters.not_upgraded[why as usize].load(Relaxed);
        let refused = Refused {
            bad_request: not_upgraded(NotUpgraded::BadRequest),
            bad_proxy_header: not_upgraded(NotUpgraded::BadProxyHeader),
            bad_tls: not_upgraded(NotUpgraded::BadTls),
            forbidden_origin: not_upgraded(NotUpgraded::Forbidden),
            unauthorized: not_upgraded(NotUpgraded::Unauthorized),
            not_found: not_upgraded(NotUpgraded::NotFound),
            timed_out: not_upgraded(NotUpgraded::TimedOut),
            evicted: not_upgraded(NotUpgraded::Evicted),
            left: not_upgraded(NotUpgraded::Left),
            too_many_connections: not_upgraded(NotUpgraded::TooManyConnections),
            failed: not_upgraded(NotUpgraded::Failed),
        };
        let pages = not_upgraded(NotUpgraded::Page);
        let unstuck = self.counters.unstuck.load(Relaxed);
        let stuck = self.counters.stuck.load(Relaxed);
        let closed = self.counters.closed.load(Relaxed);
        let opened = self.counters.opened.load(Relaxed);
        let accepted = self.counters.accepted.load(Relaxed);
        let handshakes_done = opened + pages + refused.total();
        Counts {
            accepted,
            // Saturating, because the counters are updated and read in no particular order.
            in_handshake: accepted.saturating_sub(handshakes_done),
            open: opened.saturating_sub(closed),
            stuck: stuck.saturating_sub(unstuck),
            closed,
            evicted: self.counters.evicted.load(Relaxed),
            buffered: self.buffered(),
            pages,
            incomplete: self.counters.incomplete.load(Relaxed),
            refused,
        }
    }

    pub(crate) fn accepted(&self) {
        self.counters.accepted.fetch_add(1, Relaxed);
    }

    pub(crate) fn opened(&self) {
        self.counters.opened.fetch_add(1, Relaxed);
    }

    /// Counts a connection that has ended. `stuck` says whether it was counted as [stuck](Self::stuck) before.
    pub(crate) fn closed(&self, stuck: bool) {
        if stuck {
            self.counters.unstuck.fetch_add(1, Relaxed);
        }
        self.counters.closed.fetch_add(1, Relaxed);
    }

    /// Counts a connection whose transport is gone while its handler still runs.
    pub(crate) fn stuck(&self) {
        self.counters.stuck.fetch_add(1, Relaxed);
    }

    /// Counts a page or a refusal that was not sent completely.
    pub(crate) fn incomplete(&self) {
        self.counters.incomplete.fetch_add(1, Relaxed);
    }

    /// Counts a connection that was aborted because too much data was buffered in total.
    pub(crate) fn evicted(&self) {
        self.counters.evicted.fetch_add(1, Relaxed);
    }

    /// Returns how many bytes are buffered for peers that do not keep up.
    pub(crate) fn buffered(&self) -> u64 {
        self.counters.buffered.load(Relaxed)
    }

    pub(crate) fn set_buffered(&self, bytes: u64) {
        self.counters.buffered.store(bytes, Relaxed);
    }

    /// Counts a transport that did not become a connection.
    pub(crate) fn not_upgraded(&self, why: NotUpgraded) {
        self.counters.not_upgraded[why as usize].fetch_add(1, Relaxed);
    }
}
