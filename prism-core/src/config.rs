//! [`Config`]: the limits and intervals of a connection.

use alloc::sync::Arc;
use core::time::Duration;

use crate::deflate::Deflate;

/// The limits and intervals of the WebSocket protocol, each with a default that is safe on the open
/// internet.
///
/// Each field has a setter of the same name, so that a configuration can be written as one
/// expression:
///
/// ```
/// use std::time::Duration;
/// # use prism_core::Config;
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
    /// The largest message accepted, in bytes, all its fragments together. A larger one ends the
    /// connection with 1009 as soon as a frame header announces it. Default: 1 MiB. Few messages
    /// are larger, and a thousand peers, each in the middle of a message, take at most 1 GiB of
    /// memory, or 1.5 GiB if the messages are fragmented. A [compressed](crate::deflate) message takes
    /// up to 2.2 times its limit.
    pub max_message_size: usize,
    /// How many consecutive empty fragments a message may have; one more ends the connection
    /// with 1008. An empty fragment costs its sender next to nothing and carries nothing. Default:
    /// 32, which is generous, because no sensible peer sends even two in a row. With 0, the first
    /// one is refused.
    pub max_empty_fragments: u16,
    /// The largest HTTP head (first line and headers) of a request or a response, in bytes. A
    /// server refuses a larger request with 431. A client fails with
    /// [`HandshakeError::HeadTooLarge`](crate::HandshakeError::HeadTooLarge), unless the response
    /// is a refusal. Default: 16 KiB, as in most servers: room for some large cookies and a token.
    pub max_head_size: usize,
    /// The largest number of header lines in a head; a value above 128 counts as 128. A head with
    /// more is refused like one that is too large
    /// ([`HandshakeError::TooManyHeaders`](crate::HandshakeError::TooManyHeaders)). Default: 100,
    /// as in most servers. A browser sends 15 to 20, and proxies add their own. Each line costs
    /// time whenever a header is looked up.
    pub max_headers: usize,
    /// The interval at which the peer is pinged, whether the connection is idle or busy; `None` for
    /// never. Zero counts as a millisecond. Default: 20 s, because proxies and NATs drop a
    /// connection after a minute of silence, and some after half a minute.
    pub ping_interval: Option<Duration>,
    /// How long the peer may stay silent after a ping before it is considered dead. Any byte
    /// received counts as an answer. Default: 20 s, so that a phone that loses its signal for a
    /// moment, as in a railway tunnel, keeps its connection.
    ///
    /// While more than [`pong_mark`](field@Self::pong_mark) bytes are unsent, no ping is sent. The peer
    /// is then considered dead if, for as long, nothing is received and the number of unsent bytes does
    /// not fall. If you use `prism-core` directly and fill the output up as fast as a peer reads it, call
    /// [`WebSocket::note_alive`](crate::WebSocket::note_alive).
    pub pong_timeout: Duration,
    /// While more than this many bytes of output are unsent, and more than a kilobyte of them are
    /// pongs, further pongs are held back, and only the newest is kept (RFC 6455 §5.5.3 allows
    /// that). This bounds the cost of a peer that pings and does not read. Default: 64 KiB, which
    /// is thousands of pongs, more than any peer needs.
    ///
    /// If you use `prism-core` directly: leave unsent bytes in the output, because
    /// [`Output::unsent_bytes`](crate::Output::unsent_bytes) is what counts. A caller that takes
    /// the bytes out and blocks until they are sent, as the [example of
    /// `prism-core`](crate#the-whole-loop) does, accumulates no pongs anyway.
    pub pong_mark: usize,
    /// How long the peer may take to answer a close frame, and then again to close the transport.
    /// Default: 5 s, which is many round trips. All that a longer wait could achieve is a clean
    /// end.
    ///
    /// A peer that is still reading what was sent before the close frame gets more time. If it
    /// reads at least 1 KiB per second, it gets as long as it needs. If it reads more slowly,
    /// closing takes at most 24 timeouts in all, which is two minutes by default. If it reads
    /// nothing, it gets no more time. What was sent before is finite, so closing always ends.
    pub close_timeout: Duration,
    /// How messages are compressed, if the peer agrees (RFC 7692); `None` for not at all. Default:
    /// `None`. Compression takes much time, and the length of what it sends says something about the
    /// content: see [`deflate`](crate::deflate#security).
    pub deflate: Option<Arc<Deflate>>,
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

    /// Sets [`deflate`](field@Self::deflate).
    #[must_use]
    pub fn deflate(mut self, deflate: Option<Arc<Deflate>>) -> Self {
        self.deflate = deflate;
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
            deflate: None,
        }
    }
}
