//! [`EncodedChange`]: a change as its watchers are sent it.

use std::{cell::OnceCell, sync::Arc};

use prism_driver::PreparedMessage;

use super::change::{Change, ENCODES};
use crate::shared_message::SharedMessage;

/// A change, encoded as JSON at most once for all its watchers.
pub(super) struct EncodedChange<M> {
    change: Arc<Change<M>>,
    json: OnceCell<Arc<SharedMessage>>,
}

impl<M> EncodedChange<M> {
    pub(super) fn new(change: Change<M>) -> Self {
        Self { change: Arc::new(change), json: OnceCell::new() }
    }

    pub(super) const fn change(&self) -> &Arc<Change<M>> {
        &self.change
    }

    pub(super) fn json(&self) -> &Arc<SharedMessage> {
        self.json.get_or_init(|| {
            let json = serde_json::to_string(&*self.change).expect(ENCODES);
            Arc::new(SharedMessage::new(PreparedMessage::new(&json)))
        })
    }
}
