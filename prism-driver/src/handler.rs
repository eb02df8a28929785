//! [`Handler`]: the application's callbacks, shared by all connections of a route.

use std::sync::Arc;

use prism_core::Message;

use crate::{connection::Connection, error::Disconnect};

pub(crate) mod connection_handler;
#[cfg(feature = "tracing")]
pub(crate) mod traced;

/// The application's callbacks for the connections of a route. One instance serves them all. For handlers with state of
/// their own for each connection, see [`ConnectionHandler`](crate::ConnectionHandler).
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
///
/// # When it does not compile
///
/// A handler runs on any thread of the runtime, so its futures have to be `Send`. The error "future cannot be sent
/// between threads safely" means that a method holds a value that is not `Send` across an `.await`. The error names the
/// value, which is usually one of these:
///
/// - A guard of a `std::sync::Mutex`. Release it before you await, by ending its scope: a call to `drop` is not always
///   enough. If you only send under the lock, use [`try_send`](Connection::try_send), which needs no `.await`. (If a
///   guard could be held across an `.await`, all other connections would wait for this connection's peer.)
/// - An `Rc`, a borrowed `RefCell`, or a `Box<dyn Error>`. Use an `Arc`, a `Mutex`, or a
///   `Box<dyn Error + Send + Sync>`.
///
/// The same is true of a [`ConnectionHandler`](crate::ConnectionHandler), and of the futures of
/// [`socket`](crate::socket), [`authorize`](crate::Server::authorize) and [pages](crate::Server::get). The functions
/// that make these futures are called again and again, and the futures of several calls may run at the same time. So
/// such a function can neither give away nor lend what it has captured. "Cannot move out of [...] a captured variable
/// in an `Fn` closure" and "async closure does not implement `Fn` because it captures state" mean that it would. Clone
/// the value for each call, and move the clone into the future:
///
/// ```
/// # use std::sync::Arc;
/// # use prism_driver::{Network, Server, Socket, socket};
/// # struct Database;
/// # async fn play(_: Socket, _: Arc<Database>) {}
/// # fn example(server: Server<impl Network>, database: Arc<Database>) {
/// let server = server.websocket(
///     "/play",
///     socket(move |socket| {
///         let database = database.clone();
///         async move { play(socket, database).await }
///     }),
/// );
/// # }
/// ```
#[doc(alias("Actor", "Service", "callback"))]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Handler`",
    note = "implement `Handler`, whose only required method is `on_message`",
    note = "connections can share an `Arc` of a handler, but not a reference to one"
)]
pub trait Handler: Send + Sync + 'static {
    /// Handles the opening of a connection. This runs before any message is handled, and may send messages itself. The
    /// [headers](Connection::header) of the request are available until it returns.
    fn on_connect(&self, connection: &Connection) -> impl Future<Output = ()> + Send {
        let _ = connection;
        async {}
    }

    /// Handles a message. **Do not wait here for another message from this peer**, such as the answer to a request:
    /// nothing more is read from the connection until this returns, so the wait would never end. Wait in another task
    /// instead, as [Request and answer](crate::docs::request_and_answer) shows.
    ///
    /// While this runs, the peer's pings wait as well, but the keepalive does not count the peer as silent. A panic
    /// ends the connection with 1011.
    fn on_message(
        &self,
        connection: &Connection,
        message: Message<'_>,
    ) -> impl Future<Output = ()> + Send;

    /// Handles the pong that answers a [ping](Connection::ping) of the application, with the payload of that ping.
    /// Pongs that answer the keepalive's pings are not reported, nor are unsolicited ones. For the round-trip time, see
    /// [`Connection::latency`].
    fn on_pong(&self, connection: &Connection, payload: &[u8]) -> impl Future<Output = ()> + Send {
        let _ = (connection, payload);
        async {}
    }

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

    fn on_pong(&self, connection: &Connection, payload: &[u8]) -> impl Future<Output = ()> + Send {
        H::on_pong(self, connection, payload)
    }

    fn on_disconnect(
        &self,
        connection: &Connection,
        reason: Disconnect,
    ) -> impl Future<Output = ()> + Send {
        H::on_disconnect(self, connection, reason)
    }
}
