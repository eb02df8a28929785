//! [`on_both_kinds`]: runs a scenario with a handler that connections share, and with one of their own.

use async_channel::Receiver;
use prism_driver::{Connection, ConnectionHandler, Disconnect, Handler, Message, Options};
use prism_test::{Faults, Peer, Sim};

use super::serve;

/// The kinds of handlers.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Shared,
    PerConnection,
}

/// Runs a scenario with each kind of handler. If it fails, prints the kind.
pub fn on_both_kinds(scenario: impl Fn(Kind)) {
    for kind in [Kind::Shared, Kind::PerConnection] {
        let _printed = PrintOnPanic(kind);
        scenario(kind);
    }
}

impl Kind {
    /// Serves a handler on a new pipe, as [`serve`] does.
    pub fn serve(
        self,
        sim: &Sim,
        handler: impl Handler,
        options: Options,
    ) -> (Peer, Faults, Receiver<Disconnect>) {
        match self {
            Self::Shared => serve(sim, handler, options),
            Self::PerConnection => serve(sim, Each(handler), options),
        }
    }
}

struct PrintOnPanic(Kind);

impl Drop for PrintOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the kind of the handler is {:?}", self.0);
        }
    }
}

/// A connection's own handler, which does what a shared handler does.
pub struct Each<H>(pub H);

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
