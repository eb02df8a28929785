//! [`Options`]: the limits of a connection, on either side. [`ServerOptions`](crate::ServerOptions) and
//! [`ClientOptions`](crate::ClientOptions) contain them, and add their own.

use std::time::Duration;

use prism_core::Config;

use crate::session::write_progress::WriteLimits;

pub(crate) mod client;
pub(crate) mod rate;
pub(crate) mod server;
pub(crate) mod when_slow;

use crate::options::rate::Rate;

/// The limits of a connection, each with a default that is safe on the open internet.
///
/// Each field has a setter of the same name, and so has each limit of the [protocol](Self::protocol):
///
/// ```
/// use std::time::Duration;
///
/// let options = prism_driver::Options::default()
///     .max_message_size(16 << 20)
///     .ping_interval(Some(Duration::from_secs(45)))
///     .high_water_mark(256 << 10);
/// assert_eq!(options.protocol.max_message_size, 16 << 20);
/// ```
///
/// A server takes these with limits of its own, as [`ServerOptions`](crate::ServerOptions), and a client as
/// [`ClientOptions`](crate::ClientOptions). Both can be made `from` these.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The limits and intervals of the protocol.
    pub protocol: Config,
    /// The time limit of a handshake as a whole, however slowly its bytes arrive. Default: 10 s: enough for a few lost
    /// packets on a slow line, and no more, because other handshakes may be waiting for the place.
    pub handshake_timeout: Duration,
    /// How many unsent bytes a connection may hold before senders wait. One message may exceed it. Default: 64 KiB,
    /// which, together with what the operating system holds, keeps a fast line busy.
    ///
    /// The size of a message that is sent has no limit of its own
    /// ([`max_message_size`](Config::max_message_size) is for messages received), so what one connection holds is
    /// bounded by this mark and the largest message that you send. What all connections of a server hold is bounded
    /// by [`ServerOptions::max_buffered`](crate::ServerOptions::max_buffered).
    pub high_water_mark: usize,
    /// How long the operating system may accept no byte of a page or a message, because the peer reads nothing.
    /// Default: 30 s: longer than a train is in most tunnels, and short enough that a peer that does not read is not
    /// kept in memory for long. (What a transport buffers itself, as TLS does, counts as taken once it has been
    /// flushed completely.)
    pub write_timeout: Duration,
    /// How many bytes per second the peer has to take at least while a page or messages are waiting for it; 0 for
    /// no minimum. The rate is measured over windows as long as the [write timeout](Self::write_timeout): with the
    /// defaults, 7,200 bytes in each 30 s. Default: 240, which is also the minimum of Kestrel and of IIS: slower
    /// than any line in use, and fast enough to drain 64 KiB in five minutes.
    ///
    /// The write timeout alone would allow a byte every 29 s, for ever, while everything that waits stays in memory.
    /// What the operating system accepts counts in the window in which it accepts it. It accepts large pieces and
    /// then nothing for a while, so shorter windows would misjudge good peers.
    pub min_write_rate: usize,
    /// How many messages a server accepts from each of its connections; `None` for no limit. Default: `None`: what
    /// is too much depends on the application, and a slow handler slows its peer down by itself. Clients ignore it.
    ///
    /// A peer that sends more is not read from until its next message may be taken: it has to wait, and nothing is
    /// lost. (Its pings and its close frame wait as well, as they do while a handler runs. As then, the buffer that
    /// holds the message is kept: 64 KiB, or what the message needs.) The connection is not closed for it, because
    /// most peers that send too much at once have just come back from a tunnel. A handler that would rather close
    /// can count messages itself, and close.
    pub message_rate: Option<Rate>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            protocol: Config::default(),
            handshake_timeout: Duration::from_secs(10),
            high_water_mark: 64 << 10,
            write_timeout: Duration::from_secs(30),
            min_write_rate: 240,
            message_rate: None,
        }
    }
}

impl Options {
    /// Sets [`protocol`](field@Self::protocol), that is, all of the protocol's limits at once.
    #[must_use]
    pub fn protocol(mut self, protocol: Config) -> Self {
        self.protocol = protocol;
        self
    }

    /// Sets [`handshake_timeout`](field@Self::handshake_timeout).
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Sets [`high_water_mark`](field@Self::high_water_mark).
    #[must_use]
    pub fn high_water_mark(mut self, bytes: usize) -> Self {
        self.high_water_mark = bytes;
        self
    }

    /// Sets [`write_timeout`](field@Self::write_timeout).
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// Sets [`min_write_rate`](field@Self::min_write_rate).
    #[must_use]
    pub fn min_write_rate(mut self, bytes_per_second: usize) -> Self {
        self.min_write_rate = bytes_per_second;
        self
    }

    /// Sets [`message_rate`](field@Self::message_rate).
    #[must_use]
    pub fn message_rate(mut self, rate: Option<Rate>) -> Self {
        self.message_rate = rate;
        self
    }

    /// Returns the protocol's limits, with pongs limited by the high-water mark as well.
    pub(crate) fn config(&self) -> Config {
        let mut config = self.protocol.clone();
        config.pong_mark = config.pong_mark.min(self.high_water_mark);
        config
    }

    /// Returns how slowly a peer may take what is sent to it.
    pub(crate) const fn write_limits(&self) -> WriteLimits {
        WriteLimits { timeout: self.write_timeout, min_rate: self.min_write_rate }
    }
}

/// Setters for the limits of the [protocol](Self::protocol).
impl Options {
    /// Sets [`Config::max_message_size`].
    #[must_use]
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.protocol.max_message_size = bytes;
        self
    }

    /// Sets [`Config::max_empty_fragments`].
    #[must_use]
    pub fn max_empty_fragments(mut self, count: u16) -> Self {
        self.protocol.max_empty_fragments = count;
        self
    }

    /// Sets [`Config::max_head_size`].
    #[must_use]
    pub fn max_head_size(mut self, bytes: usize) -> Self {
        self.protocol.max_head_size = bytes;
        self
    }

    /// Sets [`Config::max_headers`].
    #[must_use]
    pub fn max_headers(mut self, count: usize) -> Self {
        self.protocol.max_headers = count;
        self
    }

    /// Sets [`Config::ping_interval`].
    #[must_use]
    pub fn ping_interval(mut self, interval: Option<Duration>) -> Self {
        self.protocol.ping_interval = interval;
        self
    }

    /// Sets [`Config::pong_timeout`].
    #[must_use]
    pub fn pong_timeout(mut self, timeout: Duration) -> Self {
        self.protocol.pong_timeout = timeout;
        self
    }

    /// Sets [`Config::pong_mark`].
    #[must_use]
    pub fn pong_mark(mut self, bytes: usize) -> Self {
        self.protocol.pong_mark = bytes;
        self
    }

    /// Sets [`Config::close_timeout`].
    #[must_use]
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.protocol.close_timeout = timeout;
        self
    }
}
