//! [`AppendLimit`]: how many messages of a node may wait to be kept.

use std::sync::Arc;

use crate::sync::Lock;

/// The most messages, and the most bytes of them, that wait to be kept.
pub(super) const MAX_APPENDS: usize = 1024;
const MAX_APPEND_BYTES: usize = 4 << 20;

/// The messages of a node that wait to be kept, wherever they are. A clone is the same.
#[derive(Clone)]
pub(super) struct AppendLimit(Arc<Lock<Waiting>>);

#[derive(Default)]
struct Waiting {
    count: usize,
    bytes: usize,
}

/// A message that waits to be kept. It counts until this is dropped.
pub(crate) struct AppendPermit {
    limit: AppendLimit,
    bytes: usize,
}

impl AppendLimit {
    pub(super) fn new() -> Self {
        Self(Arc::new(Lock::new(Waiting::default())))
    }

    /// Counts a message of so many bytes. Returns `None` if too many wait.
    pub(super) fn admit(&self, bytes: usize) -> Option<AppendPermit> {
        let mut waiting = self.0.lock();
        if waiting.count >= MAX_APPENDS || waiting.bytes + bytes > MAX_APPEND_BYTES {
            return None;
        }
        waiting.count += 1;
        waiting.bytes += bytes;
        drop(waiting);
        Some(AppendPermit { limit: self.clone(), bytes })
    }
}

impl Drop for AppendPermit {
    fn drop(&mut self) {
        let mut waiting = self.limit.0.lock();
        waiting.count -= 1;
        waiting.bytes -= self.bytes;
    }
}

#[cfg(all(test, not(prism_loom)))]
mod tests {
    use super::{AppendLimit, MAX_APPENDS};

    #[test]
    fn messages_count_until_they_are_dropped() {
        let limit = AppendLimit::new();
        let mut waiting: Vec<_> = (0..MAX_APPENDS).map(|_| limit.admit(1).unwrap()).collect();
        assert!(limit.admit(1).is_none(), "too many");
        waiting.truncate(4);
        waiting.extend(limit.admit(2 << 20));
        waiting.extend(limit.admit((2 << 20) - 4));
        assert_eq!(waiting.len(), 6);
        assert!(limit.admit(1).is_none(), "too many bytes");
        drop(waiting);
        assert!(limit.admit(4 << 20).is_some());
    }
}
