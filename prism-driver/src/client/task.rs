//! [`ConnectionTask`]: a connection of a client that runs a handler in a task of its own.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_channel::{Receiver, Sender};
use futures_util::Stream;

use crate::{
    connection::Connection,
    error::{Disconnect, Failure},
    runtime::{notice::DeferredWaker, wakeups::hold_wakeups},
};

/// A client's connection that runs with its handler in a task of its own; see [`Client::spawn`](crate::Client::spawn).
///
/// This is a future. It is ready when `on_disconnect` has returned and the transport has ended, and returns how the
/// connection ended. Awaiting it is cancel-safe: if you drop it, the connection goes on.
///
/// ```no_run
/// # use prism_driver::{Client, CloseCode, ConnectError, ConnectionHandler, Network};
/// # async fn example<N: Network>(client: Client<N>, handler: impl ConnectionHandler) -> Result<(), ConnectError> {
/// let task = client.spawn(handler).await?;
/// let connection = task.connection().clone(); // to send from elsewhere
/// connection.close(CloseCode::NORMAL, "");
/// println!("{}", task.await);
/// # Ok(()) }
/// ```
#[must_use = "await it to learn how the connection ends"]
pub struct ConnectionTask {
    connection: Connection,
    ended: Pin<Box<Receiver<Disconnect>>>,
    waker: Arc<DeferredWaker>,
}

/// Tells a [`ConnectionTask`] how its connection ended. Owned by the task that runs the connection.
pub(crate) struct EndNotifier(Sender<Disconnect>);

impl ConnectionTask {
    pub(crate) fn new(connection: Connection) -> (Self, EndNotifier) {
        let (sender, ended) = async_channel::bounded(1);
        (Self { connection, ended: Box::pin(ended), waker: Arc::default() }, EndNotifier(sender))
    }

    /// Returns the connection's handle. Clone it to send from elsewhere.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Future for ConnectionTask {
    type Output = Disconnect;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Disconnect> {
        let Self { ended, waker, .. } = &mut *self;
        let reason = waker.poll(cx, |cx| ended.as_mut().poll_next(cx));
        // No reason was sent if the connection's task was dropped, for instance together with its runtime.
        reason.map(|reason| reason.unwrap_or(Disconnect::Failed(Failure::TaskDropped)))
    }
}

impl Drop for ConnectionTask {
    fn drop(&mut self) {
        let _wakeups = hold_wakeups(); // closing wakes the waker that this has left
        self.ended.close();
    }
}

impl EndNotifier {
    pub(crate) fn notify(&self, reason: Disconnect) {
        let _wakeups = hold_wakeups(); // a task may be waiting
        let _ = self.0.try_send(reason); // fails if no task will ever wait
    }
}

impl Drop for EndNotifier {
    fn drop(&mut self) {
        let _wakeups = hold_wakeups(); // a task may be waiting
        self.0.close();
    }
}

impl fmt::Debug for ConnectionTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConnectionTask").field(&self.connection).finish()
    }
}
