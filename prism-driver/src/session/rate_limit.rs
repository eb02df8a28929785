//! [`RateLimit`]: how fast a peer's messages are given to the handler.
//!
//! A limit delays the calls of the handler. During a delay the session does not read, and the peer's silence is not
//! counted against it, as with any slow handler. So the keepalive needs no rule for this.

use std::time::Duration;

use futures_lite::future::or;
use prism_core::Message;

use crate::{
    connection::Connection, handler::connection_handler::ConnectionHandler, options::rate::Rate,
    runtime::Runtime,
};

/// How fast messages are given to the handler. This is a type parameter of the session, so a session without a limit
/// has no memory for it and nothing to check.
pub(crate) trait RateLimit: Send {
    /// Calls the handler with a message as soon as the limit allows it, or not at all if we have closed meanwhile. (A
    /// message that waited in the session itself would take memory in every idle one.)
    fn deliver<H: ConnectionHandler>(
        &mut self,
        handler: &mut H,
        connection: &Connection,
        message: Message<'_>,
    ) -> impl Future<Output = ()> + Send;
}

/// No limit: messages are given to the handler as fast as they arrive.
pub(crate) struct Unlimited;

impl RateLimit for Unlimited {
    fn deliver<H: ConnectionHandler>(
        &mut self,
        handler: &mut H,
        connection: &Connection,
        message: Message<'_>,
    ) -> impl Future<Output = ()> + Send {
        handler.on_message(connection, message)
    }
}

/// A limit to a [`Rate`].
pub(crate) struct TokenBucket<R> {
    runtime: R,
    rate: Rate,
    /// When the bucket will be full.
    full_at: Duration,
}

impl<R: Runtime> TokenBucket<R> {
    pub(crate) const fn new(runtime: R, rate: Rate) -> Self {
        Self { runtime, rate, full_at: Duration::ZERO }
    }

    /// Takes a token, even if there is none yet, and returns how long to wait until there is.
    fn take(&mut self) -> Duration {
        let now = self.runtime.now();
        let token = Duration::from_secs(1) / self.rate.per_second.max(1);
        self.full_at = now.max(self.full_at).saturating_add(token);
        let there_at = self.full_at.saturating_sub(token.saturating_mul(self.rate.burst.max(1)));
        there_at.saturating_sub(now)
    }
}

impl<R: Runtime> RateLimit for TokenBucket<R> {
    async fn deliver<H: ConnectionHandler>(
        &mut self,
        handler: &mut H,
        connection: &Connection,
        message: Message<'_>,
    ) {
        let missing = self.take();
        if !missing.is_zero() {
            let slept = async { drop(self.runtime.sleep(missing).await) };
            or(slept, connection.outbox().closed_by_us()).await;
        }
        if !connection.outbox().is_closed_by_us() {
            handler.on_message(connection, message).await;
        }
    }
}
