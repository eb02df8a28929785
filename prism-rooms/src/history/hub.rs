//! [`Hub`]: what a history and the task of its cluster share.

use std::{collections::VecDeque, mem, sync::Arc};

use async_channel::{Receiver, Sender};
use bytes::Bytes;
use prism_driver::{Connection, Message, PreparedMessage, contain, hold_wakeups};

use super::{
    appends::{AppendCounts, Appends, PendingAppend},
    error::{AppendError, HistoryError, HistoryJoinError},
    join_id::JoinId,
    joined::{JoinStep, Progress},
    position::Position,
    record::Record,
    start::Start,
};
use crate::{
    backplane::history::Keep,
    signal::Signal,
    sync::{Lock, assert_no_lock_is_held},
};

/// How messages are shown to clients.
type Format = dyn Fn(&Position, Message<'_>) -> PreparedMessage + Send + Sync;
/// How clients are told that they may have missed something.
type Notice = dyn Fn(&str, &Position) -> PreparedMessage + Send + Sync;

pub(crate) struct Hub {
    state: Lock<State>,
    appends: Appends,
    /// Wakes the task.
    signal: Signal,
}

struct State {
    setup: Option<Setup>,
    requests: VecDeque<Request<Connection>>,
    /// The number of the last request to join.
    last_number: u64,
    has_left: bool,
}

/// What the application has chosen.
struct Setup {
    keep: Keep,
    format: Arc<Format>,
    notice: Option<Arc<Notice>>,
}

/// Something that the task has to do, for connections, or for what the simulation has in their place.
pub(crate) enum Request<C> {
    Append {
        room: Box<str>,
        record: Bytes,
        pending: PendingAppend,
    },
    Join(JoinRequest<C>),
    /// A connection has taken all that it was sent: that much of its page, if it had one.
    Continue {
        id: JoinId,
        progress: Option<Progress>,
    },
    /// The caller has learned that its connection is a member.
    Accept(JoinId),
    /// Nobody waits any more until a connection has joined. It leaves the room.
    Cancel(JoinId),
}

pub(crate) struct JoinRequest<C> {
    pub(crate) id: JoinId,
    pub(crate) connection: C,
    pub(crate) start: Start,
    pub(crate) answer_to: Sender<JoinStep>,
}

impl Hub {
    pub(crate) fn new(signal: Signal) -> Self {
        let state =
            State { setup: None, requests: VecDeque::new(), last_number: 0, has_left: false };
        Self { state: Lock::new(state), appends: Appends::new(), signal }
    }

    // ---- for the history

    /// Sets what the application has chosen, once.
    pub(super) fn set_up(&self, keep: Keep, format: Arc<Format>) -> Result<(), HistoryError> {
        let mut state = self.state.lock();
        if state.setup.is_some() {
            drop(state);
            return Err(HistoryError::Exists);
        }
        state.setup = Some(Setup { keep, format, notice: None });
        Ok(())
    }

    pub(super) fn set_notice(&self, notice: Arc<Notice>) {
        let replaced =
            self.state.lock().setup.as_mut().and_then(|setup| setup.notice.replace(notice));
        drop(replaced); // unlocked: it is the application's
    }

    /// Adds a message of `bytes` bytes that is to be kept. Returns it with the receiver of its answer, or `None`
    /// if too many wait.
    pub(super) fn begin_append(
        &self,
        bytes: usize,
    ) -> Option<(PendingAppend, Receiver<Result<Position, AppendError>>)> {
        self.appends.begin(bytes)
    }

    /// Asks the task to do something. Unless it has left: then the request is dropped, and with it the channel of its
    /// answer.
    pub(super) fn request(&self, request: Request<Connection>) {
        let _wakeups = hold_wakeups();
        let mut state = self.state.lock();
        if state.has_left {
            drop(state);
            return drop(request);
        }
        state.requests.push_back(request);
        drop(state);
        self.signal.send();
    }

    /// Returns a number for a request to join, which no other has.
    pub(super) fn next_number(&self) -> u64 {
        let mut state = self.state.lock();
        state.last_number += 1;
        state.last_number
    }

    /// Wakes the task.
    pub(super) fn wake(&self) {
        self.signal.send();
    }

    /// Returns why a request to join was dropped.
    pub(super) fn why_cancelled(&self) -> HistoryJoinError {
        let has_left = self.state.lock().has_left;
        if has_left { HistoryJoinError::Unavailable } else { HistoryJoinError::Left }
    }

    /// Returns what has become of the messages that were to be kept.
    pub(crate) fn append_counts(&self) -> AppendCounts {
        self.appends.counts()
    }

    // ---- for both

    /// Returns a record as clients see it. `None` if it is malformed, or if the application's function has panicked.
    pub(crate) fn format(&self, position: &Position, record: &[u8]) -> Option<PreparedMessage> {
        assert_no_lock_is_held();
        let Record { message, plain } = Record::decode(record)?;
        let format = self.state.lock().setup.as_ref()?.format.clone();
        let message = contain(|| format(position, message))?;
        Some(if plain { message.plain() } else { message })
    }

    // ---- for the task

    pub(crate) fn keep(&self) -> Option<Keep> {
        Some(self.state.lock().setup.as_ref()?.keep)
    }

    /// Returns what members are told that may have missed something; `None` if they are to be closed.
    pub(crate) fn notice(&self, room: &str, position: &Position) -> Option<PreparedMessage> {
        assert_no_lock_is_held();
        let notice = self.state.lock().setup.as_ref()?.notice.clone()?;
        contain(|| notice(room, position))
    }

    pub(crate) fn take_requests(&self) -> VecDeque<Request<Connection>> {
        mem::take(&mut self.state.lock().requests)
    }

    /// Drops all requests, also those to come. The caller holds wake-ups.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.has_left = true;
        let requests = mem::take(&mut state.requests);
        drop(state);
        drop(requests); // unlocked: this closes channels
    }
}
