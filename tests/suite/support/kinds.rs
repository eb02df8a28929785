//! [`on_both_kinds`]: runs a scenario with a handler that connections share, and with one of their
//! own.

use std::{sync::Arc, thread};

use crate::{
    prism::{
        Connection, ConnectionHandler, Disconnect, Handler, Message, Route, per_connection, shared,
    },
    runtime::Network,
};

/// The kinds of handlers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Shared,
    PerConnection,
}

/// Runs a scenario with each kind of handler. If it fails, prints the kind.
pub(crate) fn on_both_kinds(scenario: impl Fn(Kind)) {
    for kind in [Kind::Shared, Kind::PerConnection] {
        let _printed = PrintOnPanic(kind);
        scenario(kind);
    }
}

impl Kind {
    /// Makes a route of a handler.
    pub(crate) fn route(self, handler: impl Handler) -> Route<Network> {
        match self {
            Self::Shared => shared(handler),
            Self::PerConnection => {
                let handler = Arc::new(handler);
                per_connection(move |_| Each(handler.clone()))
            }
        }
    }
}

struct PrintOnPanic(Kind);

impl Drop for PrintOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the kind of the handler is {:?}", self.0);
        }
    }
}

/// A connection's own handler, which does what a shared handler does.
struct Each<H>(Arc<H>);

impl<H: Handler> ConnectionHandler for Each<H> {
    async fn on_connect(&mut self, connection: &Connection) {
        self.0.on_connect(connection).await;
    }

    async fn on_message(&mut self, connection: &Connection, message: Message<'_>) {
        self.0.on_message(connection, message).await;
    }

    async fn on_pong(&mut self, connection: &Connection, payload: &[u8]) {
        self.0.on_pong(connection, payload).await;
    }

    async fn on_disconnect(&mut self, connection: &Connection, reason: Disconnect) {
        self.0.on_disconnect(connection, reason).await;
    }
}
