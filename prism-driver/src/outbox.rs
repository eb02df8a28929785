//! [`Outbox`]: the bytes to be sent on a connection, and its transport, behind one lock.
//!
//! A sender encodes straight into the connection's output. That is one copy, without an allocation or a queue of
//! messages, and the bytes are counted exactly. The gathered bytes leave in one write, either by the task that owns the
//! connection, which is woken only if it sleeps, or by the [session](crate::connection::batch) that sent them.
//!
//! The transport lies behind the lock as well, so every thread that holds the lock can write, and not only the owner.
//! There is one buffer, and so one order of bytes. The transport is one object for both directions, so it is behind the
//! lock for reading, too, even though only the owner reads. A sender in another thread waits at most for one read
//! or write, and neither blocks.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    task::{Poll, Waker},
};

use prism_core::{CloseCode, CloseFrame, Headers, Latency, Outbound, OwnedHeaders, SendError};

use crate::{
    error::TrySendError,
    options::{Options, when_slow::WhenSlow},
    outbox::{
        locked::Locked,
        queue::SendQueue,
        signals::Signals,
        source::Source,
        state::{End, OutboxState, Written, noop_waker},
        sync::{AtomicBool, Mutex},
        waiters::{Room, Waiters},
    },
    runtime::{Transport, contain::contain, wakeups},
};

pub(crate) mod batch_number;
pub(crate) mod budget;
pub(crate) mod cut;
mod flush;
pub(crate) mod locked;
pub(crate) mod owner;
pub(crate) mod pings;
pub(crate) mod queue;
#[cfg(all(test, prism_loom))]
mod races;
pub(crate) mod repeats;
pub(crate) mod signals;
pub(crate) mod source;
pub(crate) mod state;
pub(crate) mod sync;
pub(crate) mod transport;
pub(crate) mod waiters;

pub(crate) struct Outbox {
    state: Mutex<OutboxState>,
    signals: Signals,
    /// The owner's timer has fired.
    timer_fired: AtomicBool,
    /// The peer has taken bytes after making them wait.
    resumed: AtomicBool,
    /// The transport is gone, and a handler still runs.
    stuck: AtomicBool,
    high_water_mark: u32,
}

/// Whether a sender waits or fails if there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    Wait,
    Fail,
}

/// The work left for a sender that has appended bytes: it has to make sure that they leave.
#[must_use]
pub(crate) enum AfterSend {
    Nothing,
    /// The owner sleeps.
    WakeOwner(Waker),
    /// The owner sleeps, and may go on sleeping: the sending session writes.
    AddToBatch,
    /// The owner waits for the transport, and its server holds too much for such connections.
    EnforceBudget,
}

impl Outbox {
    /// Creates an outbox. `queue` has the bytes to send before any message, that is, the handshake.
    pub(crate) fn new(
        io: Box<dyn Transport>,
        outbound: Outbound,
        queue: Option<Box<SendQueue>>,
        headers: Option<OwnedHeaders>,
        options: &Options,
    ) -> Self {
        Self {
            state: Mutex::new(OutboxState::new(io, outbound, queue, headers, options.when_slow)),
            signals: Signals::default(),
            timer_fired: AtomicBool::new(false),
            resumed: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            // At zero there would never be room.
            high_water_mark: u32::try_from(options.high_water_mark).unwrap_or(u32::MAX).max(1),
        }
    }

    /// Sends now, or follows the connection's policy if there is no room. If the sender is to wait, this returns
    /// `Full`, and no message has been missed. May take the message from the sender, unless this fails.
    pub(crate) fn send(
        &self,
        message: &mut Source<'_>,
        when_full: WhenFull,
    ) -> Result<AfterSend, TrySendError> {
        let mut state = self.lock();
        if state.is_full(self.high_water_mark as usize) {
            let Some(roomy) = self.make_room(state, when_full)? else {
                return Ok(AfterSend::Nothing);
            };
            state = roomy;
        }
        state.send(message).map_err(TrySendError::Refused)?;
        Ok(after_send(&mut state))
    }

    pub(crate) fn try_ping(&self, payload: &[u8]) -> Result<AfterSend, TrySendError> {
        let mut state = self.lock();
        if state.is_full(self.high_water_mark as usize) {
            return Err(TrySendError::Full);
        }
        let written = state.encode(|outbound, out| outbound.ping(payload, out));
        written.map_err(TrySendError::Refused)?;
        state.add_ping(payload);
        Ok(after_send(&mut state))
    }

    /// Returns the latency that the keepalive has measured.
    pub(crate) fn latency(&self) -> Option<Latency> {
        self.lock().outbound.latency()
    }

    /// Returns how many messages found no room.
    pub(crate) fn missed(&self) -> u64 {
        self.lock().cold.as_ref().map_or(0, |cold| cold.missed)
    }

    /// Sets the policy for messages that find no room.
    pub(crate) fn set_when_slow(&self, when_slow: WhenSlow) {
        self.lock().when_slow = when_slow;
    }

    /// Returns the result of `find` on the headers, if they are still there.
    pub(crate) fn in_headers<T>(&self, find: impl FnOnce(Headers<'_>) -> T) -> Option<T> {
        Some(find(self.lock().cold.as_ref()?.headers.as_ref()?.as_headers()))
    }

    /// Takes the headers, if they are still there.
    pub(crate) fn take_headers(&self) -> Option<OwnedHeaders> {
        self.lock().take_headers()
    }

    /// Begins the close handshake, however full the outbox is. Returns whether this call was the one that closed.
    pub(crate) fn close(&self, code: CloseCode, reason: &str) -> bool {
        let mut state = self.lock();
        if !state.encode(|outbound, out| outbound.close(code, reason, out)) {
            return false;
        }
        let sent = CloseFrame::new(code, reason);
        state.cold().closed_with = Some((sent.code, sent.reason.into()));
        self.signals.set_closed();
        wake_all(state);
        true
    }

    pub(crate) fn is_open(&self) -> bool {
        self.lock().is_open()
    }

    /// Returns how many bytes are waiting to be sent.
    pub(crate) fn buffered(&self) -> usize {
        self.lock().unsent_bytes()
    }

    /// Returns whether a sender has to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.lock().is_full(self.high_water_mark as usize)
    }

    /// Returns the notices to wait for. Call this first, and check afterwards whether you have to wait.
    pub(crate) fn waiters(&self) -> Arc<Waiters> {
        self.lock().cold().waiters.get_or_insert_default().clone()
    }

    /// Returns whether we have closed the connection.
    pub(crate) fn is_closed_by_us(&self) -> bool {
        self.signals.is_closed()
    }

    /// Returns when we have closed the connection.
    pub(crate) async fn closed_by_us(&self) {
        self.waiters().closing.wait_until(|| self.is_closed_by_us()).await;
    }

    /// Returns when the connection has ended and all hooks have run.
    pub(crate) async fn ended(&self) {
        let is_announced = || self.lock().end == End::Announced;
        if !is_announced() {
            self.waiters().closing.wait_until(is_announced).await;
        }
    }

    /// Fires the owner's timer.
    pub(crate) fn fire_timer(&self) {
        self.timer_fired.store(true, Ordering::Release);
        wake_owner(self.lock());
    }

    /// Notes that the application has woken the handler, and wakes the owner.
    pub(crate) fn wake_handler(&self) {
        self.signals.set_woken();
        wake_owner(self.lock());
    }

    /// Runs a hook when the connection has ended: at once, if it has.
    pub(crate) fn on_end(&self, hook: impl FnOnce() + Send + 'static) {
        let mut state = self.lock();
        if state.end == End::NotYet {
            state.cold().hooks.push(Box::new(hook));
        } else {
            drop(state);
            contain(hook);
        }
    }

    /// Writes the unsent bytes on behalf of a sleeping owner. The owner is woken only if the transport takes no more,
    /// or fails.
    pub(crate) fn write_batch(&self) {
        let mut state = self.lock();
        // An owner that is awake does its own writing.
        let Some(owner) = state.owner.take() else { return };
        let written = state.write_for_owner(&owner);
        let woken = match written {
            // A sender's write may have failed before.
            Poll::Ready(Written::All) if !state.has_write_failed() => {
                state.owner = Some(owner);
                // A transport that has taken something does not have to wake a task any more.
                state.blocked = false;
                None
            }
            // The owner has a deadline to set.
            Poll::Ready(_) => Some(owner),
            Poll::Pending => {
                state.blocked = true;
                Some(owner)
            }
        };
        self.notify_progress(state);
        if let Some(owner) = woken {
            wakeups::wake(owner);
        }
    }

    /// Applies the connection's policy to a message for which there is no room. Returns `None` if the message is to be
    /// missed silently.
    #[cold]
    fn make_room<'w>(
        &self,
        mut state: Locked<'w>,
        when_full: WhenFull,
    ) -> Result<Option<Locked<'w>>, TrySendError> {
        let mark = self.high_water_mark as usize;
        let (when_slow, waits) = (state.when_slow, when_full == WhenFull::Wait);
        batch_number::count_delivery();
        if when_slow == WhenSlow::Wait && waits {
            return Err(TrySendError::Full);
        }
        // The bytes may have waited only for the end of a turn. (If the transport is to wake the owner, it must not be
        // polled with another waker.)
        if !state.blocked {
            let written = state.write_for_owner(&noop_waker());
            if written == Poll::Ready(Written::Failed) {
                wake_all(state);
                return Err(TrySendError::Refused(SendError::Closed));
            }
            if !state.is_full(mark) {
                return Ok(Some(state));
            }
        }
        if when_slow == WhenSlow::DropOldest {
            while state.is_full(mark) && state.drop_oldest() {}
            if !state.is_full(mark) {
                return Ok(Some(state));
            }
        }
        state.cold().missed += 1;
        match when_slow {
            WhenSlow::Close => {
                drop(state);
                self.close(CloseCode::TRY_AGAIN_LATER, "too slow");
                if waits {
                    Err(TrySendError::Refused(SendError::Closed))
                } else {
                    Err(TrySendError::Full)
                }
            }
            WhenSlow::DropNewest | WhenSlow::DropOldest if waits => Ok(None),
            _ => Err(TrySendError::Full),
        }
    }

    /// Wakes tasks because bytes have left, or never will.
    fn notify_progress(&self, state: Locked<'_>) {
        let Some(waiters) = state.waiters() else { return };
        let open = state.is_open();
        let room = match state.is_full(self.high_water_mark as usize) {
            true => Room::None,
            false if state.unsent_bytes() == 0 => Room::All,
            false => Room::Some,
        };
        drop(state);
        if open {
            waiters.notify_progress(room);
        } else {
            Waiters::notify_all(Some(waiters));
        }
    }

    /// Locks the state. No code under this lock panics half-way through a change, so a poisoned lock can still
    /// be used.
    fn lock(&self) -> Locked<'_> {
        Locked::new(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns the work left for a sender that has appended bytes.
fn after_send(state: &mut OutboxState) -> AfterSend {
    // An owner that is awake writes, and enforces the budget.
    if state.owner.is_none() || (state.is_idle() && !state.has_write_failed()) {
        return AfterSend::Nothing;
    }
    batch_number::count_delivery();
    if state.blocked {
        let is_over = state.budget_entry().is_some_and(|entry| entry.budget().is_over());
        return if is_over { AfterSend::EnforceBudget } else { AfterSend::Nothing };
    }
    match batch_number::current() {
        None => state.owner.take().map_or(AfterSend::Nothing, AfterSend::WakeOwner),
        Some(number) if state.batch == number => AfterSend::Nothing,
        Some(number) => {
            state.batch = number;
            AfterSend::AddToBatch
        }
    }
}

/// Wakes all tasks that wait, and the owner, which has a deadline to set.
fn wake_all(state: Locked<'_>) {
    let waiters = state.waiters();
    wake_owner(state);
    Waiters::notify_all(waiters);
}

fn wake_owner(mut state: Locked<'_>) {
    let owner = state.owner.take();
    drop(state);
    if let Some(owner) = owner {
        wakeups::wake(owner);
    }
}
