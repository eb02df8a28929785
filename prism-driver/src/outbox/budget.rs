//! [`Budget`]: the limit on the memory that a server holds for all peers that do not read.
//!
//! ```text
//!   the transport takes no more          BudgetEntry::new          the outbox is counted
//!   something is appended or dropped     hold, resize, release
//!   the peer takes something             progress                  last in line to be evicted
//!   nothing is left, or all is lost      remove                    no longer counted
//! ```
//!
//! Counting begins when a connection's task sees that the transport takes no more, and ends when nothing is unsent.
//! So a connection that keeps up pays nothing, not even the memory of an entry, which lies with the unsent bytes. The
//! stalled connections are kept in the order in which their peers last took something, so the next one to evict is
//! found without a search.
//!
//! The budget counts memory: a buffer as it was allocated, not the bytes left in it. A frame that many outboxes share
//! is in memory once, so it is counted once. A counted frame stays alive in an outbox, so the address and the length of
//! its bytes identify it.
//!
//! The thread that exceeds the limit evicts, and the evicted connection's own task ends that connection. The memory is
//! free when the send returns, so no loop of sends outruns the limit. But end hooks and the transport's destructor are
//! application code, and a sender may hold a lock that they need.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::{Arc, PoisonError, Weak},
};

use crate::{
    options::server::ServerOptions,
    outbox::{
        queue::frame::FrameBytes,
        sync::{Mutex, MutexGuard},
    },
    runtime::contain::contain,
    server::stats::ServerStats,
};

#[cfg(test)]
pub(crate) mod tests;

/// The memory that a frame takes besides its bytes: its allocations and its entry here.
const FRAME_OVERHEAD: usize = 192;

/// The memory that a stalled connection takes besides that of its outbox: its entry here, and the state that is boxed
/// while something waits for its peer.
const STALLED_OVERHEAD: usize = 512;

/// The stalled connections of a server and the memory that they hold.
///
/// Lock order: an outbox's lock, then `account`. While `account` is locked, no other lock is taken and no application
/// code runs.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    account: Mutex<Account>,
    stats: ServerStats,
}

#[derive(Debug, Default)]
struct Account {
    /// The number of bytes that are counted.
    held: usize,
    /// The connections that are counted. The first has been stalled the longest.
    stalled: BTreeMap<u64, Weak<dyn Evict>>,
    /// The number of the next connection that stalls or makes progress.
    next_number: u64,
    /// The number of counted outboxes that hold each frame, by the [location](FrameBytes::location) of its bytes.
    frames: HashMap<(usize, usize), usize>,
}

/// A connection that a budget can evict.
pub(crate) trait Evict: Send + Sync {
    /// Drops everything that waits for the peer and ends the connection, if its entry still has this number. Returns
    /// whether it does. Runs no application code.
    fn evict(&self, number: u64) -> bool;

    /// Wakes the tasks that have to learn of the eviction.
    fn wake(&self);
}

/// A stalled connection's entry in a budget, kept by its outbox until the outbox [removes](Self::remove) it.
#[derive(Debug)]
pub(crate) struct BudgetEntry {
    budget: Arc<Budget>,
    /// The connection's place in the order of eviction. Changes whenever the peer takes something.
    number: u64,
    /// The number of bytes that are counted for the outbox without its frames.
    memory: usize,
}

impl Budget {
    pub(crate) fn new(options: &ServerOptions, stats: ServerStats) -> Arc<Self> {
        Arc::new(Self {
            // A full outbox has to fit, or every stalled connection would be evicted.
            limit: options.max_buffered.max(options.connection.high_water_mark),
            account: Mutex::default(),
            stats,
        })
    }

    /// Evicts connections until the limit is no longer exceeded, starting with the one that has been stalled for
    /// longest. Never evicts the only stalled connection, however much it holds.
    ///
    /// May wake tasks, so the caller must not hold a lock that an outbox or a waker needs.
    pub(crate) fn enforce(&self) {
        while self.is_over() {
            let Some((number, connection)) = self.next_to_evict() else { break };
            // A connection that is being dropped removes its own entry.
            let Some(connection) = connection.upgrade() else { break };
            // If another thread has evicted it, or its peer has taken something, another connection is next. A
            // connection is counted until its entry is removed, so two threads never evict more than necessary.
            if connection.evict(number) {
                self.stats.evicted();
                contain(|| connection.wake());
            }
        }
    }

    /// Returns whether the limit is exceeded. The caller then has to [enforce](Self::enforce) it once it holds no lock.
    pub(crate) fn is_over(&self) -> bool {
        self.stats.buffered() > self.limit as u64
    }

    fn next_to_evict(&self) -> Option<(u64, Weak<dyn Evict>)> {
        let account = self.lock();
        if account.held <= self.limit || account.stalled.len() < 2 {
            return None;
        }
        account.stalled.first_key_value().map(|(number, connection)| (*number, connection.clone()))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        let mut account = self.lock();
        let result = change(&mut account);
        self.stats.set_buffered(account.held as u64);
        result
    }

    /// Ignores poisoning, because no change to the account can panic halfway.
    fn lock(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BudgetEntry {
    /// Counts an outbox that holds these frames and this much own memory.
    pub(crate) fn new<'m>(
        budget: &Arc<Budget>,
        connection: Weak<dyn Evict>,
        memory: usize,
        frames: impl Iterator<Item = &'m FrameBytes>,
    ) -> Self {
        let number = budget.change(|account| {
            account.held += memory + STALLED_OVERHEAD;
            frames.for_each(|frame| account.hold(frame));
            account.enter(connection)
        });
        Self { budget: budget.clone(), number, memory }
    }

    /// Counts a frame that the outbox has appended.
    pub(crate) fn hold(&self, frame: &FrameBytes) {
        self.budget.change(|account| account.hold(frame));
    }

    /// Stops counting a frame that the outbox is about to drop.
    pub(crate) fn release(&self, frame: &FrameBytes) {
        self.budget.change(|account| account.release(frame));
    }

    /// Updates how much own memory the outbox has.
    pub(crate) fn resize(&mut self, memory: usize) {
        if memory != self.memory {
            self.budget.change(|account| account.held = account.held + memory - self.memory);
            self.memory = memory;
        }
    }

    /// Moves the connection to the end of the order of eviction, because its peer has taken something.
    pub(crate) fn progress(&mut self) {
        self.number = self.budget.change(|account| {
            let connection = account.stalled.remove(&self.number);
            connection.map_or(self.number, |connection| account.enter(connection))
        });
    }

    /// Stops counting the outbox and the frames that it still holds.
    pub(crate) fn remove<'m>(self, frames: impl Iterator<Item = &'m FrameBytes>) {
        self.budget.change(|account| {
            account.held -= self.memory + STALLED_OVERHEAD;
            frames.for_each(|frame| account.release(frame));
            account.stalled.remove(&self.number);
            if account.stalled.is_empty() {
                account.frames.shrink_to(64);
            }
        });
    }

    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Returns the budget that the outbox is counted in.
    pub(crate) const fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }
}

impl Account {
    fn enter(&mut self, connection: Weak<dyn Evict>) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.stalled.insert(number, connection);
        number
    }

    fn hold(&mut self, frame: &FrameBytes) {
        let count = self.frames.entry(frame.location()).or_default();
        *count += 1;
        if *count == 1 {
            self.held += cost(frame);
        }
    }

    fn release(&mut self, frame: &FrameBytes) {
        let Entry::Occupied(mut count) = self.frames.entry(frame.location()) else { return };
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
            self.held -= cost(frame);
        }
    }
}

fn cost(frame: &FrameBytes) -> usize {
    frame.len() + FRAME_OVERHEAD
}
