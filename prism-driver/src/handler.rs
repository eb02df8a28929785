//! [`Handler`]: the application's callbacks.

use std::sync::Arc;

use prism_core::Message;

use crate::{connection::Connection, error::Disconnect, options::when_slow::WhenSlow};

/// The application's callbacks for the connections of a route. One instance serves them all.
///
/// Write plain `async fn`s:
///
/// ```
/// # use prism_driver::{Connection, Handler, Message};
/// struct Echo;
///
/// impl Handler for Echo {
///     async fn on_message(&self, connection: &Connection, message: Message<'_>) {
///         let _ = connection.send(message).await; // fails only if the connection is closing
///     }
/// }
/// ```
///
/// [The contract](crate#the-contract) states when these methods run, and what they can rely on.
///
/// An `Arc` of a handler is a handler too. Keep a clone of it to call your own methods from elsewhere.
pub trait Handler: Send + Sync + 'static {
    /// Returns the policy for messages to a peer that does not keep up. By default, [`send`](Connection::send) waits.
    ///
    /// Called once for each connection, before all other methods. If it panics, none of those is called for the
    /// connection, which is closed with 1011.
    fn when_slow(&self, connection: &Connection) -> WhenSlow {
        let _ = connection;
        WhenSlow::Wait
    }

    /// Handles the opening of a connection. This runs before any message is handled, and may send messages itself. The
    /// [headers](Connection::header) of the request are available until it returns.
    fn on_connect(&self, connection: &Connection) -> impl Future<Output = ()> + Send {
        let _ = connection;
        async {}
    }

    /// Handles a message. While this runs, nothing more is read from this connection, not even a pong, but the
    /// keepalive does not count the peer as silent meanwhile. A panic ends the connection with 1011.
    fn on_message(
        &self,
        connection: &Connection,
        message: Message<'_>,
    ) -> impl Future<Output = ()> + Send;

    /// Handles the end of a connection. If `on_connect` ran, this runs exactly once, after all other methods, even if
    /// one of them panicked. It does not run if the connection's task is dropped, or if the
    /// [transport](crate::Transport) panics while it reads.
    fn on_disconnect(
        &self,
        connection: &Connection,
        reason: Disconnect,
    ) -> impl Future<Output = ()> + Send {
        let _ = (connection, reason);
        async {}
    }
}

impl<H: Handler> Handler for Arc<H> {
    fn when_slow(&self, connection: &Connection) -> WhenSlow {
        H::when_slow(self, connection)
    }

    fn on_connect(&self, connection: &Connection) -> impl Future<Output = ()> + Send {
        H::on_connect(self, connection)
    }

    fn on_message(
        &self,
        connection: &Connection,
        message: Message<'_>,
    ) -> impl Future<Output = ()> + Send {
        H::on_message(self, connection, message)
    }

    fn on_disconnect(
        &self,
        connection: &Connection,
        reason: Disconnect,
    ) -> impl Future<Output = ()> + Send {
        H::on_disconnect(self, connection, reason)
    }
}
