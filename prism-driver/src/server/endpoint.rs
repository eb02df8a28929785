//! [`Endpoint`]: a handler with its type erased, as the router stores it. The type is erased only there: all through a
//! session the handler is known by its type, so that its futures are not boxed.

use std::sync::Arc;

use crate::{
    handler::Handler,
    runtime::Runtime,
    server::slot::Slot,
    session::{
        Session,
        rate_limit::{TokenBucket, Unlimited},
    },
};

/// A handler with its type erased.
pub(crate) trait Endpoint<R: Runtime>: Send + Sync {
    /// Runs a session in a task of its own, which is smaller than the [handshake's](crate::server::pending_handshake).
    fn start(self: Arc<Self>, session: Session, slot: Slot<R>);
}

impl<R: Runtime, H: Handler> Endpoint<R> for H {
    fn start(self: Arc<Self>, session: Session, slot: Slot<R>) {
        let runtime = slot.runtime().clone();
        match slot.options().message_rate {
            None => runtime.spawn(session.run(slot, Unlimited, self, Slot::closed)),
            Some(rate) => {
                let bucket = TokenBucket::new(runtime.clone(), rate);
                runtime.spawn(session.run(slot, bucket, self, Slot::closed));
            }
        }
    }
}
