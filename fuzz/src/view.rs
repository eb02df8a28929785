//! [`View`]: what can be observed of a connection, and attempts to send on it.

use prism_driver::{Connection, OwnedMessage, PreparedMessage, SendError, TrySendError};
use prism_test::Faults;

use crate::drive::ManualFuture;

/// A connection, with what can be observed from outside.
#[derive(Clone)]
pub struct View {
    pub connection: Connection,
    pub faults: Faults,
    /// How many bytes the peer has taken.
    pub taken: usize,
}

/// The observable state of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot {
    pub open: bool,
    /// How many bytes its transport has taken.
    pub written: usize,
    pub missed: u64,
}

/// The result of an attempt to send, and the state of the connection before and after it.
pub type Attempt = (Result<(), TrySendError>, Snapshot, Snapshot);

impl View {
    /// Returns how many bytes the transport has taken.
    pub fn written(&self) -> usize {
        self.taken + self.faults.to_client().unread()
    }

    /// Returns the current state.
    pub fn snapshot(&self) -> Snapshot {
        let Self { connection, .. } = self;
        let (open, written, missed) = (connection.is_open(), self.written(), connection.missed());
        Snapshot { open, written, missed }
    }

    /// Returns a future that sends a message, and waits for room if necessary.
    pub fn send(
        &self,
        message: &OwnedMessage,
        prepared: bool,
    ) -> ManualFuture<Result<(), SendError>> {
        let (connection, message) = (self.connection.clone(), message.clone());
        ManualFuture::new(async move {
            if prepared {
                connection.send(PreparedMessage::new(&message)).await
            } else {
                connection.send(message).await
            }
        })
    }

    /// Attempts to send a message.
    pub fn try_send(&self, message: &OwnedMessage, prepared: bool) -> Attempt {
        let before = self.snapshot();
        let result = if prepared {
            self.connection.try_send(&PreparedMessage::new(message))
        } else {
            self.connection.try_send(message)
        };
        (result, before, self.snapshot())
    }
}
