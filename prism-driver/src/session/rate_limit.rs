//! [`RateLimit`]: how fast a peer's messages are taken.

use std::time::Duration;

use futures_lite::future::or;
use prism_core::Message;

use crate::{connection::Connection, handler::Handler, options::rate::Rate, runtime::Runtime};

/// How fast messages are taken. Sessions know it by its type, so that those without a rate have no
/// memory for one, and no question to ask.
pub(crate) trait RateLimit: Send {
    /// Lends the handler a message, as soon as one may be taken; not at all if we have closed
    /// meanwhile. (A message that waited in the session itself would be there in every idle one.)
    fn deliver<H: Handler>(
        &mut self,
        handler: &H,
        connection: &Connection,
        message: Message<'_>,
    ) -> impl Future<Output = ()> + Send;
}

/// As fast as they come.
pub(crate) struct Unlimited;

impl RateLimit for Unlimited {
    fn deliver<H: Handler>(
        &mut self,
        handler: &H,
        connection: &Connection,
        message: Message<'_>,
    ) -> impl Future<Output = ()> + Send {
        handler.on_message(connection, message)
    }
}

/// At a [`Rate`].
pub(crate) struct TokenBucket<R> {
    runtime: R,
    rate: Rate,
    /// When it is full again.
    full_at: Duration,
}

impl<R: Runtime> TokenBucket<R> {
    pub(crate) const fn new(runtime: R, rate: Rate) -> Self {
        Self { runtime, rate, full_at: Duration::ZERO }
    }

    /// Takes a token, be it one that is still to come: how long until it is there.
    fn take(&mut self) -> Duration {
        let now = self.runtime.now();
        let token = Duration::from_secs(1) / self.rate.per_second.max(1);
        self.full_at = now.max(self.full_at).saturating_add(token);
        let there_at = self.full_at.saturating_sub(token.saturating_mul(self.rate.burst.max(1)));
        there_at.saturating_sub(now)
    }
}

impl<R: Runtime> RateLimit for TokenBucket<R> {
    /// As while a handler runs, nobody reads, and the peer is not judged.
    async fn deliver<H: Handler>(
        &mut self,
        handler: &H,
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
