//! [`Traced`]: a handler whose calls are spans.

use prism_core::Message;
use tracing::{Instrument, Span, info_span};

use crate::{connection::Connection, error::Disconnect, handler::Handler};

/// A [`Handler`] whose calls are spans of the crate `tracing`, so that what the handler logs says which connection it
/// is about. (Needs the feature `tracing`.)
///
/// The spans have the level *info*, the target `prism::handler`, the name of the method, and the fields `id` (of the
/// connection) and `route`.
///
/// ```no_run
/// # use prism_driver::{Handler, Network, Server, Traced};
/// # fn example(server: Server<impl Network>, chat: impl Handler) {
/// let server = server.websocket("/chat", Traced(chat));
/// # }
/// ```
///
/// A [`ConnectionHandler`](crate::ConnectionHandler) and the function of a [socket](crate::socket) open spans of their
/// own if they are to have some. There is no span for a whole connection. To continue the trace of the request that
/// opened it, read the header `traceparent` in [`on_connect`](Handler::on_connect), and keep what it says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traced<H>(pub H);

/// Creates a span for a call on a connection.
macro_rules! span {
    ($name:literal, $connection:ident) => {
        info_span!(
            target: "prism::handler",
            $name,
            id = %$connection.id(),
            route = $connection.outbox().route().as_deref(),
        )
    };
}

impl<H: Handler> Handler for Traced<H> {
    fn on_connect(&self, connection: &Connection) -> impl Future<Output = ()> + Send {
        within(span!("on_connect", connection), move || self.0.on_connect(connection))
    }

    fn on_message(
        &self,
        connection: &Connection,
        message: Message<'_>,
    ) -> impl Future<Output = ()> + Send {
        within(span!("on_message", connection), move || self.0.on_message(connection, message))
    }

    fn on_pong(&self, connection: &Connection, payload: &[u8]) -> impl Future<Output = ()> + Send {
        within(span!("on_pong", connection), move || self.0.on_pong(connection, payload))
    }

    fn on_disconnect(
        &self,
        connection: &Connection,
        reason: Disconnect,
    ) -> impl Future<Output = ()> + Send {
        within(span!("on_disconnect", connection), move || self.0.on_disconnect(connection, reason))
    }
}

/// Makes a future and runs it, both within a span.
fn within<F: Future>(span: Span, call: impl FnOnce() -> F) -> impl Future<Output = F::Output> {
    let future = span.in_scope(call);
    future.instrument(span)
}
