//! [`Outbox`]: one lock around a connection's [`Wire`].
//!
//! Whoever sends encodes straight into the connection's output: one copy, no queue of messages, and
//! the bytes are counted exactly. What has gathered leaves in one write: of the task that owns the
//! connection, which is woken only if it sleeps, or of the [session](crate::connection::batch) that sent it.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    task::{Poll, Waker},
};

use prism_core::{CloseCode, CloseFrame, Headers, Outbound, OwnedHeaders, SendError};

use crate::{
    error::TrySendError,
    options::{Options, when_slow::WhenSlow},
    outbox::{
        queue::Unsent,
        state::{End, Outgoing, Wire, Written, nobody},
        sync::{AtomicBool, Mutex, MutexGuard},
        waiters::{Notices, Room},
    },
    runtime::{Transport, contain::contain, wakeups},
};

pub(crate) mod batch_number;
pub(crate) mod budget;
pub(crate) mod cut;
pub(crate) mod owner;
pub(crate) mod queue;
#[cfg(all(test, prism_loom))]
mod races;
pub(crate) mod repeats;
pub(crate) mod state;
pub(crate) mod sync;
pub(crate) mod transport;
pub(crate) mod waiters;

pub(crate) struct Outbox {
    wire: Mutex<Wire>,
    /// We have closed.
    closed: AtomicBool,
    /// The owner's alarm has rung.
    rung: AtomicBool,
    /// The peer has taken something that it had kept waiting.
    relieved: AtomicBool,
    /// The transport is gone, and a handler still runs.
    stuck: AtomicBool,
    high_water_mark: u32,
}

/// Whether a sender would wait for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    Waits,
    None,
}

/// What is left to do for whoever has appended something, so that it leaves.
#[must_use]
pub(crate) enum Duty {
    Nothing,
    /// The owner sleeps.
    Wake(Waker),
    /// The owner sleeps, and may go on sleeping: the session that sends writes by itself.
    FanOut,
    /// The owner waits for the transport, and its server holds too much for such connections.
    Enforce,
}

impl Outbox {
    /// `unsent`: what is to be sent before any message, that is, the handshake.
    pub(crate) fn new(
        io: Box<dyn Transport>,
        outbound: Outbound,
        unsent: Option<Box<Unsent>>,
        headers: Option<OwnedHeaders>,
        options: &Options,
    ) -> Self {
        Self {
            wire: Mutex::new(Wire::new(io, outbound, unsent, headers)),
            closed: AtomicBool::new(false),
            rung: AtomicBool::new(false),
            relieved: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            // At zero there would never be room.
            high_water_mark: u32::try_from(options.high_water_mark).unwrap_or(u32::MAX).max(1),
        }
    }

    /// Sends now, or does what is to be done where there is no room: where the sender is to wait, it
    /// is told `Full`, and nothing has been missed.
    pub(crate) fn send(
        &self,
        message: Outgoing<'_>,
        patience: Patience,
    ) -> Result<Duty, TrySendError> {
        let mut wire = self.lock();
        if wire.is_full(self.high_water_mark as usize) {
            let Some(roomy) = self.make_room(wire, patience)? else { return Ok(Duty::Nothing) };
            wire = roomy;
        }
        wire.send(message).map_err(TrySendError::Refused)?;
        Ok(duty(&mut wire))
    }

    pub(crate) fn try_ping(&self, payload: &[u8]) -> Result<Duty, TrySendError> {
        let mut wire = self.lock();
        if wire.is_full(self.high_water_mark as usize) {
            return Err(TrySendError::Full);
        }
        let written = wire.write(|outbound, out| outbound.ping(payload, out));
        written.map_err(TrySendError::Refused)?;
        Ok(duty(&mut wire))
    }

    /// How many messages found no room.
    pub(crate) fn missed(&self) -> u64 {
        self.lock().more.as_ref().map_or(0, |more| more.missed)
    }

    /// What is to become of messages that find no room.
    pub(crate) fn set_when_slow(&self, when_slow: WhenSlow) {
        self.lock().when_slow = when_slow;
    }

    /// What is found in the headers, if they are still there.
    pub(crate) fn in_headers<T>(&self, find: impl FnOnce(Headers<'_>) -> T) -> Option<T> {
        Some(find(self.lock().more.as_ref()?.headers.as_ref()?.as_headers()))
    }

    /// The headers, if they are still there; from now on they are not.
    pub(crate) fn take_headers(&self) -> Option<OwnedHeaders> {
        self.lock().take_headers()
    }

    /// Begins the close handshake, mark or no mark; whether this call was the one that closed.
    pub(crate) fn close(&self, code: CloseCode, reason: &str) -> bool {
        let mut wire = self.lock();
        if !wire.write(|outbound, out| outbound.close(code, reason, out)) {
            return false;
        }
        let sent = CloseFrame::new(code, reason);
        wire.more().closed_with = Some((sent.code, sent.reason.into()));
        self.closed.store(true, Ordering::Release);
        tell_all(wire);
        true
    }

    /// Returns when what is unsent now has been written, whatever comes after it. What the transport
    /// takes at once is written here: the task that would do it may be blocked by the caller.
    pub(crate) async fn flush(&self) -> Result<(), SendError> {
        let notices = self.notices(); // and whoever waits keeps the count of what is written
        let end = {
            let mut wire = self.lock();
            wire.written() + wire.lost() + wire.unsent() as u64
        };
        let done = || {
            let mut wire = self.lock();
            // What was dropped is never written: then the end is when nothing is left.
            wire.written() >= end || (wire.unsent() == 0 && wire.lost() == 0)
        };
        self.write_now();
        notices.progress.wait_until(|| done() || self.lock().lost() > 0).await;
        if done() { Ok(()) } else { Err(SendError::Closed) }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.lock().is_open()
    }

    /// How many bytes are waiting to be sent.
    pub(crate) fn buffered(&self) -> usize {
        self.lock().unsent()
    }

    /// Whether a sender has to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.lock().is_full(self.high_water_mark as usize)
    }

    /// What to wait for. (Ask for it first, then look whether you have to wait.)
    pub(crate) fn notices(&self) -> Arc<Notices> {
        self.lock().more().notices.get_or_insert_default().clone()
    }

    /// Whether we have closed the connection.
    pub(crate) fn is_closed_by_us(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Returns when we have closed the connection.
    pub(crate) async fn closed_by_us(&self) {
        self.notices().turned.wait_until(|| self.is_closed_by_us()).await;
    }

    /// Returns when the connection is over, and all hooks have run.
    pub(crate) async fn ended(&self) {
        let is_told = || self.lock().end == End::Told;
        if !is_told() {
            self.notices().turned.wait_until(is_told).await;
        }
    }

    /// Rings the owner's alarm.
    pub(crate) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        wake_owner(self.lock());
    }

    /// Runs a hook when the connection is over: now, if it is.
    pub(crate) fn on_end(&self, hook: impl FnOnce() + Send + 'static) {
        let mut wire = self.lock();
        if wire.end == End::Ahead {
            wire.more().hooks.push(Box::new(hook));
        } else {
            drop(wire);
            contain(hook);
        }
    }

    /// Writes what is unsent in place of an owner that sleeps; it is woken only if that blocks, or
    /// fails.
    pub(crate) fn fan_out(&self) {
        let mut wire = self.lock();
        // One that is awake writes by itself.
        let Some(owner) = wire.owner.take() else { return };
        let written = wire.write_for_owner(&owner);
        let woken = match written {
            // A write of a sender's may have failed before.
            Poll::Ready(Written::All) if !wire.has_write_failed() => {
                wire.owner = Some(owner);
                // A transport that has taken something owes nobody a wake-up any more.
                wire.blocked = false;
                None
            }
            // It has a deadline to set.
            Poll::Ready(_) => Some(owner),
            Poll::Pending => {
                wire.blocked = true;
                Some(owner)
            }
        };
        self.notify_progress(wire);
        if let Some(owner) = woken {
            wakeups::wake(owner);
        }
    }

    /// Writes what is unsent, as far as the transport takes it, whoever owns the connection.
    fn write_now(&self) {
        let mut wire = self.lock();
        // Where the transport is to wake the owner, it must not be asked by anybody else.
        if wire.blocked || wire.is_idle() {
            return;
        }
        if wire.owner.is_some() {
            drop(wire);
            return self.fan_out();
        }
        // The owner is awake, and sees what is left.
        let before = wire.unsent();
        let written = wire.write_for_owner(&nobody());
        if written == Poll::Ready(Written::Failed) {
            tell_all(wire);
        } else if wire.unsent() < before {
            self.notify_progress(wire);
        }
    }

    /// Does what is to be done for a message for which there is no room; `None` if that is to be missed
    /// without a word.
    #[cold]
    fn make_room<'w>(
        &self,
        mut wire: MutexGuard<'w, Wire>,
        patience: Patience,
    ) -> Result<Option<MutexGuard<'w, Wire>>, TrySendError> {
        let mark = self.high_water_mark as usize;
        let (when_slow, waits) = (wire.when_slow, patience == Patience::Waits);
        if when_slow == WhenSlow::Wait && waits {
            return Err(TrySendError::Full);
        }
        // What is there may have waited for nothing but the end of a turn. (Where the transport is to
        // wake the owner, it must not be asked by anybody else.)
        if !wire.blocked {
            let written = wire.write_for_owner(&nobody());
            if written == Poll::Ready(Written::Failed) {
                tell_all(wire);
                return Err(TrySendError::Refused(SendError::Closed));
            }
            if !wire.is_full(mark) {
                return Ok(Some(wire));
            }
        }
        if when_slow == WhenSlow::DropOldest {
            while wire.is_full(mark) && wire.drop_oldest() {}
            if !wire.is_full(mark) {
                return Ok(Some(wire));
            }
        }
        wire.more().missed += 1;
        match when_slow {
            WhenSlow::Close => {
                drop(wire);
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

    /// Bytes have left, or never will.
    fn notify_progress(&self, wire: MutexGuard<'_, Wire>) {
        let Some(notices) = wire.notices() else { return };
        let open = wire.is_open();
        let room = match wire.is_full(self.high_water_mark as usize) {
            true => Room::None,
            false if wire.unsent() == 0 => Room::All,
            false => Room::Some,
        };
        drop(wire);
        if open {
            notices.notify_progress(room);
        } else {
            Notices::notify_all(Some(notices));
        }
    }

    /// Nothing in here panics half-way through a change, so a poisoned lock is as good as another.
    fn lock(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has to be done after something was appended.
fn duty(wire: &mut Wire) -> Duty {
    // An owner that is awake writes, and enforces the budget.
    if wire.owner.is_none() || (wire.is_idle() && !wire.has_write_failed()) {
        return Duty::Nothing;
    }
    if wire.blocked {
        let is_over = wire.place().is_some_and(|place| place.budget().is_over());
        return if is_over { Duty::Enforce } else { Duty::Nothing };
    }
    match batch_number::current() {
        None => wire.owner.take().map_or(Duty::Nothing, Duty::Wake),
        Some(number) if wire.fanned_out == number => Duty::Nothing,
        Some(number) => {
            wire.fanned_out = number;
            Duty::FanOut
        }
    }
}

/// Something has changed for everybody: the owner has a deadline to set.
fn tell_all(wire: MutexGuard<'_, Wire>) {
    let notices = wire.notices();
    wake_owner(wire);
    Notices::notify_all(notices);
}

fn wake_owner(mut wire: MutexGuard<'_, Wire>) {
    let owner = wire.owner.take();
    drop(wire);
    if let Some(owner) = owner {
        wakeups::wake(owner);
    }
}
