//! The operations on an outbox that are for the task that owns the connection.

use std::{
    io, mem,
    sync::{Arc, Weak, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

use prism_core::{CloseCode, CloseFrame, Event, Output, ProtocolError};

use crate::{
    error::Failure,
    outbox::{
        Outbox,
        budget::{Budget, Evict},
        locked::Locked,
        state::{End, OutboxState, Written},
        waiters::{Progress, Waiters},
    },
    runtime::contain::contain,
    server::stats::traffic::Traffic,
};

impl Outbox {
    /// Locks the outbox for a step of its owner, whose task has this waker.
    #[inline(always)] // so that a step is not moved
    pub(crate) fn step(&self, waker: &Waker) -> OwnerStep<'_> {
        let mut state = self.lock();
        if !state.has_owner(waker) {
            state = self.change_owner(state, waker);
        }
        OwnerStep { state, outbox: self, notify: NotifyOnDrop::default() }
    }

    /// Reads once. (The transport lies [behind the lock](crate::outbox) for reading as well, so that a sender can
    /// write.)
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.lock().poll_read(cx, buf)
    }

    /// Changes the waker of the owner. The outbox is unlocked while wakers are cloned and dropped, and locked again
    /// afterwards.
    #[cold]
    fn change_owner<'a>(&'a self, mut state: Locked<'a>, waker: &Waker) -> Locked<'a> {
        // If the owner slept, it still counts as asleep, and a sender could take the waker that is set here.
        state.set_owner_awake();
        drop(state);
        let waker = waker.clone();
        let previous = self.lock().replace_owner(waker);
        drop(previous);
        self.lock()
    }

    /// Forgets the owner, which does not sleep any more.
    pub(crate) fn forget_owner(&self) {
        let owner = self.lock().take_owner();
        drop(owner);
    }

    /// Notes that the owner is awake, so that senders need not wake it.
    pub(crate) fn set_awake(&self) {
        let mut state = self.lock();
        state.set_owner_awake();
        state.blocked = false;
    }

    /// Counts the unsent bytes in a budget, from now on until nothing is unsent. To be called when the transport takes
    /// no more.
    pub(crate) fn count_in(
        &self,
        budget: &Arc<Budget>,
        connection: impl FnOnce() -> Weak<dyn Evict>,
    ) {
        self.lock().count_in(budget, connection);
        budget.enforce();
    }

    /// Enforces the budget in which the unsent bytes are counted.
    pub(crate) fn enforce_budget(&self) {
        let budget = self.lock().budget_entry().map(|entry| entry.budget().clone());
        if let Some(budget) = budget {
            budget.enforce();
        }
    }

    /// Returns how many bytes have been written since the first call.
    pub(crate) fn count_written(&self) -> u64 {
        self.lock().written()
    }

    /// Notes that the owner does not need the count of written bytes any more.
    pub(crate) fn stop_counting(&self) {
        self.lock().stop_counting();
    }

    /// Returns whether the timer has fired since the last call.
    pub(crate) fn take_timer_fired(&self) -> bool {
        self.timer_fired.load(Ordering::Acquire) && self.timer_fired.swap(false, Ordering::AcqRel)
    }

    /// Returns whether we have closed, or the application has woken the handler.
    pub(crate) fn has_signals(&self) -> bool {
        self.flags.has_signals()
    }

    /// Returns whether the application has woken the handler, and we have not closed.
    pub(crate) fn is_woken(&self) -> bool {
        self.flags.is_only_woken()
    }

    /// Returns whether the application has woken the handler since the last call.
    pub(crate) fn take_woken(&self) -> bool {
        self.flags.take_woken()
    }

    /// Handles a pong, and returns what it answers.
    pub(crate) fn handle_pong(&self, payload: &[u8], now: Duration) -> Pong {
        let mut state = self.lock();
        if state.outbound.handle_pong(payload, now) {
            return Pong::Keepalive(state.count_round_trip());
        }
        if state.take_ping(payload) { Pong::Application } else { Pong::Unexpected }
    }

    /// Notes that the peer has taken bytes after making them wait, which is a sign of life.
    pub(crate) fn note_resumed(&self) {
        self.resumed.store(true, Ordering::Relaxed);
    }

    /// Returns whether the peer has taken bytes after making them wait, since the last call.
    pub(crate) fn take_resumed(&self) -> bool {
        self.resumed.swap(false, Ordering::Relaxed)
    }

    /// Shuts the transport's write side down.
    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_shutdown(cx)
    }

    /// Answers an event of the peer.
    pub(crate) fn answer(&self, event: &Event<'_>) {
        self.lock().encode(|outbound, out| outbound.answer(event, out));
    }

    /// Answers the peer's close frame. Returns the code and reason that we closed with, if we did so first.
    pub(crate) fn answer_close(&self, frame: CloseFrame<'_>) -> Option<(CloseCode, String)> {
        let mut state = self.lock();
        state.encode(|outbound, out| outbound.answer(&Event::Close(frame), out));
        let (code, reason) = state.cold.as_ref()?.closed_with.as_ref()?;
        Some((*code, reason.to_string()))
    }

    /// Closes without waiting for the peer's answer, because we cannot go on.
    pub(crate) fn close_at_once(&self, code: CloseCode, reason: &str) {
        self.lock().encode(|outbound, out| outbound.close_at_once(code, reason, out));
    }

    /// Closes because the peer broke the protocol.
    pub(crate) fn close_for_error(&self, error: ProtocolError) {
        self.lock().encode(|outbound, out| outbound.fail(error, out));
    }

    /// Notes that the transport has ended.
    pub(crate) fn receive_eof(&self) {
        self.lock().outbound.receive_eof();
    }

    /// Does everything that is due at `now`. Returns whether the keepalive has sent a ping.
    pub(crate) fn handle_timeout(&self, now: Duration, heard: bool) -> Result<bool, ProtocolError> {
        self.lock().encode(|outbound, out| {
            outbound.poll_pong(out);
            let before = out.unsent_bytes();
            outbound.handle_timeout(now, heard, out)?;
            Ok(out.unsent_bytes() > before)
        })
    }

    /// Returns whether to read the transport, and whether to shut its write side down.
    pub(crate) fn wants(&self) -> Wants {
        self.lock().wants()
    }

    /// Returns whether the transport has been given up.
    pub(crate) fn is_transport_gone(&self) -> bool {
        self.lock().is_transport_gone()
    }

    /// Announces the end of the connection. Nothing more is accepted, but accepted messages can still be flushed.
    pub(crate) fn end(&self) {
        self.announce_end(self.lock());
    }

    /// Announces the end of the connection, and drops its transport.
    pub(crate) fn give_up(&self) {
        let mut state = self.lock();
        let (io, owner) = (state.give_up(), state.take_owner());
        self.announce_end(state);
        drop((io, owner));
    }

    /// Does the same as [`give_up`](Self::give_up) while a handler runs. Everything that the peer has sent by now,
    /// perhaps its close frame, can be read when the handler is done.
    pub(crate) fn give_up_unread(&self) {
        self.lock().keep_unread();
        self.give_up();
    }

    /// Returns whether a write has failed whose error has not been taken.
    pub(crate) fn has_write_failed(&self) -> bool {
        self.lock().has_write_failed()
    }

    /// Takes the error of the write that has failed, if there is one.
    pub(crate) fn take_write_error(&self) -> Option<io::Error> {
        self.lock().take_write_error()
    }

    /// Keeps the first failure of a connection whose handler runs.
    pub(crate) fn keep_failure(&self, failure: Failure) {
        self.lock().cold().failure.get_or_insert_with(|| Box::new(failure));
    }

    /// Takes the failure that was kept, if there is one.
    pub(crate) fn take_failure(&self) -> Option<Failure> {
        self.lock().cold.as_mut()?.failure.take().map(|failure| *failure)
    }

    /// Notes that a handler still runs though the transport is gone. Returns whether that is new.
    pub(crate) fn set_stuck(&self) -> bool {
        self.flags.set_stuck()
    }

    /// Returns whether a handler was still running when the transport was gone.
    pub(crate) fn is_stuck(&self) -> bool {
        self.flags.is_stuck()
    }

    /// Runs the hooks, and then wakes the tasks that wait for the end. If another thread is running the hooks, the
    /// tasks are woken [later](Self::ended).
    pub(super) fn announce_end<'w>(&'w self, mut state: Locked<'w>) {
        if state.end == End::NotYet {
            state.end = End::HooksRunning;
            let hooks = state.cold.as_mut().map(|cold| mem::take(&mut cold.hooks));
            drop(state);
            for hook in hooks.into_iter().flatten() {
                contain(hook);
            }
            state = self.lock();
            state.end = End::Announced;
        }
        let waiters = state.waiters();
        drop(state);
        Waiters::notify_all(waiters);
    }
}

/// A locked outbox, for a step of the task that owns the connection. The task has several things to do at once, and a
/// lock for each would cost more than most of them. When this is dropped, the outbox is unlocked, and then tasks are
/// woken.
pub(crate) struct OwnerStep<'a> {
    // Fields are dropped in this order.
    state: Locked<'a>,
    outbox: &'a Outbox,
    notify: NotifyOnDrop,
}

/// Wakes tasks when it is dropped, that is, when the outbox is unlocked.
#[derive(Default)]
struct NotifyOnDrop(Progress);

impl Drop for NotifyOnDrop {
    #[inline]
    fn drop(&mut self) {
        if !self.0.is_nothing() {
            mem::take(&mut self.0).notify();
        }
    }
}

impl OwnerStep<'_> {
    /// Writes the unsent bytes; a step does this at most once. Returns whether the transport has taken something since
    /// the last call, or has failed. Is ready when nothing is left. The owner counts as awake from now on.
    #[inline] // one of the few calls of each wake-up
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> (bool, Poll<()>) {
        let state = &mut *self.state;
        state.set_owner_awake();
        let written =
            if state.is_idle() { Poll::Ready(Written::All) } else { state.poll_write(cx) };
        state.blocked = written.is_pending();
        let took = mem::take(&mut state.took) | (written == Poll::Ready(Written::Failed));
        if took {
            debug_assert!(
                self.notify.0.is_nothing(),
                "a step writes once, or tasks might not be woken"
            );
            self.notify.0 = self.outbox.progress(&self.state);
        }
        (took, written.map(|_| ()))
    }

    /// Reads once.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.state.poll_read(cx, buf)
    }

    /// Counts what the session has received.
    pub(crate) fn count_received(&mut self, received: Traffic) {
        if !received.is_empty() {
            self.state.count(received, Traffic::default());
        }
    }

    /// Notes that the owner, which has flushed, is about to sleep until it is woken or a deadline passes.
    #[inline] // one of the few calls of each wake-up
    pub(crate) fn prepare_sleep(&mut self, write_blocked: bool) -> Result<Sleep, Failure> {
        let state = &mut *self.state;
        if let Some(cut) = state.cut {
            return Err(cut.into());
        }
        if state.is_transport_gone() {
            // The transport was given up while a handler ran, and all bytes kept from it have been read.
            return Err(ProtocolError::CloseTimeout.into());
        }
        if !write_blocked && !state.is_idle() {
            return Ok(Sleep::NotYet);
        }
        state.set_owner_asleep();
        state.blocked = write_blocked;
        Ok(Sleep::Until(state.outbound.poll_timeout()))
    }

    /// Returns whether to read the transport, and whether to shut its write side down.
    pub(crate) fn wants(&self) -> Wants {
        self.state.wants()
    }
}

/// What a pong answers.
#[derive(Debug)]
pub(crate) enum Pong {
    /// The latest ping of the keepalive, after this time.
    Keepalive(Duration),
    /// A ping of the application.
    Application,
    /// Nothing, or a ping that was answered already.
    Unexpected,
}

/// Whether the owner may sleep.
#[derive(Debug)]
pub(crate) enum Sleep {
    /// No: something has been sent since it flushed.
    NotYet,
    /// Until it is woken, or until this time.
    Until(Option<Duration>),
}

impl OutboxState {
    fn wants(&self) -> Wants {
        Wants { read: self.outbound.wants_read(), shutdown: self.outbound.wants_shutdown() }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Wants {
    pub(crate) read: bool,
    pub(crate) shutdown: bool,
}
