//! [`Budget`]: how much memory a server holds in all for peers that do not take what is sent to them.
//!
//! ```text
//!   the transport takes no more          BudgetEntry::new      counted from now on
//!   something is appended or dropped     hold, resize, release
//!   the peer takes something             progress         last in line to be evicted
//!   nothing is left, or all is lost      leave            counted no more
//! ```
//!
//! A frame that many outboxes share is in memory once, so it is counted once. An outbox holds a frame
//! for as long as it is counted, so the address of its bytes says which frame it is.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::{Arc, PoisonError, Weak},
};

use prism_core::PreparedMessage;

use crate::{
    options::server::ServerOptions,
    outbox::sync::{Mutex, MutexGuard},
    runtime::contain::contain,
    server::stats::ServerStats,
};

#[cfg(test)]
pub(crate) mod tests;

/// What a frame costs besides its bytes: its allocations, and its entry here.
const FRAME: usize = 160;

/// What a stalled connection costs besides the memory of its outbox: its entry here, and what is boxed
/// while its peer keeps something waiting.
const STALLED: usize = 512;

/// Lock order: an outbox's lock, then `account`. Nothing else is locked, and no code of the
/// application's runs, while `account` is.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    account: Mutex<Account>,
    stats: ServerStats,
}

#[derive(Debug, Default)]
struct Account {
    /// How many bytes are counted.
    held: usize,
    /// The connections that are counted. The peer of the first has taken nothing for longest.
    stalled: BTreeMap<u64, Weak<dyn Evict>>,
    /// The number of the next to stall, or to take something.
    next: u64,
    /// How many count in outboxes each frame has, by its address.
    frames: HashMap<usize, usize>,
}

/// A connection, as the budget knows it.
pub(crate) trait Evict: Send + Sync {
    /// Drops all that waits for the peer, and has the connection end, if its entry still has this
    /// number. Returns whether it has. Runs no code of the application's.
    fn evict(&self, number: u64) -> bool;

    /// Wakes the tasks that have to learn of it.
    fn wake(&self);
}

/// A connection's entry among the stalled ones, kept by its outbox. It has to [leave](Self::leave).
#[derive(Debug)]
pub(crate) struct BudgetEntry {
    budget: Arc<Budget>,
    /// Changes whenever the peer takes something.
    number: u64,
    /// How many bytes are counted for the outbox itself.
    memory: usize,
}

impl Budget {
    pub(crate) fn new(options: &ServerOptions, stats: ServerStats) -> Arc<Self> {
        Arc::new(Self {
            // A full outbox has to fit, or every connection that has to wait would be evicted.
            limit: options.max_buffered.max(options.connection.high_water_mark),
            account: Mutex::default(),
            stats,
        })
    }

    /// Evicts connections until no more is held than there may be, those first that have stalled for
    /// longest. One that stalls alone stays, however much it holds.
    ///
    /// May wake tasks, so no lock may be held that an outbox or a waker needs.
    pub(crate) fn enforce(&self) {
        while self.is_over() {
            let Some((number, connection)) = self.next_to_evict() else { break };
            // One that is being dropped leaves by itself.
            let Some(connection) = connection.upgrade() else { break };
            // Another thread may have evicted it, or its peer has taken something: then another is the
            // next. It is counted until it has left, so no two threads evict where one was enough.
            if connection.evict(number) {
                self.stats.evicted();
                contain(|| connection.wake());
            }
        }
    }

    /// Returns whether more is held than there may be: then [enforce](Self::enforce) it when no lock is
    /// held.
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

    /// Nothing in here panics half-way through a change, so a poisoned lock is as good as another.
    fn lock(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BudgetEntry {
    /// Counts an outbox with these frames, which has so much memory of its own.
    pub(crate) fn new<'m>(
        budget: &Arc<Budget>,
        connection: Weak<dyn Evict>,
        memory: usize,
        frames: impl Iterator<Item = &'m PreparedMessage>,
    ) -> Self {
        let number = budget.change(|account| {
            account.held += memory + STALLED;
            frames.for_each(|frame| account.hold(frame));
            account.enter(connection)
        });
        Self { budget: budget.clone(), number, memory }
    }

    /// The outbox holds one frame more.
    pub(crate) fn hold(&self, frame: &PreparedMessage) {
        self.budget.change(|account| account.hold(frame));
    }

    /// The outbox is about to let go of a frame.
    pub(crate) fn release(&self, frame: &PreparedMessage) {
        self.budget.change(|account| account.release(frame));
    }

    /// The outbox has so much memory of its own now.
    pub(crate) fn resize(&mut self, memory: usize) {
        if memory != self.memory {
            self.budget.change(|account| account.held = account.held + memory - self.memory);
            self.memory = memory;
        }
    }

    /// The peer has taken something.
    pub(crate) fn progress(&mut self) {
        self.number = self.budget.change(|account| {
            let connection = account.stalled.remove(&self.number);
            connection.map_or(self.number, |connection| account.enter(connection))
        });
    }

    /// Counts the outbox no more, which still has these frames.
    pub(crate) fn remove<'m>(self, frames: impl Iterator<Item = &'m PreparedMessage>) {
        self.budget.change(|account| {
            account.held -= self.memory + STALLED;
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

    /// The budget that the outbox is counted in.
    pub(crate) const fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }
}

impl Account {
    fn enter(&mut self, connection: Weak<dyn Evict>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.stalled.insert(number, connection);
        number
    }

    fn hold(&mut self, frame: &PreparedMessage) {
        let count = self.frames.entry(address(frame)).or_default();
        *count += 1;
        if *count == 1 {
            self.held += cost(frame);
        }
    }

    fn release(&mut self, frame: &PreparedMessage) {
        let Entry::Occupied(mut count) = self.frames.entry(address(frame)) else { return };
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
            self.held -= cost(frame);
        }
    }
}

fn address(frame: &PreparedMessage) -> usize {
    frame.frame().as_ptr().addr()
}

fn cost(frame: &PreparedMessage) -> usize {
    frame.frame().len() + FRAME
}
