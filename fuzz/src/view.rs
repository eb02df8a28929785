//! [`View`]: a connection as it can be seen, and attempts to send on it.

use prism_driver::{Connection, OwnedMessage, PreparedMessage, TrySendError};

use crate::driver::pipe::Script;

/// What can be seen of the connection.
#[derive(Clone)]
pub struct View {
    pub connection: Connection,
    pub script: Script,
    /// How many bytes the peer has taken.
    pub taken: usize,
}

/// How a connection stands.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    pub open: bool,
    /// How many bytes its transport has taken.
    pub written: usize,
    pub missed: u64,
}

/// What became of an attempt to send, and how the connection stood before and after it.
pub type Attempt = (Result<(), TrySendError>, Sight, Sight);

impl View {
    /// How many bytes the transport has taken.
    pub fn written(&self) -> usize {
        self.taken + self.script.unread_by_client()
    }

    /// How it stands.
    pub fn sight(&self) -> Sight {
        let Self { connection, .. } = self;
        let (open, written, missed) = (connection.is_open(), self.written(), connection.missed());
        Sight { open, written, missed }
    }

    /// Attempts to send.
    pub fn try_send(&self, message: &OwnedMessage, prepared: bool) -> Attempt {
        let before = self.sight();
        let result = if prepared {
            self.connection.try_send_prepared(&PreparedMessage::new(message))
        } else {
            self.connection.try_send(message)
        };
        (result, before, self.sight())
    }
}
