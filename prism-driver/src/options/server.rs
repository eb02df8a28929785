//! [`ServerOptions`]: the limits of a server.

use std::time::Duration;

use crate::options::Options;

/// The limits of a server: those of each of its connections, and those of all connections together. Each has a
/// default that is safe on the open internet.
///
/// ```
/// # use prism_driver::{Options, ServerOptions};
/// let connection = Options::default().max_message_size(16 << 20);
/// let options = ServerOptions::from(connection).max_connections(1000);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The limits of each connection.
    pub connection: Options,
    /// The maximum number of simultaneous connections, including those in their handshake. Further connections wait in
    /// the operating system's queue, unless a handshake or a [page](Self::max_pages) can be
    /// [evicted](Self::max_handshakes). Default: 65,536. That many idle connections take about 80 MB. The data that
    /// waits for their peers is [limited separately](Self::max_buffered), for all of them together. Each connection
    /// takes a file descriptor, and the operating system often allows fewer of those. When none is left, the server
    /// behaves as if this limit were reached. Under another HTTP server ([`WebSockets`](crate::WebSockets)), a further
    /// request gets a 503.
    pub max_connections: usize,
    /// The maximum number of simultaneous connections from one address, including those in their handshake and those
    /// that receive a [page](crate::Server::get). Each IPv4 address counts by itself. IPv6 addresses count together if
    /// their first 64 bits are equal, because a subscriber usually has at least that many addresses. Default: `None`,
    /// which is no limit. `Some(0)` counts as `Some(1)`.
    ///
    /// A further connection gets a 429 ([`Refused::too_many_connections`](crate::Refused::too_many_connections)) as
    /// soon as the client's address is known: usually before its request has been read, but behind a
    /// [proxy](crate::Server::trust_proxies) once its request has arrived. If as many connections of the address as
    /// this limit are receiving that answer, yet another one is closed without an answer. So one address cannot use up
    /// [`max_connections`](Self::max_connections), nor [`max_handshakes`](Self::max_handshakes).
    ///
    /// Over [TLS](crate::docs::tls), a further connection is closed without an answer, because each answer would cost a
    /// TLS handshake. (But behind a proxy that names the client in the request, that handshake is done, and the answer
    /// is a 429.)
    ///
    /// The addresses of [trusted proxies](crate::Server::trust_proxies) are not limited. If the server is behind
    /// proxies that it does not trust, do not set a limit: all clients would share one.
    ///
    /// Many people can share one IPv4 address, for example in an office or on a mobile network. Choose a limit that
    /// such a place does not reach, such as 1,000, unless you know your clients. With a limit, each address that has a
    /// connection takes about 50 bytes. Each server has a limit of its own.
    pub max_connections_per_ip: Option<usize>,
    /// The maximum number of handshakes in progress. When it is reached, or when a new connection would exceed
    /// [`max_connections`](Self::max_connections) or finds no file descriptor, the oldest handshake is *evicted* in
    /// favor of the next connection: it is dropped without an answer. Each handshake has at least a quarter of a
    /// second, or three quarters where the server speaks [TLS](crate::docs::tls), which needs one or two round trips
    /// more. Until then, the new connection waits.
    ///
    /// If new connections simply waited, as many silent peers as this limit allows could block all others for the
    /// [handshake timeout](Options::handshake_timeout), again and again. With eviction, four times as many connections
    /// as this limit get their turn each second. Default: 4,096, which is as many as may wait in the operating system's
    /// queue. With this, even 8,000 silent peers that reconnect whenever they are evicted delay a handshake by no more
    /// than a quarter of a second, and take 7 MB. With a lower limit the queue overflows, and a client's operating
    /// system tries again only after one second, then two, and so on: in a test with 1,024, half of all handshakes took
    /// longer than 4 s.
    ///
    /// With TLS, a silent peer takes 3.5 KB. A peer that sends a part of a long handshake message takes up to 37 KB, so
    /// 4,096 of them take 150 MB. A server that asks for client certificates accepts messages of 64 KiB, which is twice
    /// that.
    pub max_handshakes: usize,
    /// The maximum number of plain HTTP responses (pages and refusals) that wait for their peers to read. Up to this
    /// limit, they do not count as handshakes. A response that the operating system accepts at once does not count at
    /// all. Any other counts until it has been sent completely, or until it fails because the peer is [too
    /// slow](Options::min_write_rate).
    ///
    /// When this limit is reached, the oldest response is evicted (cut off) in favor of the next, provided that it has
    /// had five seconds. Until then, the next one is sent but still counts as a handshake. So it can be [evicted like
    /// one](Self::max_handshakes), and the [handshake timeout](Options::handshake_timeout) applies to it. When a new
    /// connection would exceed [`max_connections`](Self::max_connections) or finds no file descriptor, pages are
    /// evicted as handshakes are, after the same five seconds.
    ///
    /// So peers that read slowly on purpose cannot block handshakes or small pages, and two hundred large pages get
    /// their turn each second. Default: 1,024. This takes a few megabytes if the pages are [shared](prism_core::Reply),
    /// and is more downloads than most links carry.
    pub max_pages: usize,
    /// The maximum number of [authorizations](crate::Server::authorize) that run at the same time. Further requests
    /// wait for their turn, in the order in which they arrived. Zero counts as one. Default: 1,024. With authorizations
    /// that take 100 ms each, ten thousand requests that arrive at once are then authorized within a second.
    ///
    /// An authorization does not count towards [`max_handshakes`](Self::max_handshakes), and is not evicted in favor of
    /// a new connection. A request that waits for its turn can be evicted, but only when a new connection would exceed
    /// [`max_connections`](Self::max_connections) or finds no file descriptor. Waiting and authorization together are
    /// limited by the rest of the [handshake timeout](Options::handshake_timeout); after that, the answer is a 503.
    pub max_authorizations: usize,
    /// The maximum memory, in bytes, that a server holds in total for peers that do not take what is sent to them. When
    /// it is exceeded, the connection whose peer has gone the longest without taking anything is aborted
    /// ([`Failure::Evicted`](crate::Failure::Evicted)), then the next, until the rest fits. Senders to other
    /// connections notice nothing. Default: 256 MiB. This is enough for almost four thousand full
    /// [outboxes](Options::high_water_mark), and for far more if they hold the same messages.
    ///
    /// A connection counts from the time when its task finds that the transport takes no more, until its outbox is
    /// empty. What counts is the memory of its outbox, plus half a kilobyte of overhead. A [prepared
    /// message](crate::PreparedMessage) that waits in many outboxes is in memory once, so it counts once. What TLS has
    /// encrypted and the transport has not taken does not count, which is up to 48 KiB for each connection. See
    /// [`Counts::buffered`](crate::Counts::buffered) for the sum, and [`Counts::evicted`](crate::Counts::evicted) for
    /// the number of connections that were aborted.
    ///
    /// Choose a value many times as large as the largest message that you send. Peers that do read, but more slowly
    /// than you send, are counted as well: if a few large messages are enough to reach the limit, such peers are
    /// aborted even though they read. A value below the highest [high-water mark](Options::high_water_mark), of the
    /// server or of any [route](crate::Route::options), counts as that mark. A connection is not aborted while it is
    /// the only one that counts.
    ///
    /// Each server has a limit of its own. Clients, [`serve_stream`](crate::serve_stream) and
    /// [`serve_upgraded`](crate::serve_upgraded) have none, but [`WebSockets`](crate::WebSockets) do.
    pub max_buffered: usize,
    /// The grace period: how long a server that shuts down waits for its connections and pages to end, from the
    /// beginning of the shutdown. Those that have not ended by then are aborted, and the server waits up to another
    /// second for that. A peer that does not answer gets less time: the
    /// [close timeout](prism_core::Config::close_timeout), counted from when the server sent it a close frame. Default:
    /// 10 s. Choose less than your process manager allows before it kills a service: that is often 10 s or 30 s.
    pub shutdown_grace: Duration,
    /// The time over which a server that shuts down closes its connections, in up to a hundred equal steps of at least
    /// 64 connections each. So a server with 64 connections or fewer closes them all in one step. If this time is zero,
    /// every server does. More than half of the [grace period](Self::shutdown_grace) counts as half.
    ///
    /// Most peers reconnect immediately, to another server. If all of them did so at the same moment, that server would
    /// get far more handshakes at once than even on a busy day. Default: 5 s. The peers of 50,000 connections then
    /// reconnect at 10,000 per second, and the last of them still has its whole
    /// [close timeout](prism_core::Config::close_timeout) within the grace period.
    ///
    /// Where the server speaks [TLS](crate::docs::tls), twice this time counts, but at most three quarters of the grace
    /// period: 7.5 s by default, and 10 s with a grace period of 14 s. Another server cannot resume the sessions of
    /// this one, so each peer that reconnects costs it a full TLS handshake. With the cryptography of `ring`, one core
    /// of the machine on which Prism's figures are measured does about 8,000 of those per second with an ECDSA key
    /// (P-256), and 1,500 with a 2,048-bit RSA key (`bench/RESULTS.md` describes the machine; the clients' part is not
    /// included). By default, the peers of 50,000 connections reconnect at 6,700 per second, and the last of them has
    /// 2.5 s to answer, which is many round trips. If your other servers cannot do as many handshakes, set this and the
    /// grace period to longer times.
    pub shutdown_spread: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Options::default().into()
    }
}

/// The defaults, with these limits of each connection.
impl From<Options> for ServerOptions {
    fn from(connection: Options) -> Self {
        Self {
            connection,
            max_connections: 65_536,
            max_connections_per_ip: None,
            max_handshakes: 4096,
            max_pages: 1024,
            max_authorizations: 1024,
            max_buffered: 256 << 20,
            shutdown_grace: Duration::from_secs(10),
            shutdown_spread: Duration::from_secs(5),
        }
    }
}

impl ServerOptions {
    /// Sets [`connection`](field@Self::connection), that is, all limits of a connection at once.
    #[must_use]
    pub fn connection(mut self, options: Options) -> Self {
        self.connection = options;
        self
    }

    /// Sets [`max_connections`](field@Self::max_connections).
    #[must_use]
    pub fn max_connections(mut self, count: usize) -> Self {
        self.max_connections = count;
        self
    }

    /// Sets [`max_connections_per_ip`](field@Self::max_connections_per_ip).
    #[must_use]
    pub fn max_connections_per_ip(mut self, count: Option<usize>) -> Self {
        self.max_connections_per_ip = count;
        self
    }

    /// Sets [`max_handshakes`](field@Self::max_handshakes).
    #[must_use]
    pub fn max_handshakes(mut self, count: usize) -> Self {
        self.max_handshakes = count;
        self
    }

    /// Sets [`max_pages`](field@Self::max_pages).
    #[must_use]
    pub fn max_pages(mut self, count: usize) -> Self {
        self.max_pages = count;
        self
    }

    /// Sets [`max_authorizations`](field@Self::max_authorizations).
    #[must_use]
    pub fn max_authorizations(mut self, count: usize) -> Self {
        self.max_authorizations = count;
        self
    }

    /// Sets [`max_buffered`](field@Self::max_buffered).
    #[must_use]
    pub fn max_buffered(mut self, bytes: usize) -> Self {
        self.max_buffered = bytes;
        self
    }

    /// Sets [`shutdown_grace`](field@Self::shutdown_grace).
    #[must_use]
    pub fn shutdown_grace(mut self, time: Duration) -> Self {
        self.shutdown_grace = time;
        self
    }

    /// Sets [`shutdown_spread`](field@Self::shutdown_spread).
    #[must_use]
    pub fn shutdown_spread(mut self, time: Duration) -> Self {
        self.shutdown_spread = time;
        self
    }

    /// Returns the time over which a shutdown closes connections: the spread, but at most half of the grace period.
    /// With TLS, twice the spread, but at most three quarters of the grace period.
    pub(crate) fn effective_spread(&self, tls: bool) -> Duration {
        let quarter = self.shutdown_grace / 4;
        match tls {
            false => self.shutdown_spread.min(quarter * 2),
            true => self.shutdown_spread.saturating_mul(2).min(quarter * 3),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::ServerOptions;

    #[test]
    fn with_tls_the_connections_are_closed_over_a_longer_time() {
        let spreads = |options: ServerOptions| {
            [false, true].map(|tls| options.effective_spread(tls).as_millis())
        };
        assert_eq!(spreads(ServerOptions::default()), [5_000, 7_500]);
        let spreads = |grace, spread| {
            let options = ServerOptions::default()
                .shutdown_grace(Duration::from_secs(grace))
                .shutdown_spread(Duration::from_secs(spread));
            spreads(options)
        };
        assert_eq!(spreads(12, 5), [5_000, 9_000]);
        assert_eq!(spreads(14, 5), [5_000, 10_000]);
        assert_eq!(spreads(60, 5), [5_000, 10_000]);
        assert_eq!(spreads(10, 60), [5_000, 7_500]);
        assert_eq!(spreads(10, 0), [0, 0]);
        assert_eq!(spreads(0, 5), [0, 0]);
        let forever = ServerOptions::default().shutdown_grace(Duration::MAX);
        assert_eq!(forever.effective_spread(true), Duration::from_secs(10));
    }
}
