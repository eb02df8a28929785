//! [`Endpoint`]: a handler with its type erased, as the router stores it.

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
    /// Runs a session in a task of its own. The handshake's task is larger, and an idle connection should not keep it.
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
