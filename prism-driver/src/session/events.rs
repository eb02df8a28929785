//! What a session tells the application's monitoring.

use crate::connection::Connection;

/// Reports that the handler of a connection has panicked.
pub(crate) fn panicked(connection: &Connection) {
    connection.outbox().count_panic();
}
