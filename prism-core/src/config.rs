//! [`Config`]: the limits and intervals of a connection.

use core::time::Duration;

/// The limits and intervals of a connection, each with a default that is safe on the open internet.
///
/// Each field has a setter of the same name, so that a configuration can be written as one
/// expression:
///
/// ```
/// use std::time::Duration;
/// use prism_core::Config;
///
/// let config = Config::default()
///     .max_message_size(16 << 20)
///     .ping_interval(None)
///     .close_timeout(Duration::from_secs(2));
/// assert_eq!(config.max_message_size, 16 << 20);
/// assert_eq!(config.max_headers, Config::default().max_headers);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The largest message accepted, in bytes, all fragments together; a larger one ends the
    /// connection with 1009 as soon as a header announces it. Default: 1 MiB: more than messages
    /// usually have, and a thousand peers in the middle of one hold a gigabyte at most, or half as much
    /// again if it comes in fragments.
    pub max_message_size: usize,
    /// How many empty fragments may follow each other in a message; one more ends the connection
    /// with 1008. An empty fragment costs its sender next to nothing and carries nothing. Default:
    /// 32, although no peer has a use for two.
    pub max_empty_fragments: u16,
    /// The largest head of a request or a response, in bytes; a larger one is refused with 431.
    /// Default: 16 KiB, as in most servers: room for some large cookies and a token.
    pub max_head_size: usize,
    /// The largest number of header lines in a head, at most 128; a head with more is refused with
    /// 431. Default: 100, as in most servers. A browser sends 15 to 20, and proxies add their own.
    /// Each line costs time whenever a header is looked up.
    pub max_headers: usize,
    /// The interval at which the peer is pinged; `None` for never. Default: 20 s, because proxies
    /// and address translators forget a connection after a minute of silence, and some after half a
    /// minute.
    pub ping_interval: Option<Duration>,
    /// How long the peer may stay silent after a ping before it is considered dead. Any byte
    /// received counts as an answer. Default: 20 s, so that a phone keeps its connection if it
    /// leaves a tunnel by then.
    pub pong_timeout: Duration,
    /// How many bytes may be unsent before only the newest pong is kept (RFC 6455 §5.5.3 allows
    /// that). This bounds the cost of a peer that pings and does not read. Default: 64 KiB, which
    /// is thousands of pongs, more than any peer waits for.
    pub pong_mark: usize,
    /// How long the peer may take to answer a close frame, and then to close the transport.
    /// Default: 5 s: many round trips, for a step that achieves no more than a clean end.
    ///
    /// The timeout is extended while the peer is still busy taking what was sent before the close
    /// frame: always if it takes a kilobyte per second, and otherwise so often that closing takes
    /// at most 24 timeouts, which is two minutes by default. So closing ends in time, whatever the
    /// peer does.
    pub close_timeout: Duration,
}

impl Config {
    /// Sets [`max_message_size`](field@Self::max_message_size).
    #[must_use]
    pub const fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// Sets [`max_empty_fragments`](field@Self::max_empty_fragments).
    #[must_use]
    pub const fn max_empty_fragments(mut self, count: u16) -> Self {
        self.max_empty_fragments = count;
        self
    }

    /// Sets [`max_head_size`](field@Self::max_head_size).
    #[must_use]
    pub const fn max_head_size(mut self, bytes: usize) -> Self {
        self.max_head_size = bytes;
        self
    }

    /// Sets [`max_headers`](field@Self::max_headers).
    #[must_use]
    pub const fn max_headers(mut self, count: usize) -> Self {
        self.max_headers = count;
        self
    }

    /// Sets [`ping_interval`](field@Self::ping_interval).
    #[must_use]
    pub const fn ping_interval(mut self, interval: Option<Duration>) -> Self {
        self.ping_interval = interval;
        self
    }

    /// Sets [`pong_timeout`](field@Self::pong_timeout).
    #[must_use]
    pub const fn pong_timeout(mut self, timeout: Duration) -> Self {
        self.pong_timeout = timeout;
        self
    }

    /// Sets [`pong_mark`](field@Self::pong_mark).
    #[must_use]
    pub const fn pong_mark(mut self, bytes: usize) -> Self {
        self.pong_mark = bytes;
        self
    }

    /// Sets [`close_timeout`](field@Self::close_timeout).
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_message_size: 1 << 20,
            max_empty_fragments: 32,
            max_head_size: 16 << 10,
            max_headers: 100,
            ping_interval: Some(Duration::from_secs(20)),
            pong_timeout: Duration::from_secs(20),
            pong_mark: 64 << 10,
            close_timeout: Duration::from_secs(5),
        }
    }
}
