//! [`Options`]: the limits of a connection, on either side. [`ServerOptions`](crate::ServerOptions) and
//! [`ClientOptions`](crate::ClientOptions) contain them, and add their own.

use std::{sync::Arc, time::Duration};

use prism_core::{Config, deflate::Deflate};

use crate::{
    options::{rate::Rate, when_slow::WhenSlow},
    session::write_progress::WriteLimits,
};

pub(crate) mod client;
pub(crate) mod rate;
pub(crate) mod server;
pub(crate) mod when_slow;

/// The limits of a connection, each with a default that is safe on the open internet.
///
/// Each field has a setter of the same name, and so has each limit of the [protocol](Self::protocol):
///
/// ```
/// # use prism_driver::Options;
/// use std::time::Duration;
///
/// let options = Options::default()
///     .max_message_size(16 << 20)
///     .ping_interval(Some(Duration::from_secs(45)))
///     .high_water_mark(256 << 10);
/// assert_eq!(options.protocol.max_message_size, 16 << 20);
/// ```
///
/// [`ServerOptions`](crate::ServerOptions) and [`ClientOptions`](crate::ClientOptions) contain these, and add the
/// limits of a server or a client. Both implement `From<Options>`.
#[derive(Clone, Debug)]
#[doc(alias = "WebSocketConfig")]
#[non_exhaustive]
pub struct Options {
    /// The limits and intervals of the protocol.
    pub protocol: Config,
    /// The time limit of a handshake as a whole, however slowly its bytes arrive. Default: 10 s. This is enough for a
    /// few lost packets on a slow link, and no more, because other handshakes may be waiting.
    pub handshake_timeout: Duration,
    /// The number of unsent bytes at which senders have to wait. Below this mark, a message of any size is accepted, so
    /// the last one may exceed it. Default: 64 KiB, which, together with the buffers of the operating system, keeps a
    /// fast link busy. Zero counts as one.
    ///
    /// Messages that you send have no size limit ([`max_message_size`](Config::max_message_size) is for those
    /// received), so what one connection holds is bounded by the sum of this mark, the largest message that you send,
    /// and about a kilobyte of control frames. A [pong mark](Config::pong_mark) above this mark counts as this mark.
    /// What all connections of a server hold is bounded by
    /// [`ServerOptions::max_buffered`](crate::ServerOptions::max_buffered).
    pub high_water_mark: usize,
    /// How long a peer may go without taking any of the page or the messages that wait for it, that is, without the
    /// operating system accepting more bytes. Then the connection [fails](crate::Failure::WriteStalled). Default: 30 s.
    /// Most trains have left their tunnel by then, and data for a peer that does not read is not kept in memory for
    /// long. (Bytes that a transport buffers itself, as TLS does, count as taken once all of them have been flushed.)
    pub write_timeout: Duration,
    /// The minimum rate, in bytes per second, at which the peer has to take data while a page or messages wait for it;
    /// 0 for no minimum. The rate is measured over windows as long as the [write timeout](Self::write_timeout): with
    /// the defaults, the peer has to take 7,200 bytes in each 30 s. Default: 240, which is also the minimum of Kestrel
    /// and of IIS. Any link in use is faster, and at this rate 64 KiB are drained in five minutes.
    ///
    /// The write timeout alone would allow one byte every 29 s, forever, while everything else that waits stays in
    /// memory. Bytes count in the window in which the operating system accepts them. It accepts large pieces and then
    /// nothing for a while, so shorter windows would misjudge good peers.
    pub min_write_rate: usize,
    /// The rate at which a server handles the messages of each connection; `None` for no limit. Default: `None`,
    /// because how much is too much depends on the application, and a slow handler slows its peer down anyway. Clients
    /// ignore it.
    ///
    /// If a peer sends faster, its next message waits until the rate allows it, and nothing more is read until then.
    /// Nothing is lost. (Such a wait is like a slow handler: the peer's pings and its close frame wait as well, its
    /// silence is not held against it, and the buffer that holds the message stays allocated, which is 64 KiB, or up to
    /// 1.1 MiB while long messages arrive.) The connection is not closed, because most peers that send too much at
    /// once were merely offline for a moment. A handler that would rather close it can count messages itself.
    pub message_rate: Option<Rate>,
    /// The policy for messages to a peer that does not keep up. Default: [`WhenSlow::Wait`], that is,
    /// [`send`](crate::Connection::send) waits for room. To choose a policy for a single connection, call
    /// [`Connection::set_when_slow`](crate::Connection::set_when_slow), for instance in `on_connect`.
    pub when_slow: WhenSlow,
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
            when_slow: WhenSlow::Wait,
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

    /// Sets [`when_slow`](field@Self::when_slow).
    #[must_use]
    pub fn when_slow(mut self, policy: WhenSlow) -> Self {
        self.when_slow = policy;
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

    /// Compresses messages from the [threshold](Deflate::threshold) on (512 bytes by default), if the peer agrees
    /// (permessage-deflate, RFC 7692). Sets [`Config::deflate`]. Default: off, because compression takes time, and
    /// because the length of a compressed message tells something about its content. [The guide to
    /// compression](crate::docs::compression) shows when it pays.
    ///
    /// A server accepts the offers of clients, and a client makes an offer. [`Deflate`] lists the settings, with the
    /// reasons for their defaults:
    ///
    /// ```
    /// # #[cfg(feature = "deflate")] {
    /// # use prism_driver::{Deflate, Options};
    /// let usual = Options::default().compression(Deflate::default());
    /// let small = Options::default().compression(Deflate::default().with_takeover());
    /// # }
    /// ```
    ///
    /// [`Connection::compression`](crate::Connection::compression) returns what was agreed, and a
    /// [`Plain`](crate::Plain) message is never compressed.
    #[doc(alias("deflate", "permessage-deflate"))]
    #[must_use]
    pub fn compression(mut self, deflate: Deflate) -> Self {
        self.protocol.deflate = Some(Arc::new(deflate));
        self
    }
}
