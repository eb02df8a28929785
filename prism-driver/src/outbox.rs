//! [`Outbox`]: the bytes to be sent on a connection, and its transport, behind one lock.
//!
//! A sender encodes straight into the connection's output. That is one copy, without an allocation or a queue of
//! messages, and the bytes are counted exactly. The gathered bytes leave in one write, either by the task that owns the
//! connection, which is woken only if it sleeps, or by the [session](crate::connection::batch) that sent them.
//!
//! The transport lies behind the lock as well, so every thread that holds the lock can write, and not only the owner.
//! There is one buffer, and so one order of bytes. The transport is one object for both directions, so it is behind the
//! lock for reading, too, even though only the owner reads. A sender in another thread waits at most for one
//! [step](owner::OwnerStep) of the owner, in which it writes and reads, and neither blocks.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    task::Poll,
};

use prism_core::{CloseCode, CloseFrame, Headers, Latency, Outbound, OwnedHeaders};

use crate::{
    options::{Options, when_slow::WhenSlow},
    outbox::{
        flags::Flags,
        locked::Locked,
        queue::SendQueue,
        state::{End, OutboxState, Written},
        sync::{AtomicBool, Mutex},
        waiters::{Progress, RoomLeft, Waiters},
    },
    runtime::{Transport, contain::contain, wakeups},
    tls::info::TlsInfo,
};

pub(crate) mod budget;
pub(crate) mod cold_state;
pub(crate) mod counting;
pub(crate) mod cut;
pub(crate) mod flags;
mod flush;
pub(crate) mod locked;
pub(crate) mod owner;
pub(crate) mod owner_waker;
pub(crate) mod pings;
pub(crate) mod queue;
#[cfg(all(test, prism_loom))]
mod races;
pub(crate) mod repeats;
pub(crate) mod send;
pub(crate) mod source;
pub(crate) mod state;
pub(crate) mod sync;
pub(crate) mod transport;
pub(crate) mod waiters;

pub(crate) struct Outbox {
    state: Mutex<OutboxState>,
    flags: Flags,
    /// The owner's timer has fired.
    timer_fired: AtomicBool,
    /// The peer has taken bytes after making them wait. Only the owner uses this. It is here because it takes no memory
    /// here, while it would make the deadlines of each session a word larger.
    resumed: AtomicBool,
    high_water_mark: u32,
    compresses: bool,
}

impl Outbox {
    /// Creates an outbox. `queue` has the bytes to send before any message, that is, the handshake. `compresses` says
    /// that the connection has a [compression](crate::connection::compression).
    pub(crate) fn new(
        io: Box<dyn Transport>,
        outbound: Outbound,
        queue: Option<Box<SendQueue>>,
        headers: Option<OwnedHeaders>,
        compresses: bool,
        options: &Options,
    ) -> Self {
        Self {
            state: Mutex::new(OutboxState::new(io, outbound, queue, headers, options.when_slow)),
            flags: Flags::default(),
            timer_fired: AtomicBool::new(false),
            resumed: AtomicBool::new(false),
            // At zero there would never be room.
            high_water_mark: u32::try_from(options.high_water_mark).unwrap_or(u32::MAX).max(1),
            compresses,
        }
    }

    /// Returns the latency that the keepalive has measured.
    pub(crate) fn latency(&self) -> Option<Latency> {
        self.lock().outbound.latency()
    }

    /// Returns the policy for messages that find no room.
    pub(crate) fn when_slow(&self) -> WhenSlow {
        self.lock().when_slow
    }

    /// Sets the policy for messages that find no room.
    pub(crate) fn set_when_slow(&self, when_slow: WhenSlow) {
        self.lock().when_slow = when_slow;
    }

    /// Returns the result of `find` on the headers, if they are still there.
    pub(crate) fn in_headers<T>(&self, find: impl FnOnce(Headers<'_>) -> T) -> Option<T> {
        Some(find(self.lock().cold.as_ref()?.headers.as_ref()?.as_headers()))
    }

    /// Keeps what the TLS handshake has agreed on, until the headers are taken.
    pub(crate) fn set_tls(&self, tls: Arc<TlsInfo>) {
        self.lock().cold().tls = Some(tls);
    }

    /// Returns what the TLS handshake has agreed on, if it is still there.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(&self) -> Option<Arc<TlsInfo>> {
        self.lock().cold.as_ref()?.tls.clone()
    }

    /// Takes the headers, if they are still there.
    pub(crate) fn take_headers(&self) -> Option<OwnedHeaders> {
        self.lock().take_headers()
    }

    /// Begins the close handshake, however full the outbox is. Returns whether this call was the one that closed.
    pub(crate) fn close(&self, code: CloseCode, reason: &str) -> bool {
        self.close_and_note(code, reason, Flags::set_closed)
    }

    /// Closes, like [`close`](Self::close), because the peer is too slow for the connection's
    /// [policy](WhenSlow::Close).
    pub(crate) fn close_as_too_slow(&self) {
        let note = Flags::set_closed_as_too_slow;
        self.close_and_note(CloseCode::TRY_AGAIN_LATER, "too slow", note);
    }

    fn close_and_note(&self, code: CloseCode, reason: &str, note: fn(&Flags)) -> bool {
        let mut state = self.lock();
        if !state.encode(|outbound, out| outbound.close(code, reason, out)) {
            return false;
        }
        let sent = CloseFrame::new(code, reason);
        state.cold().closed_with = Some((sent.code, sent.reason.into()));
        note(&self.flags);
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

    /// Returns how many bytes have not been written: those that are waiting, and those that were discarded with the
    /// transport.
    pub(crate) fn unwritten(&self) -> u64 {
        let state = self.lock();
        state.lost() + state.unsent_bytes() as u64
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
        self.flags.is_closed()
    }

    /// Returns whether the application has closed the connection, and not [its policy](WhenSlow::Close) or the server's
    /// budget.
    pub(crate) fn is_closed_by_application(&self) -> bool {
        self.flags.is_closed_by_application()
    }

    /// Waits until we have closed the connection.
    pub(crate) async fn closed_by_us(&self) {
        self.waiters().closing.wait_until(|| self.is_closed_by_us()).await;
    }

    /// Waits until the connection has ended and all hooks have run.
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
        self.flags.set_woken();
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
        let Some(owner) = state.take_sleeping_owner() else { return };
        let written = state.write_for_owner(&owner);
        let woken = match written {
            // A sender's write may have failed before.
            Poll::Ready(Written::All) if !state.has_write_failed() => {
                state.put_back_owner(owner);
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
        self.unlock_and_notify(state);
        if let Some(owner) = woken {
            wakeups::wake(owner);
        }
    }

    /// Unlocks the outbox, and wakes the tasks that wait because bytes have left, or never will.
    fn unlock_and_notify(&self, state: Locked<'_>) {
        let progress = self.progress(&state);
        drop(state);
        progress.notify();
    }

    /// Returns the tasks to wake because bytes have left, or never will.
    fn progress(&self, state: &OutboxState) -> Progress {
        let Some(waiters) = state.waiters() else { return Progress::default() };
        let room = if !state.is_open() {
            RoomLeft::Never
        } else if state.is_full(self.high_water_mark as usize) {
            RoomLeft::None
        } else if state.unsent_bytes() == 0 {
            RoomLeft::All
        } else {
            RoomLeft::Some
        };
        Progress(Some((waiters, room)))
    }

    /// Locks the state. No code under this lock panics half-way through a change, so a poisoned lock can still
    /// be used.
    fn lock(&self) -> Locked<'_> {
        Locked::new(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Wakes all tasks that wait, and the owner, which has a deadline to set.
fn wake_all(state: Locked<'_>) {
    let waiters = state.waiters();
    wake_owner(state);
    Waiters::notify_all(waiters);
}

fn wake_owner(mut state: Locked<'_>) {
    let owner = state.take_sleeping_owner();
    drop(state);
    if let Some(owner) = owner {
        wakeups::wake(owner);
    }
}
