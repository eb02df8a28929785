//! [`ReconnectHandle`]: the handle of a client that reconnects.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::Poll,
};

use futures_lite::future::or;
use prism_core::{CloseCode, SendError};

use crate::{
    client::reconnect::callback::{self, Callback},
    connection::{Connection, outgoing::Outgoing},
    runtime::notice::Notice,
};

/// A handle to a [`Reconnect`](crate::Reconnect): sends over whichever connection there is, and closes it for good. It
/// can be cloned, stored, and used from any task or thread.
///
/// ```no_run
/// # use prism_driver::{CloseCode, Handler, Network, Reconnect, SendError};
/// # async fn example<N: Network>(reconnect: Reconnect<N>, feed: impl Handler) -> Result<(), SendError> {
/// let handle = reconnect.handle();
/// // In another task: reconnect.run(feed).await
/// handle.send("waits for a connection").await?;
/// handle.close(CloseCode::NORMAL, ""); // now `run` returns
/// # Ok(()) }
/// ```
///
/// # What is lost
///
/// The handle keeps no messages and repeats none. A message that a connection has accepted, but not written when the
/// connection fails, is lost: [`unwritten`](Self::unwritten) counts the bytes. One that was written may not have
/// arrived, and no count shows that. The handler learns of each end by `on_disconnect`, and the application by
/// [`on_retry`](crate::Reconnect::on_retry). If each message matters, number them, and let the server acknowledge them.
#[derive(Clone, Debug)]
pub struct ReconnectHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    now: Mutex<Now>,
    /// There is a connection, or will be no other.
    changed: Notice,
    /// How many bytes were not written by the connections that have ended.
    unwritten: AtomicU64,
}

/// ```text
///              open                  on_connect has returned
///   Waiting ──────────► Opening(..) ─────────────────────────► Open(..)
///      ▲                    │             end                     │
///      └────────────────────┴─────────────────────────────────────┘
///
///   any of these ── closed through the handle, or given up ──► Over
/// ```
#[derive(Debug)]
enum Now {
    Waiting,
    /// The first messages on this connection are those that `on_connect` sends.
    Opening(Connection),
    Open(Connection),
    /// There will be no other connection. The application may have closed with this code and reason.
    Over(Option<(CloseCode, Box<str>)>),
}

impl ReconnectHandle {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared {
            now: Mutex::new(Now::Waiting),
            changed: Notice::new(),
            unwritten: AtomicU64::new(0),
        }))
    }

    /// Returns the connection, if there is one on which messages can be sent now. With
    /// [`Reconnect::run`](crate::Reconnect::run), its `on_connect` has returned.
    #[must_use]
    pub fn current(&self) -> Option<Connection> {
        match self.poll_connection() {
            Poll::Ready(connection) => connection,
            Poll::Pending => None,
        }
    }

    /// Waits for a connection on which messages can be sent, and returns it; `None` if there will be no other. The
    /// connection may end at any time. Cancel-safe.
    ///
    /// Does not wait within a call of the handler or of [`before_each`](crate::Reconnect::before_each), because no
    /// connection can come before that call has returned: if there is none at the moment, the result is `None`.
    pub async fn connected(&self) -> Option<Connection> {
        loop {
            if let Poll::Ready(connection) = self.poll_connection() {
                return connection;
            }
            if self.is_in_callback() {
                return None;
            }
            self.0.changed.wait_until(|| self.poll_connection().is_ready()).await;
        }
    }

    /// Sends a message in any [form](Outgoing), after waiting for a connection with room for it. What `on_connect`
    /// sends comes first.
    ///
    /// In the handler, send on the connection that it is called with. Within a call of the handler or of
    /// [`before_each`](crate::Reconnect::before_each), this method does not wait for a connection, as
    /// [`connected`](Self::connected) does not.
    ///
    /// `Ok` means that a connection has accepted the message, as for [`Connection::send`]: it may still be lost. The
    /// message is sent on another connection only if none has accepted it.
    ///
    /// Cancel-safe: a future that is dropped while it waits has sent nothing.
    ///
    /// # Errors
    /// [`SendError::Closed`] if there will be no other connection, or if a call of the handler has to return first, as
    /// it always has in `on_connect` and `on_disconnect`.
    pub async fn send(&self, message: impl Outgoing) -> Result<(), SendError> {
        let message = message.prepare();
        while let Some(connection) = self.connected().await {
            match connection.send(&message).await {
                // It is closing.
                Err(SendError::Closed) if self.is_in_callback() => break,
                Err(SendError::Closed) => self.until_replaced(&connection).await,
                outcome => return outcome,
            }
        }
        Err(SendError::Closed)
    }

    /// Returns how many bytes the connections that have ended had accepted, and had
    /// [not written](Connection::unwritten), in total. A connection is counted before
    /// [`on_retry`](crate::Reconnect::on_retry) or [`on_giving_up`](crate::Reconnect::on_giving_up) is called for its
    /// end; with [`next`](crate::Reconnect::next), this happens in its following call.
    #[must_use]
    pub fn unwritten(&self) -> u64 {
        self.0.unwritten.load(Relaxed)
    }

    /// Closes the connection, as [`Connection::close`] does, and opens no other. If there is no connection, the delay
    /// or the attempt in progress is canceled. [`run`](crate::Reconnect::run) returns when the connection has ended,
    /// and [`next`](crate::Reconnect::next) returns `None`. Does not wait for that. If there will be no other
    /// connection already, this has no effect.
    pub fn close(&self, code: CloseCode, reason: &str) {
        let closed = Now::Over(Some((code, reason.into())));
        let before = self.change(|now| match now {
            Now::Over(_) => None,
            now => Some(mem::replace(now, closed)),
        });
        if let Some(Now::Opening(connection) | Now::Open(connection)) = before {
            connection.close(code, reason);
        }
    }

    /// Notes that a connection is open, and that its `on_connect` is yet to run.
    pub(super) fn opening(&self, connection: &Connection) {
        let closed = self.change(|now| match now {
            // It was closed at the last moment.
            Now::Over(closed) => closed.clone(),
            now => {
                *now = Now::Opening(connection.clone());
                None
            }
        });
        if let Some((code, reason)) = closed {
            connection.close(code, &reason);
        }
    }

    /// Lets messages be sent on the connection.
    pub(super) fn opened(&self) {
        self.change(|now| {
            *now = match mem::replace(now, Now::Waiting) {
                Now::Opening(connection) => Now::Open(connection),
                other => other,
            };
        });
    }

    /// Notes that the connection has ended.
    pub(super) fn ended(&self) {
        self.change(|now| match now {
            Now::Over(_) => None,
            now => Some(mem::replace(now, Now::Waiting)),
        });
    }

    /// Notes that a connection has ended that had not written this many bytes.
    pub(super) fn add_unwritten(&self, bytes: u64) {
        self.0.unwritten.fetch_add(bytes, Relaxed);
    }

    /// Notes that there will be no other connection.
    pub(super) fn end(&self) {
        self.change(|now| match now {
            Now::Over(_) => None,
            now => Some(mem::replace(now, Now::Over(None))),
        });
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(*self.now(), Now::Over(_))
    }

    /// Returns the output of a future, or `None` if it is closed first.
    pub(super) async fn unless_over<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let over = async {
            self.0.changed.wait_until(|| self.is_over()).await;
            None
        };
        or(over, async { Some(future.await) }).await
    }

    /// Returns a call of the application's code, which must not wait for a connection.
    pub(super) fn callback<F>(&self, call: F) -> Callback<F> {
        Callback::new(self.number(), call)
    }

    /// Returns whether this is called by code that has to return before there is another connection.
    fn is_in_callback(&self) -> bool {
        callback::is_running(self.number())
    }

    /// Returns a number that no other handles have, except for clones, and that is not zero.
    fn number(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Returns `Pending` while senders have to wait, and `None` when there will be no other connection.
    fn poll_connection(&self) -> Poll<Option<Connection>> {
        let connection = match &*self.now() {
            Now::Open(connection) => connection.clone(),
            Now::Waiting | Now::Opening(_) => return Poll::Pending,
            Now::Over(_) => return Poll::Ready(None),
        };
        // Without our lock, because this takes the connection's. If it is closing, another one follows.
        if connection.is_open() { Poll::Ready(Some(connection)) } else { Poll::Pending }
    }

    /// Waits until this connection is no longer the current one.
    async fn until_replaced(&self, connection: &Connection) {
        let is_current =
            || matches!(&*self.now(), Now::Open(current) if current.id() == connection.id());
        self.0.changed.wait_until(|| !is_current()).await;
    }

    /// Changes the state and wakes all who wait for it. What `change` returns is dropped without the lock.
    fn change<T>(&self, change: impl FnOnce(&mut Now) -> T) -> T {
        let result = change(&mut self.now());
        self.0.changed.notify(usize::MAX);
        result
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
