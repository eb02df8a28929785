//! [`Appends`]: the messages of a node that are to be kept: how many wait for that, and what has become of the others.

use std::sync::Arc;

use async_channel::{Receiver, Sender};

use super::{error::AppendError, position::Position};
use crate::sync::Lock;

/// The most messages, and the most bytes of them, that wait to be kept.
pub(super) const MAX_APPENDS: usize = 1024;
const MAX_APPEND_BYTES: usize = 4 << 20;

/// The messages of a node that are to be kept, wherever they are. A clone is the same.
#[derive(Clone)]
pub(super) struct Appends(Arc<Lock<State>>);

#[derive(Default)]
struct State {
    waiting: usize,
    bytes: usize,
    counts: AppendCounts,
}

/// How many messages were kept, and how many were not, or may have been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AppendCounts {
    pub(crate) kept: u64,
    pub(crate) not_kept: u64,
    pub(crate) unconfirmed: u64,
}

/// A message that waits to be kept. Without an [answer](Self::answer), it was not given to the backplane.
pub(crate) struct PendingAppend {
    appends: Appends,
    bytes: usize,
    /// `None` once it is answered.
    answer_to: Option<Sender<Result<Position, AppendError>>>,
}

impl Appends {
    pub(super) fn new() -> Self {
        Self(Arc::new(Lock::new(State::default())))
    }

    /// Adds a message of `bytes` bytes. Returns it with the receiver of its answer, or `None` if too many wait.
    pub(super) fn begin(
        &self,
        bytes: usize,
    ) -> Option<(PendingAppend, Receiver<Result<Position, AppendError>>)> {
        let mut state = self.0.lock();
        if state.waiting >= MAX_APPENDS || state.bytes + bytes > MAX_APPEND_BYTES {
            state.counts.not_kept += 1;
            return None;
        }
        state.waiting += 1;
        state.bytes += bytes;
        drop(state);
        let (answer_to, answer) = async_channel::bounded(1);
        let pending = PendingAppend { appends: self.clone(), bytes, answer_to: Some(answer_to) };
        Some((pending, answer))
    }

    pub(super) fn counts(&self) -> AppendCounts {
        self.0.lock().counts
    }

    fn end(&self, bytes: usize, answer: &Result<Position, AppendError>) {
        let mut state = self.0.lock();
        state.waiting -= 1;
        state.bytes -= bytes;
        let counts = &mut state.counts;
        match answer {
            Ok(_) => counts.kept += 1,
            Err(AppendError::Unknown) => counts.unconfirmed += 1,
            Err(_) => counts.not_kept += 1,
        }
    }
}

impl PendingAppend {
    /// Tells the sender what has become of the message, which does not count any more: the sender may append the next
    /// one.
    pub(super) fn answer(mut self, answer: Result<Position, AppendError>) {
        let answer_to = self.answer_to.take();
        self.appends.end(self.bytes, &answer);
        if let Some(answer_to) = answer_to {
            let _ = answer_to.try_send(answer); // fails if nobody waits any more
        }
    }
}

impl Drop for PendingAppend {
    fn drop(&mut self) {
        if self.answer_to.is_some() {
            self.appends.end(self.bytes, &Err(AppendError::Unavailable));
        }
    }
}

#[cfg(all(test, not(prism_loom)))]
mod tests {
    use super::{AppendCounts, AppendError, Appends, MAX_APPENDS, Position};

    #[test]
    fn messages_wait_until_they_are_answered_or_dropped() {
        let appends = Appends::new();
        let mut waiting: Vec<_> = (0..MAX_APPENDS).map(|_| appends.begin(1).unwrap()).collect();
        assert!(appends.begin(1).is_none(), "too many");
        waiting.truncate(4);
        waiting.extend(appends.begin(2 << 20));
        waiting.extend(appends.begin((2 << 20) - 4));
        assert_eq!(waiting.len(), 6);
        assert!(appends.begin(1).is_none(), "too many bytes");
        waiting.into_iter().for_each(|(pending, _)| pending.answer(Err(AppendError::Unknown)));
        assert!(appends.begin(4 << 20).is_some());
    }

    #[test]
    fn what_becomes_of_messages_is_counted_once() {
        let appends = Appends::new();
        let begin = || appends.begin(1 << 20).unwrap();
        let (dropped, answer) = begin();
        drop(dropped);
        assert!(answer.try_recv().is_err());
        for (answer, count) in [
            (Ok(Position::new("a", 1).unwrap()), 2),
            (Err(AppendError::Refused("no memory".to_owned())), 1),
            (Err(AppendError::Unknown), 3),
        ] {
            for _ in 0..count {
                let (pending, answered) = begin();
                pending.answer(answer.clone());
                assert_eq!(answered.try_recv().as_ref(), Ok(&answer));
            }
        }
        let all: Vec<_> = (0..5).map(|_| appends.begin(1 << 20)).collect();
        assert!(all[3].is_some() && all[4].is_none());
        assert_eq!(appends.counts(), AppendCounts { kept: 2, not_kept: 3, unconfirmed: 3 });
    }
}
