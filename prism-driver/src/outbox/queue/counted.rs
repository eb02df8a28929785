//! How what is unsent is counted in a server's [budget](crate::outbox::budget).

use std::sync::{Arc, Weak};

use prism_core::PreparedMessage;

use crate::outbox::budget::{Budget, BudgetEntry, Evict};
use crate::outbox::queue::{SHARED, SendQueue};

impl SendQueue {
    /// Counts it in a budget until it is empty, if it is not counted already.
    pub(crate) fn count_in(
        &mut self,
        budget: &Arc<Budget>,
        connection: impl FnOnce() -> Weak<dyn Evict>,
    ) {
        if self.entry.is_none() {
            self.shrink();
            let (memory, frames) = (self.capacity(), self.messages());
            self.entry = Some(BudgetEntry::new(budget, connection(), memory, frames));
        }
    }

    /// Returns its place in a budget, if it is counted in one.
    pub(crate) const fn budget_entry(&self) -> Option<&BudgetEntry> {
        self.entry.as_ref()
    }

    /// Tells the budget how much memory it has now.
    pub(crate) fn settle(&mut self) {
        let memory = self.capacity();
        if let Some(entry) = &mut self.entry {
            entry.resize(memory);
        }
    }

    /// Takes it out of its budget.
    #[cold]
    pub(crate) fn leave(&mut self) {
        if let Some(entry) = self.entry.take() {
            entry.remove(self.messages());
        }
    }

    /// Returns the messages whose frames it holds, in order.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &PreparedMessage> {
        self.frames.iter().map(|frame| &frame.message)
    }

    /// Gives back memory that it does not need, such as a pooled buffer has: a stalled connection may keep
    /// it for long.
    fn shrink(&mut self) {
        if self.own.capacity() + self.dead > 4 * self.own.len() + SHARED {
            self.move_to(self.own.len());
        }
        self.frames.shrink_to(2 * self.frames.len());
    }
}

impl Drop for SendQueue {
    fn drop(&mut self) {
        if self.entry.is_some() {
            self.leave();
        }
    }
}
