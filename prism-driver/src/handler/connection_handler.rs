//! [`ConnectionHandler`]: the application's callbacks for one connection, with a state of its own.

use prism_core::Message;

use crate::{connection::Connection, error::Disconnect, handler::Handler};

/// The application's callbacks for a single connection: a [`Handler`] with `&mut self`, whose fields are the state of
/// its connection.
///
/// On a server, [`per_connection`](crate::per_connection) makes one for each connection of a route:
///
/// ```no_run
/// # use prism_driver::{Connection, ConnectionHandler, Message, Network, Server, per_connection};
/// #[derive(Default)]
/// struct Counter {
///     received: u64,
/// }
///
/// impl ConnectionHandler for Counter {
///     async fn on_message(&mut self, connection: &Connection, _: Message<'_>) {
///         self.received += 1;
///         let _ = connection.send(self.received.to_string()).await; // fails only if the connection is closing
///     }
/// }
///
/// # fn example(server: Server<impl Network>) {
/// let server = server.websocket("/count", per_connection(|_| Counter::default()));
/// # }
/// ```
///
/// [The contract](crate#the-contract) is that of a [`Handler`]: one method runs at a time, so no lock is needed. The
/// handler is part of the connection's task, and takes only the memory of its fields. It is dropped after
/// [`on_disconnect`](Self::on_disconnect), or together with that task.
///
/// Every [`Handler`] is a `ConnectionHandler` too, so functions that run a single connection, such as
/// [`Client::run`](crate::Client::run), take either. Errors about `Send` have the same causes as with a `Handler`; see
/// [When it does not compile](Handler#when-it-does-not-compile).
///
/// # Messages from elsewhere
///
/// To send to the *peer*, other tasks use the [`Connection`]. To tell the *handler* something, give it the receiving
/// end of a channel, and call [`Connection::wake`] after each message. Then [`on_wake`](Self::on_wake) runs, never
/// at the same time as another method. The function that makes the handler also makes the channel, and keeps the
/// sending end where other tasks find it, until the connection is over:
///
/// ```
/// # use std::{collections::HashMap, sync::{Arc, Mutex, mpsc::{Receiver, Sender, channel}}};
/// # use prism_driver::{Connection, ConnectionHandler, ConnectionId, Message, Network, Server, per_connection};
/// enum Order {
///     Move { x: i32, y: i32 },
/// }
///
/// struct Player {
///     orders: Receiver<Order>,
///     position: (i32, i32),
/// }
///
/// impl ConnectionHandler for Player {
///     async fn on_message(&mut self, _: &Connection, _: Message<'_>) {}
///
///     async fn on_wake(&mut self, connection: &Connection) {
///         while let Ok(Order::Move { x, y }) = self.orders.try_recv() {
///             self.position = (self.position.0 + x, self.position.1 + y);
///         }
///         let _ = connection.send(format!("{:?}", self.position)).await;
///     }
/// }
///
/// type Players = Arc<Mutex<HashMap<ConnectionId, (Connection, Sender<Order>)>>>;
///
/// fn open(connection: &Connection, players: &Players) -> Player {
///     let (sender, orders) = channel();
///     let id = connection.id();
///     players.lock().unwrap().insert(id, (connection.clone(), sender));
///     let players = players.clone();
///     connection.on_end(move || drop(players.lock().unwrap().remove(&id)));
///     Player { orders, position: (0, 0) }
/// }
///
/// /// Can be called from any task or thread.
/// fn order(players: &Players, id: ConnectionId, order: Order) {
///     if let Some((connection, orders)) = players.lock().unwrap().get(&id) {
///         let _ = orders.send(order); // fails only if the connection is over
///         connection.wake();
///     }
/// }
///
/// # fn example(server: Server<impl Network>) {
/// let players = Players::default();
/// let ours = players.clone();
/// let server = server.websocket("/play", per_connection(move |connection| open(connection, &ours)));
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a `ConnectionHandler` nor a `Handler`",
    note = "implement one of them; the only required method is `on_message`",
    note = "connections can share an `Arc` of a `Handler`, but not a reference to one"
)]
pub trait ConnectionHandler: Send + 'static {
    /// Handles the opening of the connection; see [`Handler::on_connect`].
    fn on_connect(&mut self, connection: &Connection) -> impl Future<Output = ()> + Send {
        let _ = connection;
        async {}
    }

    /// Handles a message. Do not wait here for another message from this peer; see [`Handler::on_message`].
    fn on_message(
        &mut self,
        connection: &Connection,
        message: Message<'_>,
    ) -> impl Future<Output = ()> + Send;

    /// Handles the pong that answers a [ping](Connection::ping) of the application; see [`Handler::on_pong`].
    fn on_pong(
        &mut self,
        connection: &Connection,
        payload: &[u8],
    ) -> impl Future<Output = ()> + Send {
        let _ = (connection, payload);
        async {}
    }

    /// Handles the calls of [`Connection::wake`]; see [Messages from elsewhere](Self#messages-from-elsewhere). Runs
    /// once for all calls since it last began, before the next message is handled. A call has no effect once the
    /// connection is closing.
    fn on_wake(&mut self, connection: &Connection) -> impl Future<Output = ()> + Send {
        let _ = connection;
        async {}
    }

    /// Handles the end of the connection; see [`Handler::on_disconnect`].
    fn on_disconnect(
        &mut self,
        connection: &Connection,
        reason: Disconnect,
    ) -> impl Future<Output = ()> + Send {
        let _ = (connection, reason);
        async {}
    }
}

#[diagnostic::do_not_recommend]
impl<H: Handler> ConnectionHandler for H {
    fn on_connect(&mut self, connection: &Connection) -> impl Future<Output = ()> + Send {
        H::on_connect(self, connection)
    }

    fn on_message(
        &mut self,
        connection: &Connection,
        message: Message<'_>,
    ) -> impl Future<Output = ()> + Send {
        H::on_message(self, connection, message)
    }

    fn on_pong(
        &mut self,
        connection: &Connection,
        payload: &[u8],
    ) -> impl Future<Output = ()> + Send {
        H::on_pong(self, connection, payload)
    }

    fn on_disconnect(
        &mut self,
        connection: &Connection,
        reason: Disconnect,
    ) -> impl Future<Output = ()> + Send {
        H::on_disconnect(self, connection, reason)
    }
}
