//! [`Handler`]: what an application does with its connections.

use std::sync::Arc;

use prism_core::Message;

use crate::{connection::Connection, error::Disconnect, options::when_slow::WhenSlow};

/// What an application does with the connections of a route. One instance serves them all.
///
/// Write plain `async fn`s:
///
/// ```
/// use prism_driver::{Connection, Handler, Message};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     async fn on_message(&self, connection: &Connection, message: Message<'_>) {
///         let _ = connection.send(message).await; // fails only if the connection is closing
///     }
/// }
/// ```
///
/// What may be relied on is [the contract](crate#the-contract). An `Arc` of a handler is a handler
/// too, so that you can keep one to call your own methods from elsewhere.
pub trait Handler: Send + Sync + 'static {
    /// What becomes of messages for a peer that does not keep up. Asked once, before all else; by
    /// default, [`send`](Connection::send) waits. After a panic in here nothing else of the handler is
    /// called, and the connection is closed with 1011.
    fn when_slow(&self, connection: &Connection) -> WhenSlow {
        let _ = connection;
        WhenSlow::Wait
    }

    /// A connection is open. Runs before any message; may send.
    fn on_connect(&self, connection: &Connection) -> impl Future<Output = ()> + Send {
        let _ = connection;
        async {}
    }

    /// A message has come. While this runs, nothing more is read from this connection.
    fn on_message(
        &self,
        connection: &Connection,
        message: Message<'_>,
    ) -> impl Future<Output = ()> + Send;

    /// The connection is over. Runs once, last.
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
