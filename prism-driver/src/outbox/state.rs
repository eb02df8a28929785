//! [`OutboxState`]: what is behind an outbox's lock: the transport, the sending half, and the bytes between
//! them.

use std::{
    io,
    sync::{Arc, Weak},
    task::Waker,
};

use prism_core::{
    CloseCode, Message, Outbound, OwnedHeaders, PreparedMessage, Role, SendError, State,
};

use crate::{
    buffer_pool,
    error::Failure,
    options::when_slow::WhenSlow,
    outbox::{
        budget::{Budget, BudgetEntry, Evict},
        queue::{Droppable, MIN_SHARED, SendQueue},
        repeats,
        waiters::Waiters,
    },
    runtime::Transport,
};

/// From this size on a payload goes to the transport from where it lies. Copying less is cheaper
/// than what gathers in one write.
const LARGE: usize = 16 << 10;

pub(crate) struct OutboxState {
    pub(crate) outbound: Outbound,
    /// Gone once the connection has failed or is over: a handler that still runs needs no socket.
    pub(super) io: Option<Box<dyn Transport>>,
    /// An idle connection has no memory for output: it is lent some.
    pub(super) unsent: Option<Box<SendQueue>>,
    /// Whether the transport may hold back bytes that were written to it, as TLS does.
    pub(super) unflushed: bool,
    /// Whether the transport has taken something since the owner last asked.
    pub(super) took: bool,
    pub(crate) when_slow: WhenSlow,
    /// The task that owns the connection, while it sleeps.
    pub(crate) owner: Option<Waker>,
    /// Whether the transport is to wake the owner when it takes more.
    pub(crate) blocked: bool,
    /// The number of the last fan-out that this connection was part of.
    pub(crate) batch: u64,
    pub(crate) cut: Option<Cut>,
    pub(crate) end: End,
    /// What few connections have.
    pub(crate) cold: Option<Box<ColdState>>,
}

/// What has become of what was unsent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// All of it has left.
    All,
    /// A write has failed: what was left is lost, and nothing more can be sent.
    Failed,
}

/// How far the connection's end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    NotYet,
    /// The hooks run.
    HooksRunning,
    /// The hooks have run.
    Announced,
}

/// Who would not wait for the close handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// The server's shutdown.
    Shutdown,
    /// The application.
    Abort,
    /// The server's [budget](crate::outbox::budget).
    Eviction,
}

#[derive(Default)]
pub(crate) struct ColdState {
    /// There until `on_connect` has run: idle connections should not hold a head each.
    pub(crate) headers: Option<OwnedHeaders>,
    /// Why the transport takes no more.
    pub(super) write_error: Option<io::Error>,
    /// What the peer had sent when the transport was given up with a handler still running. Boxed: each
    /// handshake leaves some of this behind, and very few have it.
    pub(super) unread: Option<Box<io::Cursor<Vec<u8>>>>,
    /// How many bytes have been written since somebody first asked.
    pub(super) written: Option<u64>,
    /// How many bytes were unsent when the transport went.
    pub(super) lost: u64,
    /// How many messages found no room.
    pub(crate) missed: u64,
    /// How we closed, if we did so first.
    pub(crate) closed_with: Option<(CloseCode, Box<str>)>,
    pub(crate) waiters: Option<Arc<Waiters>>,
    /// What is to be run when the connection is over.
    pub(crate) hooks: Vec<Box<dyn FnOnce() + Send>>,
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

impl ColdState {
    fn is_empty(&self) -> bool {
        let Self {
            headers,
            write_error,
            unread,
            written,
            lost,
            missed,
            closed_with,
            waiters,
            hooks,
        } = self;
        headers.is_none()
            && write_error.is_none()
            && unread.is_none()
            && written.is_none()
            && *lost == 0
            && *missed == 0
            && closed_with.is_none()
            && waiters.is_none()
            && hooks.is_empty()
    }
}

impl OutboxState {
    /// `unsent`: what is to be sent before any message, that is, the handshake.
    pub(crate) fn new(
        io: Box<dyn Transport>,
        outbound: Outbound,
        unsent: Option<Box<SendQueue>>,
        headers: Option<OwnedHeaders>,
    ) -> Self {
        Self {
            outbound,
            io: Some(io),
            unsent,
            unflushed: false,
            took: false,
            when_slow: WhenSlow::Wait,
            owner: None,
            blocked: false,
            batch: 0,
            cut: None,
            end: End::NotYet,
            cold: headers
                .is_some()
                .then(|| Box::new(ColdState { headers, ..ColdState::default() })),
        }
    }

    pub(crate) fn cold(&mut self) -> &mut ColdState {
        self.cold.get_or_insert_default()
    }

    // ---- what is to be sent

    /// Sends a message; one that is large is written at once, as far as the transport takes it.
    pub(crate) fn send(&mut self, message: Outgoing<'_>) -> Result<(), SendError> {
        match message {
            message if self.when_slow == WhenSlow::DropOldest => self.send_droppable(message),
            Outgoing::Message(message) if message.as_bytes().len() >= MIN_SHARED => {
                self.send_long(message)
            }
            Outgoing::Message(message) => self.write(|outbound, out| outbound.send(message, out)),
            Outgoing::Prepared(message) => {
                self.write(|outbound, out| outbound.send_prepared(message, out))
            }
        }
    }

    /// Drops the oldest message of which nothing has been written; whether there was one.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        let dropped = self.unsent.as_mut().is_some_and(|unsent| unsent.drop_oldest());
        if dropped {
            self.cold().missed += 1;
            self.return_memory();
        }
        dropped
    }

    /// Lets the sending half write.
    pub(crate) fn write<T>(&mut self, write: impl FnOnce(&mut Outbound, &mut SendQueue) -> T) -> T {
        let unsent = self.unsent.get_or_insert_with(buffer_pool::take_send);
        let result = write(&mut self.outbound, unsent);
        self.return_memory();
        result
    }

    /// How many bytes are waiting to be sent.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent.as_ref().map_or(0, |unsent| unsent.len())
    }

    /// Returns its place in the server's budget, while the peer keeps something waiting.
    pub(crate) fn budget_entry(&self) -> Option<&BudgetEntry> {
        self.unsent.as_ref()?.budget_entry()
    }

    /// Counts what is unsent in a budget, from now on until nothing is.
    pub(crate) fn count_in(
        &mut self,
        budget: &Arc<Budget>,
        connection: impl FnOnce() -> Weak<dyn Evict>,
    ) {
        if let Some(unsent) = &mut self.unsent {
            unsent.count_in(budget, connection);
        }
    }

    /// What others wait for, if somebody does.
    pub(crate) fn waiters(&self) -> Option<Arc<Waiters>> {
        self.cold.as_ref()?.waiters.clone()
    }

    /// How many bytes have been written since this was first called.
    pub(crate) fn written(&mut self) -> u64 {
        *self.cold().written.get_or_insert(0)
    }

    /// Stops counting, unless somebody may be waiting for a flush.
    pub(crate) fn stop_counting(&mut self) {
        if let Some(cold) = &mut self.cold
            && cold.waiters.is_none()
        {
            cold.written = None;
            self.cold.take_if(|cold| cold.is_empty());
        }
    }

    /// How many bytes were unsent when the transport went.
    pub(crate) fn lost(&self) -> u64 {
        self.cold.as_ref().map_or(0, |cold| cold.lost)
    }

    /// Takes the headers, if they are still there.
    pub(crate) fn take_headers(&mut self) -> Option<OwnedHeaders> {
        let headers = self.cold.as_mut()?.headers.take();
        // There is nothing else, unless `on_connect` was busy.
        self.cold.take_if(|cold| cold.is_empty());
        headers
    }

    /// Whether there is nothing to write.
    pub(crate) const fn is_idle(&self) -> bool {
        self.unsent.is_none() && !self.unflushed
    }

    /// Whether a sender has to wait. (Once it is closing, a sender learns that instead.)
    pub(crate) fn is_full(&self, high_water_mark: usize) -> bool {
        let Some(unsent) = &self.unsent else { return false };
        let apart = if self.when_slow == WhenSlow::DropOldest { unsent.overhead() } else { 0 };
        unsent.len() + apart >= high_water_mark && self.is_open()
    }

    /// Whether messages can be sent.
    pub(crate) fn is_open(&self) -> bool {
        self.outbound.state() == State::Open
    }

    #[inline(never)]
    fn send_droppable(&mut self, message: Outgoing<'_>) -> Result<(), SendError> {
        let encoded;
        let message = match message {
            Outgoing::Prepared(message) => message,
            Outgoing::Message(message) => {
                encoded = self.share(message).unwrap_or_else(|| PreparedMessage::new(message));
                &encoded
            }
        };
        self.write(|outbound, out| outbound.send_prepared(message, &mut Droppable(out)))
    }

    /// Sends a message that is long enough to be shared.
    #[inline(never)]
    fn send_long(&mut self, message: Message<'_>) -> Result<(), SendError> {
        // Where something waits already, its owner may be waiting for the transport, too.
        let at_once = message.as_bytes().len() >= LARGE && self.is_idle();
        if at_once && self.write(|outbound, out| outbound.send_header(message, out))? {
            self.write_payload_for_owner(message);
            return Ok(());
        }
        match self.share(message) {
            Some(shared) => self.write(|outbound, out| outbound.send_prepared(&shared, out)),
            None => self.write(|outbound, out| outbound.send(message, out)),
        }
    }

    /// What to send in the place of a message that others get as well.
    pub(super) fn share(&self, message: Message<'_>) -> Option<PreparedMessage> {
        match self.outbound.role() {
            Role::Server if message.as_bytes().len() >= MIN_SHARED => {
                repeats::share(message, std::ptr::from_ref(self).addr())
            }
            // What is short is not worth it, and a client masks with a key of its own.
            Role::Server | Role::Client => None,
        }
    }

    pub(super) fn return_memory(&mut self) {
        if let Some(unsent) = self.unsent.take_if(|unsent| unsent.is_empty()) {
            buffer_pool::put_send(unsent);
        }
    }
}

/// A waker that wakes nobody. (A clone, because tokio, which has others take a turn by and by, keeps each
/// waker that is not the same as the last; and the original need not be the same as its clones.)
pub(crate) fn noop_waker() -> Waker {
    Waker::noop().clone()
}

/// What a sender hands over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outgoing<'m> {
    Message(Message<'m>),
    Prepared(&'m PreparedMessage),
}
