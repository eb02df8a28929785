//! [`Endpoint`]: what runs the connections of a route, with its type erased, as the router stores it. The type is
//! erased only there: all through a session the handler is known by its type, so that its futures are not boxed.

use std::sync::Arc;

use futures_lite::future::zip;
use futures_util::FutureExt;

use crate::{
    connection::Connection,
    handler::{Handler, connection_handler::ConnectionHandler},
    runtime::{Runtime, contain::contain},
    server::slot::Slot,
    session::{
        Session,
        rate_limit::{TokenBucket, Unlimited},
    },
};

/// What runs the connections of a route.
pub(crate) trait Endpoint<R: Runtime>: Send + Sync {
    /// Runs a session in a task of its own, which is smaller than the [handshake's](crate::server::pending_handshake).
    fn start(&self, session: Session, slot: Slot<R>);
}

/// An endpoint whose connections share a handler.
pub(crate) struct Shared<H>(pub(crate) Arc<H>);

/// An endpoint with a function that makes a handler for each connection.
pub(crate) struct PerConnection<F>(pub(crate) F);

impl<R: Runtime, H: Handler> Endpoint<R> for Shared<H> {
    fn start(&self, session: Session, slot: Slot<R>) {
        run(session, slot, self.0.clone(), Alone);
    }
}

impl<R, F, H> Endpoint<R> for PerConnection<F>
where
    R: Runtime,
    F: Fn(&Connection) -> H + Send + Sync,
    H: ConnectionHandler,
{
    fn start(&self, session: Session, slot: Slot<R>) {
        match contain(|| (self.0)(&session.connection)) {
            Some(handler) => run(session, slot, handler, Alone),
            None => fail(session, slot),
        }
    }
}

/// What runs beside a session, in the same task.
pub(crate) trait Companion {
    /// Returns a future that runs both to their ends.
    fn join(
        self,
        session: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static;
}

/// A companion that does nothing: the session runs alone.
pub(crate) struct Alone;

/// A companion that is a future.
pub(crate) struct Beside<F>(pub(crate) F);

impl Companion for Alone {
    fn join(
        self,
        session: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        session
    }
}

impl<F: Future<Output = ()> + Send + 'static> Companion for Beside<F> {
    fn join(
        self,
        session: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        zip(session, self.0).map(|((), ())| ())
    }
}

/// Runs a handler on a session, in a task of its own.
pub(crate) fn run<R: Runtime>(
    session: Session,
    slot: Slot<R>,
    handler: impl ConnectionHandler,
    companion: impl Companion,
) {
    let runtime = slot.runtime().clone();
    match slot.options().message_rate {
        None => {
            runtime.spawn(companion.join(session.run(slot, Unlimited, handler, Slot::closed)));
        }
        Some(rate) => {
            let bucket = TokenBucket::new(runtime.clone(), rate);
            runtime.spawn(companion.join(session.run(slot, bucket, handler, Slot::closed)));
        }
    }
}

/// Ends a session for which no handler could be made, because the application's function panicked.
pub(crate) fn fail<R: Runtime>(session: Session, slot: Slot<R>) {
    slot.runtime().clone().spawn(session.fail(slot, Slot::closed));
}
