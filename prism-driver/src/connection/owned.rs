//! [`Owned`]: a connection in the hands of the task that runs it.

use std::ops::Deref;

use crate::connection::Connection;

/// The connection as its session owns it. Dropping this ends the connection and drops its transport.
pub(crate) struct Owned(Connection);

impl Owned {
    pub(crate) const fn new(connection: Connection) -> Self {
        Self(connection)
    }
}

impl Deref for Owned {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.outbox().give_up();
    }
}
