//! [`ServerOptions`]: the limits of a server.

use std::time::Duration;

#[cfg(doc)]
use prism_core::Config;

use crate::options::Options;

/// The limits of a server: those of each of its connections, and those of all connections together. Each has a
/// default that is safe on the open internet.
///
/// ```
/// use prism_driver::{Options, ServerOptions};
///
/// let connection = Options::default().max_message_size(16 << 20);
/// let options = ServerOptions::from(connection).max_connections(1000);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The limits of each connection.
    pub connection: Options,
    /// How many connections a server has at once, including handshakes. Further connections wait in the operating
    /// system's queue, unless a handshake or a [page](Self::max_pages) can be [evicted](Self::max_handshakes). Default:
    /// 65,536. Idle, they take about 80 MB, and what waits for their peers is [bounded](Self::max_buffered) for all of
    /// them together. Each takes a descriptor, and the operating system often allows fewer of those. When none is left,
    /// the server behaves as if this limit were reached.
    pub max_connections: usize,
    /// How many handshakes a server has in progress at once. When there are as many, or when no place or descriptor is
    /// left for a connection, the oldest handshake is evicted in favour of the next connection, provided that it has
    /// had a quarter of a second. Until then the new connection waits.
    ///
    /// If new connections simply waited, as many silent peers could block all others for the [handshake
    /// timeout](Options::handshake_timeout), again and again. With eviction, four times this number get their turn each
    /// second. Default: 4,096, which is as many as may wait in the operating system's queue. Then 8,000 silent peers
    /// that reconnect whenever they are evicted delay a handshake by no more than that quarter of a second, and cost 7
    /// MB (plus what TLS holds). With fewer places the queue overflows, and a client's operating system tries again
    /// only after one second, then two, and so on: with 1,024, half of all handshakes took longer than 4 s.
    pub max_handshakes: usize,
    /// How many plain HTTP responses (pages and refusals) a server is sending at once, apart from the handshakes. A
    /// response that the operating system accepts at once does not count. One that has to wait for its peer counts
    /// until all of it is taken, or the peer is [too slow](Options::min_write_rate).
    ///
    /// When there are as many, the oldest is evicted in favour of the next, provided that it has had five seconds.
    /// Until then the next one is sent in the place of its handshake. So it can be [evicted as
    /// one](Self::max_handshakes), and ends with the [handshake timeout](Options::handshake_timeout). When no place or
    /// descriptor is left for a connection, pages are evicted as handshakes are, after the same five seconds.
    ///
    /// So peers that read slowly on purpose cannot block handshakes or small pages, and two hundred large pages get
    /// their turn each second. Default: 1,024: a few megabytes, if the pages are [shared](prism_core::Reply), and more
    /// downloads than most lines carry.
    pub max_pages: usize,
    /// How many bytes of memory a server holds in all for peers that do not take what is sent to them. When more waits,
    /// the connection whose peer has taken nothing for longest is aborted
    /// ([`Failure::Evicted`](crate::Failure::Evicted)), then the next, until the rest fits. Senders to other
    /// connections notice nothing. Default: 256 MiB: almost four thousand full [outboxes](Options::high_water_mark),
    /// and far more when they hold the same messages.
    ///
    /// A connection counts from the time its task finds that the transport takes no more, until nothing waits for the
    /// peer. Its part is the memory of its outbox, and half a kilobyte for what else it costs. A [prepared
    /// message](crate::PreparedMessage) that waits in many outboxes is in memory once, so it counts once. See
    /// [`Counts::buffered`](crate::Counts::buffered) for the sum, and [`Counts::evicted`](crate::Counts::evicted) for
    /// the number of connections that were aborted.
    ///
    /// Choose a value many times as large as the largest message that you send. Peers that read more slowly than you
    /// send are counted as well: if a few large messages fill the bound, such peers are aborted although they read. A
    /// value below the high-water mark counts as that mark. A connection is not aborted while it is the only one that
    /// waits.
    ///
    /// Each server has a bound of its own. Clients and [single streams](crate::serve_stream) have none.
    pub max_buffered: usize,
    /// How long a server that shuts down waits for its connections and pages to end, from the beginning of the
    /// shutdown. What has not ended by then is cut. Peers that do not answer get less: the [close
    /// timeout](Config::close_timeout), from the time they are told. Default: 10 s: process managers usually kill a
    /// service after that, or after 30 s.
    pub shutdown_grace: Duration,
    /// The time over which a server that shuts down closes its connections, in a hundred equal steps; at most half
    /// of the [grace time](Self::shutdown_grace). Zero closes all at once, and fewer than 65 connections are always
    /// closed at once: a step is at least 64 connections.
    ///
    /// Every peer connects again somewhere else, and all their handshakes at the same instant are more than what a
    /// server does on a busy day. Default: 5 s: 50,000 connections come back at 10,000 a second, and the last of
    /// them still has its whole [close timeout](Config::close_timeout) within the grace time.
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
            max_handshakes: 4096,
            max_pages: 1024,
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

    /// Returns the time over which a shutdown closes connections: the spread, within the grace time.
    pub(crate) fn effective_spread(&self) -> Duration {
        self.shutdown_spread.min(self.shutdown_grace / 2)
    }
}
