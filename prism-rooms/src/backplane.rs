//! [`Backplane`]: what carries bytes between the nodes of a cluster; and [`Session`], a connection to it.

use std::{collections::VecDeque, error::Error, fmt, mem, pin::Pin};

use async_channel::Receiver;
use bytes::Bytes;
use prism_driver::Deferring;

use crate::{history::position::Position, signal::Signal, sync::Lock};

pub(crate) mod command;
pub(crate) mod history;
pub(crate) mod memory;
pub(crate) mod ticket;

use self::{
    command::{Command, Ticket},
    history::{Page, Reply},
};

/// Carries bytes between the nodes of a [`Cluster`](crate::Cluster): a message broker such as Redis, or
/// [one in memory](crate::MemoryBroker) for tests.
///
/// A backplane decides nothing. It opens a connection when it is asked to, and says when that is lost. It subscribes,
/// unsubscribes and publishes when it is told to. The cluster does the rest: it connects again, recognizes what arrives
/// twice, and notices what does not arrive.
///
/// What one session publishes has to arrive at each other session in the same order, across channels too. It may be
/// lost or repeated. It has to arrive at the session itself, too, if that has subscribed: a node whose own heartbeats
/// do not come back for 5 s takes the connection for broken. So a backplane that publishes and subscribes over
/// different connections should publish nothing until the first subscription is done.
///
/// What was published before a session subscribed to a channel must not arrive there once the subscription is
/// [done](Session::done): the cluster counts what is missing from then on.
///
/// A backplane that panics ends its session, not the cluster.
///
/// ```
/// use prism_rooms::{Backplane, Command, Session, SessionFuture};
///
/// /// One that connects this node to itself only.
/// struct Loopback;
///
/// impl Backplane for Loopback {
///     fn serve<'a>(&'a self, session: &'a Session) -> SessionFuture<'a> {
///         Box::pin(async move {
///             session.connected();
///             loop {
///                 for command in session.next().await {
///                     match command {
///                         Command::Subscribe { ticket, .. } => session.done(ticket),
///                         Command::Unsubscribe { .. } => {}
///                         Command::Append(_) | Command::Read(_) => unreachable!("it keeps no history"),
///                         Command::Publish { payload, ticket, .. } => {
///                             session.received(payload);
///                             session.done(ticket);
///                         }
///                     }
///                 }
///             }
///         })
///     }
/// }
/// ```
pub trait Backplane: Send + Sync + 'static {
    /// Opens one connection, carries out the session's commands until the connection is lost, and returns why it was.
    /// Never reconnects.
    ///
    /// The future is dropped if the connection takes too long, or if the session has to end for another reason. It is
    /// polled in the task that delivers what it [receives](Session::received), so it should yield after every 64 KiB or
    /// so: until then they take up memory.
    fn serve<'a>(&'a self, session: &'a Session) -> SessionFuture<'a>;

    /// Returns whether the backplane keeps the messages of rooms: only then is it given [`Append`](Command::Append) and
    /// [`Read`](Command::Read) commands. By default, it does not.
    fn keeps_history(&self) -> bool {
        false
    }
}

/// The future that [`Backplane::serve`] returns. Its output says why the connection was lost.
pub type SessionFuture<'a> =
    Pin<Box<dyn Future<Output = Box<dyn Error + Send + Sync>> + Send + 'a>>;

/// The cluster's side of a connection to a [`Backplane`]. The cluster creates one for each call of
/// [`serve`](Backplane::serve).
pub struct Session {
    inputs: Lock<Inputs>,
    commands: Lock<VecDeque<Command>>,
    /// Wakes the cluster's task.
    has_inputs: Signal,
    /// Wakes the backplane.
    has_commands: Signal,
    commands_added: Receiver<()>,
}

/// What the backplane has reported.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    pub(crate) is_connected: bool,
    pub(crate) events: VecDeque<SessionEvent>,
    /// Whether the cluster's task takes them without being woken: it polls the backplane, or was woken already.
    are_expected: bool,
}

#[derive(Debug)]
pub(crate) enum SessionEvent {
    Done(Ticket),
    Received(Bytes),
    Replied(Ticket, Reply),
}

impl Session {
    pub(crate) fn new(has_inputs: Signal) -> Self {
        let (has_commands, commands_added) = Signal::new(1);
        Self {
            inputs: Lock::new(Inputs::default()),
            commands: Lock::new(VecDeque::new()),
            has_inputs,
            has_commands,
            commands_added,
        }
    }

    /// Reports that the connection is open. Commands follow.
    pub fn connected(&self) {
        self.report(|inputs| inputs.is_connected = true);
    }

    /// Waits for commands, and returns them in their order: at least one. Cancel-safe.
    ///
    /// There are never more than 256 [`Publish`](Command::Publish) commands, or 256 KiB of them, that are not
    /// [done](Self::done), unless one is larger. A message for several rooms is one for each. At most 1,024
    /// [`Append`](Command::Append) commands, or 4 MiB of them, and 16 [`Read`](Command::Read) commands have no reply
    /// yet. Subscriptions are not limited: a new session has one for each 512 rooms, at once.
    pub async fn next(&self) -> Vec<Command> {
        loop {
            let commands = self.take_commands();
            if !commands.is_empty() {
                return commands.into();
            }
            // Fails only if the sender is gone, which this session has.
            let _ = Deferring::new(self.commands_added.recv()).await;
        }
    }

    /// Reports that a command has been carried out, in any order. If it is a subscription, this has to be called before
    /// [`received`](Self::received) is called for what was published after that.
    pub fn done(&self, ticket: Ticket) {
        self.report_event(SessionEvent::Done(ticket));
    }

    /// Reports what has arrived on a channel, also from this session itself. Never waits.
    pub fn received(&self, payload: Bytes) {
        self.report_event(SessionEvent::Received(payload));
    }

    /// Reports that a message was [kept](Command::Append), at this position.
    pub fn appended(&self, ticket: Ticket, position: Position) {
        self.report_event(SessionEvent::Replied(ticket, Reply::Appended(position)));
    }

    /// Reports what was [read](Command::Read).
    pub fn read(&self, ticket: Ticket, page: Page) {
        self.report_event(SessionEvent::Replied(ticket, Reply::Page(page)));
    }

    /// Reports that a [`Publish`](Command::Publish), an [`Append`](Command::Append) or a [`Read`](Command::Read) was
    /// refused, and why. It must not have had an effect, and is not tried again. To report a message that was not
    /// published, prefer to end the session, unless the reason concerns that message alone: it may be too large for the
    /// broker.
    pub fn refused(&self, ticket: Ticket, reason: impl Into<String>) {
        self.report_event(SessionEvent::Replied(ticket, Reply::Refused(reason.into())));
    }

    fn report_event(&self, event: SessionEvent) {
        self.report(|inputs| inputs.events.push_back(event));
    }

    fn report(&self, add: impl FnOnce(&mut Inputs)) {
        let mut inputs = self.inputs.lock();
        add(&mut inputs);
        let are_expected = mem::replace(&mut inputs.are_expected, true);
        drop(inputs);
        if !are_expected {
            self.has_inputs.send();
        }
    }

    /// Begins to expect inputs: until they are taken, the cluster's task is not woken for them.
    pub(crate) fn expect_inputs(&self) {
        self.inputs.lock().are_expected = true;
    }

    /// Returns whether there are inputs. If there are none, the cluster's task is woken for those that follow.
    pub(crate) fn has_expected_inputs(&self) -> bool {
        let mut inputs = self.inputs.lock();
        inputs.are_expected = inputs.is_connected || !inputs.events.is_empty();
        inputs.are_expected
    }

    pub(crate) fn take_inputs(&self) -> Inputs {
        mem::take(&mut *self.inputs.lock())
    }

    /// Returns the commands that the backplane has not taken.
    pub(crate) fn take_commands(&self) -> VecDeque<Command> {
        mem::take(&mut *self.commands.lock())
    }

    /// Adds commands for the backplane.
    pub(crate) fn add_commands(&self, commands: impl Iterator<Item = Command>) {
        let mut all = self.commands.lock();
        all.extend(commands);
        let is_empty = all.is_empty();
        drop(all);
        if !is_empty {
            self.has_commands.send();
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}
