//! [`ServerStats`]: the counters of a server.

#[cfg(feature = "metrics")]
use std::sync::atomic::AtomicBool;
use std::{
    iter::Sum,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::server::stats::{
    ends::{EndCounters, EndKind, Ends},
    opened::{HttpVersion, Opened, OpenedCounters},
    round_trips::{RoundTripCounters, RoundTrips},
    traffic::{Traffic, TrafficCounters},
};

pub(crate) mod ends;
mod families;
pub(crate) mod opened;
mod openmetrics;
#[cfg(feature = "metrics")]
mod recorder;
pub(crate) mod round_trips;
pub(crate) mod route_stats;
mod thread_number;
pub(crate) mod traffic;

/// A handle to the counters of a server; see [`Server::stats`](crate::Server::stats).
///
/// Clones are handles to the same counters. They stay valid after the server has stopped. Counting costs a few atomic
/// additions per connection, and next to nothing per message. [Deploying](crate::docs::deploying#monitoring) says what
/// to watch, and [Observability](crate::docs::observability) how to publish the counters.
///
/// ```no_run
/// # use prism_driver::{Network, Server};
/// # async fn example(server: Server<impl Network>) {
/// let stats = server.stats();
/// server.get("/metrics", move |_| stats.openmetrics()).serve().await;
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
    opened: OpenedCounters,
    closed: AtomicU64,
    stuck: AtomicU64,
    unstuck: AtomicU64,
    incomplete: AtomicU64,
    evicted: AtomicU64,
    missed: AtomicU64,
    panics: AtomicU64,
    /// The current number of bytes.
    buffered: AtomicU64,
    not_upgraded: [AtomicU64; NotUpgraded::COUNT],
    ends: EndCounters,
    traffic: TrafficCounters,
    round_trips: RoundTripCounters,
    /// Whether the recorder of the crate `metrics` knows the units and the help texts.
    #[cfg(feature = "metrics")]
    is_described: AtomicBool,
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

    /// Returns the name for metrics and logs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::BadRequest => "bad_request",
            Self::BadProxyHeader => "bad_proxy_header",
            Self::BadTls => "bad_tls",
            Self::Forbidden => "forbidden_origin",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::TimedOut => "timed_out",
            Self::Evicted => "evicted",
            Self::Left => "left",
            Self::TooManyConnections => "too_many_connections",
            Self::Failed => "failed",
        }
    }
}

/// A snapshot of the counters of a server, from [`ServerStats::counts`]. The counters are read one after another, so a
/// connection whose state changes meanwhile may be counted twice, or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// The number of transports accepted so far; with [`WebSockets`](crate::WebSockets), of requests. Apart from those
    /// whose state changes while the counters are read, each is counted in exactly one of [`in_handshake`], [`open`],
    /// [`closed`], [`pages`] and [`refused`].
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
    /// The numbers of connections that were opened, by the version of HTTP.
    pub opened: Opened,
    /// The numbers of connections that have [ended](Self::closed), by the way in which they ended.
    pub ends: Ends,
    /// What the connections have received so far, without their requests, and without messages that arrive after this
    /// side has closed. A session adds what it has received when it waits for more.
    pub received: Traffic,
    /// What has been sent on the connections so far. Messages and bytes are added when something is written, and when a
    /// connection ends. A message that an outbox has accepted counts, even if it is lost with the connection.
    pub sent: Traffic,
    /// The number of messages that peers have missed so far because they did not keep up: the sum of
    /// [`Connection::missed`](crate::Connection::missed) over all connections.
    pub missed: u64,
    /// The number of panics so far in handlers, in the functions that make them, and in the functions of
    /// [sockets](crate::socket).
    pub panics: u64,
    /// How long peers took to answer the pings of the keepalive.
    pub round_trips: RoundTrips,
}

/// The numbers of peers that a server has refused so far, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// Peers that sent an invalid request: 400, 405, 426, 431, 501, 505.
    pub bad_request: u64,
    /// Peers that are trusted proxies, and sent no valid header of the [PROXY protocol](crate::Server::proxy_protocol)
    /// or a malformed [list of addresses](crate::Server::trust_proxies): 400.
    pub bad_proxy_header: u64,
    /// Peers of a server with [TLS](crate::docs::tls) that did not speak TLS, or whose TLS handshake failed, for
    /// example because they do not trust the server's certificate or have no good one themselves. They got an alert,
    /// unless they sent one or sent too much. Always zero without TLS.
    pub bad_tls: u64,
    /// Peers whose [origin](crate::Server::origins) is not allowed: 403.
    pub forbidden_origin: u64,
    /// Peers that the [authorization function](crate::Server::authorize) refused, whatever the status; and with
    /// [`WebSockets`](crate::WebSockets), those whose [`PendingUpgrade`](crate::PendingUpgrade) was dropped.
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
    /// authorization was pending; and with [`WebSockets`](crate::WebSockets), those whose request was
    /// [accepted](crate::PendingUpgrade::accept), but whose stream did not come.
    pub left: u64,
    /// Peers whose address had as many connections as [one address may
    /// have](crate::ServerOptions::max_connections_per_ip): 429, or no answer; and with
    /// [`WebSockets`](crate::WebSockets), peers that found
    /// [`max_connections`](crate::ServerOptions::max_connections) open: 503.
    pub too_many_connections: u64,
    /// Peers whose request caused a panic in a page's function or in the authorization function, and with
    /// [`WebSockets`](crate::WebSockets), peers whose stream [cannot be had](crate::HttpRequest::without_stream): 500.
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
    pub fn total(&self) -> u64 {
        self.by_reason().map(|(_, count)| count).iter().sum()
    }

    /// Returns the number for each reason, with its name.
    const fn by_reason(&self) -> [(&'static str, u64); NotUpgraded::COUNT - 1] {
        use NotUpgraded as Why;
        [
            (Why::BadRequest.name(), self.bad_request),
            (Why::BadProxyHeader.name(), self.bad_proxy_header),
            (Why::BadTls.name(), self.bad_tls),
            (Why::Forbidden.name(), self.forbidden_origin),
            (Why::Unauthorized.name(), self.unauthorized),
            (Why::NotFound.name(), self.not_found),
            (Why::TimedOut.name(), self.timed_out),
            (Why::Evicted.name(), self.evicted),
            (Why::Left.name(), self.left),
            (Why::TooManyConnections.name(), self.too_many_connections),
            (Why::Failed.name(), self.failed),
        ]
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
        let opened = self.counters.opened.snapshot();
        let accepted = self.counters.accepted.load(Relaxed);
        let handshakes_done = opened.total() + pages + refused.total();
        Counts {
            accepted,
            // Saturating, because the counters are updated and read in no particular order.
            in_handshake: accepted.saturating_sub(handshakes_done),
            open: opened.total().saturating_sub(closed),
            stuck: stuck.saturating_sub(unstuck),
            closed,
            evicted: self.counters.evicted.load(Relaxed),
            buffered: self.buffered(),
            pages,
            incomplete: self.counters.incomplete.load(Relaxed),
            refused,
            opened,
            ends: self.counters.ends.snapshot(),
            received: self.counters.traffic.received(),
            sent: self.counters.traffic.sent(),
            missed: self.counters.missed.load(Relaxed),
            panics: self.counters.panics.load(Relaxed),
            round_trips: self.counters.round_trips.snapshot(),
        }
    }

    pub(crate) fn accepted(&self) {
        self.counters.accepted.fetch_add(1, Relaxed);
    }

    pub(crate) fn opened(&self, version: HttpVersion) {
        self.counters.opened.add(version);
    }

    /// Counts a connection that has ended. `stuck` says whether it was counted as [stuck](Self::stuck) before.
    pub(crate) fn closed(&self, stuck: bool, end: EndKind) {
        if stuck {
            self.counters.unstuck.fetch_add(1, Relaxed);
        }
        self.counters.ends.add(end);
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

    /// Counts a message that a peer has missed.
    pub(crate) fn missed(&self) {
        self.counters.missed.fetch_add(1, Relaxed);
    }

    /// Counts a panic of a handler.
    pub(crate) fn panicked(&self) {
        self.counters.panics.fetch_add(1, Relaxed);
    }

    /// Counts how long a peer took to answer a ping.
    pub(crate) fn round_trip(&self, round_trip: Duration) {
        self.counters.round_trips.add(round_trip);
    }

    /// Adds what connections have received and sent.
    pub(crate) fn carried(&self, received: Traffic, sent: Traffic) {
        self.counters.traffic.add(received, sent);
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
