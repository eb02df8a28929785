//! Sending: how a message enters an outbox, and what happens if there is no room.

use std::task::{Poll, Waker};

use prism_core::{Message, SendError, deflate::Compressed};

use crate::{
    error::TrySendError,
    options::when_slow::WhenSlow,
    outbox::{
        Outbox,
        locked::Locked,
        source::Source,
        state::{OutboxState, Written, noop_waker},
        wake_all,
    },
    runtime::turn::{batch_number, work},
};

mod enqueue;

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

/// Room for a message.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    /// Whether the message may be dropped after it has been accepted.
    pub(crate) is_droppable: bool,
    /// The [number](OutboxState::number) of the outbox.
    pub(crate) outbox: usize,
}

impl Outbox {
    /// Sends now, or follows the connection's policy if there is no room. If the sender is to wait, this returns
    /// `Full`, and no message has been missed. May take the message from the sender, unless this fails.
    ///
    /// The message is sent as it is: see [`compresses`](Self::compresses).
    #[inline(never)] // Few messages are sent by this.
    pub(crate) fn send(
        &self,
        message: &mut Source<'_>,
        when_full: WhenFull,
    ) -> Result<AfterSend, TrySendError> {
        let state = self.append(message, when_full)?;
        Ok(state.map_or(AfterSend::Nothing, |mut state| after_append(&mut state)))
    }

    /// Appends a message. Returns the outbox, still locked, unless the message is missed silently. If its owner
    /// [sleeps](for_sleeping_owner), there is more to do.
    #[inline(always)] // A broadcast calls this for each of its messages.
    pub(crate) fn append(
        &self,
        message: &mut Source<'_>,
        when_full: WhenFull,
    ) -> Result<Option<Locked<'_>>, TrySendError> {
        self.append_with(when_full, |state| state.enqueue(message))
    }

    /// Appends a message that is [short](Source::as_short), as most are, otherwise as [`append`](Self::append) does.
    #[inline(always)] // into the only function that calls this
    pub(crate) fn append_short(
        &self,
        message: Message<'_>,
        when_full: WhenFull,
    ) -> Result<Option<Locked<'_>>, TrySendError> {
        self.append_with(when_full, |state| state.enqueue_short(message))
    }

    #[inline(always)]
    fn append_with(
        &self,
        when_full: WhenFull,
        append: impl FnOnce(&mut OutboxState) -> Result<(), SendError>,
    ) -> Result<Option<Locked<'_>>, TrySendError> {
        let Some(mut state) = self.with_room(when_full)? else { return Ok(None) };
        append(&mut state).map_err(TrySendError::Refused)?;
        state.count_message();
        Ok(Some(state))
    }

    /// Returns whether messages are to be compressed before they are sent.
    pub(crate) const fn compresses(&self) -> bool {
        self.compresses
    }

    /// Makes room as [`send`](Self::send) does, for a message that has yet to be compressed. Returns `None` if the
    /// message is to be missed silently.
    pub(crate) fn find_room(&self, when_full: WhenFull) -> Result<Option<Room>, TrySendError> {
        let Some(state) = self.with_room(when_full)? else { return Ok(None) };
        if !state.is_open() {
            return Err(TrySendError::Refused(SendError::Closed));
        }
        let is_droppable = state.when_slow == WhenSlow::DropOldest;
        Ok(Some(Room { is_droppable, outbox: state.number() }))
    }

    /// Sends a compressed message, otherwise as [`send`](Self::send) does.
    pub(crate) fn send_compressed(
        &self,
        message: Compressed<'_>,
        when_full: WhenFull,
    ) -> Result<AfterSend, TrySendError> {
        let state = self.append_with(when_full, |state| state.enqueue_compressed(message))?;
        Ok(state.map_or(AfterSend::Nothing, |mut state| after_append(&mut state)))
    }

    /// Locks the state when there is room for a message, or follows the connection's policy if there is none. Returns
    /// `None` if the message is to be missed silently.
    #[inline(always)]
    fn with_room(&self, when_full: WhenFull) -> Result<Option<Locked<'_>>, TrySendError> {
        let state = self.lock();
        if state.is_full(self.high_water_mark as usize) {
            return self.make_room(state, when_full);
        }
        Ok(Some(state))
    }

    pub(crate) fn try_ping(&self, payload: &[u8]) -> Result<AfterSend, TrySendError> {
        let mut state = self.lock();
        if state.is_full(self.high_water_mark as usize) {
            return Err(TrySendError::Full);
        }
        let written = state.encode(|outbound, out| outbound.ping(payload, out));
        written.map_err(TrySendError::Refused)?;
        state.add_ping(payload);
        Ok(after_append(&mut state))
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
        work::count_delivery();
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
        state.count_missed();
        match when_slow {
            WhenSlow::Close => {
                drop(state);
                self.close_as_too_slow();
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
}

/// Returns the work left for a sender that has appended bytes.
#[inline(always)]
fn after_append(state: &mut OutboxState) -> AfterSend {
    // An owner that is awake writes, and enforces the budget.
    if state.owner_sleeps() { for_sleeping_owner(state) } else { AfterSend::Nothing }
}

/// Returns the work left for a sender that has appended bytes, if the owner sleeps.
#[inline(never)] // A copy in each caller would make an echo 1 % slower.
pub(crate) fn for_sleeping_owner(state: &mut OutboxState) -> AfterSend {
    if state.is_idle() && !state.has_write_failed() {
        return AfterSend::Nothing;
    }
    if state.blocked {
        work::count_delivery();
        let is_over = state.budget_entry().is_some_and(|entry| entry.budget().is_over());
        return if is_over { AfterSend::EnforceBudget } else { AfterSend::Nothing };
    }
    let batch = batch_number::current();
    if batch == Some(state.batch) {
        work::count_further_delivery();
        return AfterSend::Nothing;
    }
    work::count_delivery();
    match batch {
        None => state.take_sleeping_owner().map_or(AfterSend::Nothing, AfterSend::WakeOwner),
        Some(number) => {
            state.batch = number;
            AfterSend::AddToBatch
        }
    }
}
