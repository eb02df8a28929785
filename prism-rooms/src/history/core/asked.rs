//! [`Asked`]: what a history has asked the backplane.

use std::sync::Arc;

use async_channel::Sender;

use crate::history::{append_limit::AppendPermit, error::AppendError, position::Position};

/// For whom something is read.
#[derive(Clone, Debug)]
pub(super) enum Reader {
    Room(Arc<str>),
    Join(u64),
}

/// What the session has yet to reply to.
pub(super) enum Asked {
    Append {
        permit: AppendPermit,
        answer_to: Sender<Result<Position, AppendError>>,
    },
    Read {
        room: Arc<str>,
        /// Which room of that name it was.
        created: u64,
        reader: Reader,
        after: Option<Position>,
        /// What was known of the log then, by its last message.
        known: Option<Position>,
    },
}
