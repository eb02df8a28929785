//! [`OutboxState`]: the contents of an outbox's lock: the transport, the sending half of the protocol, and the bytes
//! between them.

use std::{
    sync::{Arc, Weak},
    task::Waker,
};

use prism_core::{Outbound, OwnedHeaders, State};

use crate::{
    buffer_pool,
    error::Failure,
    options::when_slow::WhenSlow,
    outbox::{
        budget::{Budget, BudgetEntry, Evict},
        cold_state::ColdState,
        owner_waker::fields::{OwnerSleeps, OwnerWaker},
        queue::SendQueue,
        waiters::Waiters,
    },
    runtime::Transport,
    server::stats::route_stats::RouteStats,
};

pub(crate) struct OutboxState {
    pub(crate) outbound: Outbound,
    /// `None` once the connection has failed or ended: a handler that still runs needs no socket.
    pub(super) io: Option<Box<dyn Transport>>,
    /// The bytes that are to be sent. An idle connection has none: memory for output is lent from a pool.
    pub(super) queue: Option<Box<SendQueue>>,
    /// Whether the transport may hold back bytes that were written to it, as TLS does.
    pub(super) unflushed: bool,
    /// Whether the transport has taken something since the owner last asked.
    pub(super) took: bool,
    pub(crate) when_slow: WhenSlow,
    /// The waker of the task that owns the connection.
    pub(super) owner: OwnerWaker,
    /// Whether the task that owns the connection sleeps.
    pub(super) owner_sleeps: OwnerSleeps,
    /// Whether the transport is to wake the owner when it takes more.
    pub(crate) blocked: bool,
    /// The number of the last batch that this connection was added to.
    pub(crate) batch: u64,
    pub(crate) cut: Option<Cut>,
    pub(crate) end: End,
    /// Where the connection is counted, if it is a server's.
    pub(super) stats: Option<Arc<RouteStats>>,
    /// How many messages have been sent that are not [counted](crate::outbox::counting) yet.
    pub(super) uncounted: u8,
    /// State that few connections need.
    pub(crate) cold: Option<Box<ColdState>>,
}

/// The fate of the bytes that were unsent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// All have left.
    All,
    /// A write has failed: the remaining bytes are lost, and nothing more can be sent.
    Failed,
}

/// The progress of the connection's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    NotYet,
    /// The hooks are running.
    HooksRunning,
    /// The hooks have run, and the waiting tasks have been woken.
    Announced,
}

/// What ended a connection without a close handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// The server's shutdown.
    Shutdown,
    /// The application.
    Abort,
    /// The server's [budget](crate::outbox::budget).
    Eviction,
}

impl From<Cut> for Failure {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Shutdown => Self::ServerShutdown,
            Cut::Abort => Self::Aborted,
            Cut::Eviction => Self::Evicted,
        }
    }
}

impl OutboxState {
    /// Creates the state. `queue` has the bytes to send before any message, that is, the handshake.
    pub(crate) fn new(
        io: Box<dyn Transport>,
        outbound: Outbound,
        queue: Option<Box<SendQueue>>,
        headers: Option<OwnedHeaders>,
        when_slow: WhenSlow,
    ) -> Self {
        Self {
            outbound,
            io: Some(io),
            queue,
            unflushed: false,
            took: false,
            when_slow,
            owner: OwnerWaker::default(),
            owner_sleeps: OwnerSleeps::default(),
            blocked: false,
            batch: 0,
            cut: None,
            end: End::NotYet,
            stats: None,
            uncounted: 0,
            cold: headers
                .is_some()
                .then(|| Box::new(ColdState { headers, ..ColdState::default() })),
        }
    }

    pub(crate) fn cold(&mut self) -> &mut ColdState {
        self.cold.get_or_insert_default()
    }

    /// Drops the oldest message of which nothing has been written. Returns whether there was one.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        let dropped = self.queue.as_mut().is_some_and(|queue| queue.drop_oldest());
        if dropped {
            self.count_missed();
            self.return_memory();
        }
        dropped
    }

    /// Lets the sending half of the protocol append to the queue. (It only encodes: [`poll_write`](Self::poll_write)
    /// writes.)
    pub(crate) fn encode<T>(
        &mut self,
        encode: impl FnOnce(&mut Outbound, &mut SendQueue) -> T,
    ) -> T {
        let queue = self.queue.get_or_insert_with(|| take_queue(self.owner_sleeps.get()));
        let result = encode(&mut self.outbound, queue);
        self.return_memory();
        result
    }

    /// Returns how many bytes are waiting to be sent.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.len())
    }

    /// Returns the entry in the server's budget, while the peer keeps something waiting.
    pub(crate) fn budget_entry(&self) -> Option<&BudgetEntry> {
        self.queue.as_ref()?.budget_entry()
    }

    /// Counts the unsent bytes in a budget, from now on until nothing is unsent.
    pub(crate) fn count_in(
        &mut self,
        budget: &Arc<Budget>,
        connection: impl FnOnce() -> Weak<dyn Evict>,
    ) {
        if let Some(queue) = &mut self.queue {
            queue.count_in(budget, connection);
        }
    }

    /// Returns the tasks that wait, if there are any.
    pub(crate) fn waiters(&self) -> Option<Arc<Waiters>> {
        self.cold.as_ref()?.waiters.clone()
    }

    /// Returns how many bytes have been written since the first call.
    pub(crate) fn written(&mut self) -> u64 {
        *self.cold().written.get_or_insert(0)
    }

    /// Stops counting written bytes, unless a task may be waiting for a flush.
    pub(crate) fn stop_counting(&mut self) {
        if let Some(cold) = &mut self.cold
            && cold.waiters.is_none()
        {
            cold.written = None;
            self.cold.take_if(|cold| cold.is_empty());
        }
    }

    /// Returns how many bytes were unsent when the transport was dropped.
    pub(crate) fn lost(&self) -> u64 {
        self.cold.as_ref().map_or(0, |cold| cold.lost)
    }

    /// Takes the headers, if they are still there. What the TLS handshake has agreed on goes with them.
    pub(crate) fn take_headers(&mut self) -> Option<OwnedHeaders> {
        let cold = self.cold.as_mut()?;
        cold.tls = None;
        let headers = cold.headers.take();
        // The cold state is empty now, unless `on_connect` has added to it.
        self.cold.take_if(|cold| cold.is_empty());
        headers
    }

    /// Remembers a ping of the application.
    pub(super) fn add_ping(&mut self, payload: &[u8]) {
        self.cold().pings.get_or_insert_default().add(payload);
    }

    /// Forgets the ping that a pong answers, and all earlier ones. Returns whether there was such a ping.
    pub(super) fn take_ping(&mut self, payload: &[u8]) -> bool {
        let Some(cold) = &mut self.cold else { return false };
        let taken = cold.pings.as_mut().is_some_and(|pings| pings.take(payload));
        if taken {
            cold.pings.take_if(|pings| pings.is_empty());
            self.cold.take_if(|cold| cold.is_empty());
        }
        taken
    }

    /// Returns whether there is nothing to write.
    pub(crate) const fn is_idle(&self) -> bool {
        self.queue.is_none() && !self.unflushed
    }

    /// Returns whether a sender has to wait. (Once the connection is closing, a sender learns that instead.)
    pub(crate) fn is_full(&self, high_water_mark: usize) -> bool {
        let Some(queue) = &self.queue else { return false };
        let overhead = if self.when_slow == WhenSlow::DropOldest { queue.overhead() } else { 0 };
        queue.len() + overhead >= high_water_mark && self.is_open()
    }

    /// Returns whether messages can be sent.
    pub(crate) fn is_open(&self) -> bool {
        self.outbound.state() == State::Open
    }

    /// Returns a number that identifies this outbox while it exists.
    pub(super) fn number(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    pub(super) fn return_memory(&mut self) {
        if let Some(queue) = self.queue.take_if(|queue| queue.is_empty()) {
            buffer_pool::put_send(queue);
        }
    }
}

/// Takes an empty queue. That of an owner that sleeps gets little at first.
fn take_queue(owner_sleeps: bool) -> Box<SendQueue> {
    if owner_sleeps { buffer_pool::take_small_send() } else { buffer_pool::take_send() }
}

/// Returns a waker that wakes no task. (A clone, because tokio, which makes tasks yield now and then, keeps each waker
/// that is not the same as the last; and the original need not be the same as its clones.)
pub(crate) fn noop_waker() -> Waker {
    Waker::noop().clone()
}
