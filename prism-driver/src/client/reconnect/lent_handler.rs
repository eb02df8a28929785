//! [`LentHandler`]: a handler that serves one connection after the other.

use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use prism_core::Message;

use crate::{
    client::reconnect::{ended::Ended, handle::ReconnectHandle},
    connection::Connection,
    error::{Disconnect, Failure},
    handler::connection_handler::ConnectionHandler,
    runtime::{Runtime, notice::Deferring, wakeups::hold_wakeups},
};

/// A handler that is lent to a connection. When the connection has ended, its owner gets it back, and learns how long
/// the connection lived, how it ended, and what it did not write.
pub(super) struct LentHandler<H, R> {
    /// `None` only while this is dropped.
    lent: Option<(H, Life)>,
    runtime: R,
    handle: ReconnectHandle,
    opened_at: Duration,
    owner: Sender<(H, Life)>,
}

/// The life of a connection.
pub(super) struct Life {
    /// From the end of the handshake to the end of the connection.
    pub(super) span: Duration,
    pub(super) ended: Ended,
}

/// Waits for a handler that was lent.
pub(super) struct Loan<H> {
    returned: Receiver<(H, Life)>,
    connection: Connection,
}

/// What is left of a connection that has ended.
pub(super) struct Returned<H> {
    pub(super) handler: H,
    pub(super) life: Life,
    /// How many bytes the connection had accepted and not written.
    pub(super) unwritten: u64,
}

impl<H: ConnectionHandler, R: Runtime> LentHandler<H, R> {
    /// Lends a handler to a connection that has just been opened.
    pub(super) fn new(
        handler: H,
        connection: &Connection,
        runtime: R,
        handle: ReconnectHandle,
    ) -> (Self, Loan<H>) {
        let (owner, returned) = bounded(1);
        handle.opening(connection);
        let opened_at = runtime.now();
        // If `on_disconnect` does not run, the connection's task was dropped.
        let ended = Ended::Disconnected(Disconnect::Failed(Failure::TaskDropped));
        let lent = Some((handler, Life { span: Duration::ZERO, ended }));
        let loan = Loan { returned, connection: connection.clone() };
        (Self { lent, runtime, handle, opened_at, owner }, loan)
    }

    /// Returns the handle, and what is lent.
    fn split(&mut self) -> (&ReconnectHandle, &mut (H, Life)) {
        (&self.handle, self.lent.as_mut().expect("it is there until this is dropped"))
    }
}

impl<H> Loan<H> {
    /// Waits until the connection has dropped the handler. Cancel-safe.
    pub(super) async fn end(&self) -> Returned<H> {
        let returned = Deferring::new(self.returned.recv()).await;
        let (handler, life) =
            returned.expect("a lent handler is sent back before its channel is dropped");
        // The transport is gone, so this is final.
        Returned { handler, life, unwritten: self.connection.unwritten() }
    }
}

impl<H: ConnectionHandler, R: Runtime> ConnectionHandler for LentHandler<H, R> {
    async fn on_connect(&mut self, connection: &Connection) {
        let (handle, (handler, _)) = self.split();
        handle.callback(handler.on_connect(connection)).await;
        self.handle.opened();
    }

    fn on_message(
        &mut self,
        connection: &Connection,
        message: Message<'_>,
    ) -> impl Future<Output = ()> + Send {
        let (handle, (handler, _)) = self.split();
        handle.callback(handler.on_message(connection, message))
    }

    fn on_pong(
        &mut self,
        connection: &Connection,
        payload: &[u8],
    ) -> impl Future<Output = ()> + Send {
        let (handle, (handler, _)) = self.split();
        handle.callback(handler.on_pong(connection, payload))
    }

    fn on_wake(&mut self, connection: &Connection) -> impl Future<Output = ()> + Send {
        let (handle, (handler, _)) = self.split();
        handle.callback(handler.on_wake(connection))
    }

    fn on_disconnect(
        &mut self,
        connection: &Connection,
        reason: Disconnect,
    ) -> impl Future<Output = ()> + Send {
        // Not later: `on_disconnect` may take its time, and so may the end of the transport.
        let span = self.runtime.now().saturating_sub(self.opened_at);
        let is_aborted = matches!(reason, Disconnect::Failed(Failure::Aborted));
        let ended = if is_aborted || connection.outbox().is_closed_by_application() {
            Ended::Closed(Some(reason.clone()))
        } else {
            Ended::Disconnected(reason.clone())
        };
        let (handle, (handler, life)) = self.split();
        *life = Life { span, ended };
        handle.callback(handler.on_disconnect(connection, reason))
    }
}

impl<H, R> Drop for LentHandler<H, R> {
    fn drop(&mut self) {
        let _wakeups = hold_wakeups(); // the owner may be waiting
        self.handle.ended();
        if let Some(lent) = self.lent.take() {
            let _ = self.owner.try_send(lent); // fails if the owner is gone
        }
    }
}
