//! [`Options`]: the limits of the driver, beside those of the protocol.

use std::time::Duration;

use prism_core::Config;

/// The limits of a connection, each with a default that is safe on the open internet.
///
/// ```
/// let mut options = prism_driver::Options::default();
/// options.protocol.max_message_size = 16 << 20;
/// options.high_water_mark = 256 << 10;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The limits and intervals of the protocol.
    pub protocol: Config,
    /// How long a client may take to find and reach a server, over all its addresses. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long a handshake may take in all. Default: 10 s.
    pub handshake_timeout: Duration,
    /// How many unsent bytes a connection may hold before senders wait; it may be exceeded by one
    /// message. Default: 64 KiB.
    pub high_water_mark: usize,
    /// How long the peer may take no byte of what is to be sent. Default: 30 s.
    pub write_timeout: Duration,
    /// How many connections a server has at once, handshakes included; further ones wait in the
    /// operating system's queue. Default: 65,536.
    pub max_connections: usize,
    /// How long a server that shuts down waits for its connections to end. Default: 10 s.
    pub shutdown_grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            protocol: Config::default(),
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            high_water_mark: 64 << 10,
            write_timeout: Duration::from_secs(30),
            max_connections: 65_536,
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

impl Options {
    /// The protocol's limits, with pongs held to the outbox's mark as well.
    pub(crate) fn config(&self) -> Config {
        let mut config = self.protocol.clone();
        config.pong_mark = config.pong_mark.min(self.high_water_mark);
        config
    }
}
