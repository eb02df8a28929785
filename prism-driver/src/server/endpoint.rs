//! [`Endpoint`]: a handler whose type the router does not know.

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

/// A handler whose type the router does not know.
pub(crate) trait Endpoint<R: Runtime>: Send + Sync {
    /// Runs a session in a task of its own. (The handshake's task ends: an idle connection should not hold its
    /// memory.)
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
