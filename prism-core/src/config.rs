//! [`Config`]: the limits and intervals of a connection.

use core::time::Duration;

/// The limits and intervals of a connection, each with a default that is safe on the open internet.
///
/// ```
/// let mut config = prism_core::Config::default();
/// config.max_message_size = 16 << 20;
/// config.ping_interval = None;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The largest message accepted, in bytes, all fragments together; a larger one ends the
    /// connection with 1009 as soon as a header announces it. Default: 1 MiB: more than messages
    /// usually have, and a thousand peers in the middle of one hold a gigabyte at most, or half as much
    /// again if it comes in fragments.
    pub max_message_size: usize,
    /// How many empty fragments may follow each other in a message before the connection ends with
    /// 1008. They cost the sender next to nothing and bring nothing. Default: 32, although nobody has
    /// a use for two.
    pub max_empty_fragments: u16,
    /// The largest request or response head, in bytes; a larger one is refused with 431. Default: 16
    /// KiB, as most servers have it: there is room for some large cookies and a token.
    pub max_head_size: usize,
    /// How many header lines a head may have, 128 at most; a head with more is refused with 431.
    /// Default: 100, as most servers have it. A browser sends fifteen to twenty, and proxies add their
    /// own to that; each costs time whenever a header is looked for.
    pub max_headers: usize,
    /// How often the peer is pinged; `None` for never. Default: 20 s: proxies and address translators
    /// forget a connection that was idle for a minute, some for half of one.
    pub ping_interval: Option<Duration>,
    /// How long after a ping something must be heard, of any kind, before the peer is taken for
    /// dead. Default: 20 s: the phone that comes out of a tunnel sooner keeps its connection.
    pub pong_timeout: Duration,
    /// How many bytes may be unsent before only the newest pong is kept (RFC 6455 §5.5.3 allows it):
    /// the most that a peer costs that pings and does not read. Default: 64 KiB, thousands of pongs:
    /// nobody waits for so many.
    pub pong_mark: usize,
    /// How long the peer may take to answer a close frame and to close the transport. Default: 5 s:
    /// many round trips, for something that brings no more than a good ending.
    ///
    /// A peer that is still busy taking what was sent before the close frame has this long again and
    /// again: as long as it takes a kilobyte a second, and if it takes less, 24 times at most, which is
    /// two minutes. So closing ends in time, whatever the peer does.
    pub close_timeout: Duration,
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
