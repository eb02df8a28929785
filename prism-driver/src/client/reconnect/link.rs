//! [`Link`]: the handle of a client that reconnects.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prism_core::SendError;

use crate::{
    connection::{Connection, outgoing::Outgoing},
    runtime::notice::Notice,
};

/// A handle to send with over whichever connection a [`Reconnect`](crate::Reconnect) has at the time. It can be cloned,
/// stored, and used from any task or thread.
///
/// It keeps no messages. What a connection has accepted but not written when it fails is lost, and the handler's
/// `on_disconnect` is called. If each message counts, number them and let the peer acknowledge them.
#[derive(Clone, Debug)]
pub struct Link(Arc<State>);

#[derive(Debug)]
struct State {
    now: Mutex<Now>,
    changed: Notice,
}

#[derive(Clone, Debug)]
enum Now {
    Connecting,
    Connected(Connection),
    /// There will be no other connection.
    Over,
}

impl Link {
    pub(super) fn new() -> Self {
        Self(Arc::new(State { now: Mutex::new(Now::Connecting), changed: Notice::new() }))
    }

    /// Returns the connection, unless there is none at the moment.
    #[must_use]
    pub fn current(&self) -> Option<Connection> {
        match &*self.now() {
            Now::Connected(connection) => Some(connection.clone()),
            Now::Connecting | Now::Over => None,
        }
    }

    /// Waits until there is a connection, and returns it; `None` if there will be no other, because the client has given
    /// up or was closed. Cancel-safe.
    pub async fn connected(&self) -> Option<Connection> {
        self.0.changed.wait_until(|| !matches!(&*self.now(), Now::Connecting)).await;
        self.current()
    }

    /// Sends a message once there is a connection with room for it. If the connection is closing, waits for the next one.
    ///
    /// Cancel-safe: if the future is dropped early, the message may or may not have been sent.
    ///
    /// # Errors
    /// [`SendError::Closed`] if there will be no other connection.
    pub async fn send(&self, message: impl Outgoing) -> Result<(), SendError> {
        let message = message.prepare();
        let mut refused_by = None;
        while let Some(connection) = self.connected().await {
            if refused_by == Some(connection.id()) {
                // It has yet to end.
                connection.closed().await;
                self.0.changed.wait_until(|| !self.is_now(&connection)).await;
                continue;
            }
            match connection.send(&message).await {
                Err(SendError::Closed) => refused_by = Some(connection.id()),
                sent => return sent,
            }
        }
        Err(SendError::Closed)
    }

    pub(super) fn connect(&self, connection: Connection) {
        self.set(Now::Connected(connection));
    }

    pub(super) fn disconnect(&self) {
        self.set(Now::Connecting);
    }

    pub(super) fn end(&self) {
        self.set(Now::Over);
    }

    fn set(&self, now: Now) {
        let before = std::mem::replace(&mut *self.now(), now);
        drop(before); // outside the lock
        self.0.changed.notify(usize::MAX);
    }

    fn is_now(&self, connection: &Connection) -> bool {
        matches!(&*self.now(), Now::Connected(now) if now.id() == connection.id())
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
