//! Counts a [`SendQueue`] in a server's [budget](crate::outbox::budget).

use std::sync::{Arc, Weak};

use crate::outbox::{
    budget::{Budget, BudgetEntry, Evict},
    queue::{MIN_SHARED, SendQueue, frame::FrameBytes},
};

impl SendQueue {
    /// Counts the queue in a budget until it is cleared or dropped, unless it is counted already.
    pub(crate) fn count_in(
        &mut self,
        budget: &Arc<Budget>,
        connection: impl FnOnce() -> Weak<dyn Evict>,
    ) {
        if self.entry.is_none() {
            self.note_stalled();
            self.shrink();
            let (memory, frames) = (self.capacity(), self.frames());
            self.entry = Some(BudgetEntry::new(budget, connection(), memory, frames));
        }
    }

    /// Returns the queue's entry in a budget, if it is counted in one.
    pub(crate) const fn budget_entry(&self) -> Option<&BudgetEntry> {
        self.entry.as_ref()
    }

    /// Tells the budget how much memory the queue has now.
    pub(crate) fn update_budget(&mut self) {
        let memory = self.capacity();
        if let Some(entry) = &mut self.entry {
            entry.resize(memory);
        }
    }

    /// Stops counting the queue in its budget.
    #[cold]
    pub(crate) fn leave_budget(&mut self) {
        if let Some(entry) = self.entry.take() {
            entry.remove(self.frames());
        }
    }

    /// Returns the frames that the queue keeps by reference, in order.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &FrameBytes> {
        self.frames.iter().map(|frame| &frame.bytes)
    }

    /// Frees memory that the queue does not need, such as that of a pooled buffer: a stalled connection may keep the
    /// queue for long.
    fn shrink(&mut self) {
        if self.own.capacity() + self.dead > 4 * self.own.len() + MIN_SHARED {
            self.move_to(self.own.len());
        }
        self.frames.shrink_to(2 * self.frames.len());
    }
}

impl Drop for SendQueue {
    fn drop(&mut self) {
        if self.entry.is_some() {
            self.leave_budget();
        }
    }
}
