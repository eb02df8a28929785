//! [`ClientOptions`]: the limits of a client.

use std::time::Duration;

use crate::options::Options;

/// The limits of a client: those of its connection, and a timeout for connecting.
///
/// ```
/// use std::time::Duration;
/// # use prism_driver::{ClientOptions, Options};
/// let connection = Options::default().max_message_size(16 << 20);
/// let options = ClientOptions::from(connection).connect_timeout(Duration::from_secs(3));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientOptions {
    /// The limits of the connection.
    pub connection: Options,
    /// How long a client may take to resolve a server's name and to reach the server, over all its addresses. With a
    /// [proxy](crate::Client::proxy), that includes the proxy's answer. Default: 10 s. On a bad link the operating
    /// system sends the first packet again after one second, and once more after another two; this leaves time for
    /// both.
    pub connect_timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Options::default().into()
    }
}

/// The defaults, with these limits of the connection.
impl From<Options> for ClientOptions {
    fn from(connection: Options) -> Self {
        Self { connection, connect_timeout: Duration::from_secs(10) }
    }
}

impl ClientOptions {
    /// Sets [`connection`](field@Self::connection), that is, all limits of the connection at once.
    #[must_use]
    pub fn connection(mut self, options: Options) -> Self {
        self.connection = options;
        self
    }

    /// Sets [`connect_timeout`](field@Self::connect_timeout).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }
}
