//! A handler that sends every message back. It is the same source on every runtime.

// To copy this file, replace `crate::prism` by your adapter, such as `prism_tokio`.
use crate::prism::{Connection, Handler, Message};

pub(crate) struct Echo;

impl Handler for Echo {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails only if the connection is closing
    }
}
