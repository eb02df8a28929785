//! [`MemoryBroker`]: a message broker in memory, with faults, for tests.

use std::{collections::VecDeque, error::Error, fmt, sync::Arc};

use async_channel::Receiver;
use bytes::Bytes;
use futures_lite::future::{or, pending};
use prism_driver::{Deferring, hold_wakeups};

use super::{
    Backplane, Session, SessionFuture,
    command::{Channel, Command, Ticket},
};
use crate::{
    signal::{Signal, Signals},
    sync::Lock,
};

mod broker;
pub(crate) mod logs;

use self::broker::{Broker, Connection, Node};

/// A message broker in memory, which connects the nodes of a [`Cluster`](crate::Cluster) in one process. It is for
/// tests: of applications, with several nodes and any fault that a network and a broker can have. A clone is the same
/// broker.
///
/// It may also keep the messages of a [`History`](crate::History) for a server that is alone. They are lost when that
/// ends. It keeps up to 64 MiB: beyond that, it forgets the rooms that have not been used for the longest time. It
/// ignores [`Keep::age`](crate::Keep::age), because it has no clock.
///
/// On `prism-test`'s simulation, a test of an outage takes no time:
///
/// ```
/// use std::time::Duration;
///
/// use prism_driver::Runtime;
/// # use prism_driver::{Connection, Handler, Message};
/// use prism_rooms::{Cluster, ClusterEvent, MemoryBroker, Rooms};
/// use prism_test::Sim;
///
/// # struct Chat(Rooms);
/// # impl Handler for Chat {
/// #     async fn on_connect(&self, connection: &Connection) {
/// #         let _ = self.0.join(connection, "tea");
/// #     }
/// #     async fn on_message(&self, _: &Connection, message: Message<'_>) {
/// #         self.0.to("tea").send(message);
/// #     }
/// # }
/// let (sim, broker) = (Sim::new(), MemoryBroker::new());
/// let [one, two] = [broker.backplane(), broker.backplane()];
/// let [here, there] = [&one, &two].map(|backplane| Cluster::new(sim.clone(), backplane.clone()));
/// let events = here.events();
/// # let [chat_here, chat_there] = [Chat(here.rooms()), Chat(there.rooms())];
/// sim.start_server("here.example", |server| server.websocket("/", chat_here));
/// sim.start_server("there.example", |server| server.websocket("/", chat_there));
/// sim.run(async {
///     let ann = sim.client("ws://here.example/").connect().await.unwrap();
///     let ben = sim.client("ws://there.example/").connect().await.unwrap();
///     assert!(here.rooms().reached("tea").await);
///     ben.send("hello").await.unwrap();
///     assert_eq!(ann.recv().await.unwrap().as_text(), Some("hello"));
///
///     two.isolate(); // as if its cable was pulled
///     loop {
///         if let Some(ClusterEvent::NodeLeft { node }) = events.recv().await {
///             assert_eq!(node, there.node());
///             break;
///         }
///     }
///     assert!(sim.now() < Duration::from_secs(10));
/// });
/// ```
#[derive(Clone)]
pub struct MemoryBroker {
    state: Arc<Lock<Broker>>,
}

/// A node's access to a [`MemoryBroker`], with the faults of its connection. Returned by [`MemoryBroker::backplane`]. A
/// clone is the same access, so that a test keeps one and gives the other to the [`Cluster`](crate::Cluster).
#[derive(Clone)]
pub struct MemoryBackplane {
    broker: MemoryBroker,
    node: u64,
}

/// What a connection has to do next.
enum Next {
    End(&'static str),
    Receive(VecDeque<Bytes>),
    /// Wait for a change or for commands. While the connection is stalled, none is carried out.
    Wait {
        is_stalled: bool,
    },
}

impl MemoryBroker {
    /// Creates a broker without nodes.
    #[must_use]
    pub fn new() -> Self {
        Self { state: Arc::new(Lock::new(Broker::default())) }
    }

    /// Returns the access of another node.
    #[must_use]
    pub fn backplane(&self) -> MemoryBackplane {
        let mut broker = self.state.lock();
        let node = broker.next_node;
        broker.next_node += 1;
        broker.nodes.insert(node, Node::default());
        drop(broker);
        MemoryBackplane { broker: self.clone(), node }
    }

    /// Stops the broker: all connections end, subscriptions are forgotten, and no connection can be opened until it is
    /// [started](Self::start).
    pub fn stop(&self) {
        self.update(|broker, signals| {
            broker.is_stopped = true;
            broker.nodes.values_mut().for_each(|node| node.end("the broker has stopped", signals));
        });
    }

    /// Starts the broker again after [`stop`](Self::stop). It is empty: what was kept for a [`History`](crate::History)
    /// is lost.
    pub fn start(&self) {
        let mut broker = self.state.lock();
        broker.is_stopped = false;
        broker.logs.restart();
        broker.logs.clear();
    }

    /// Another broker takes over, which has not received the last `lost` messages that each room's
    /// [`History`](crate::History) has kept: all connections end, and can be opened again.
    pub fn fail_over(&self, lost: usize) {
        self.update(|broker, signals| {
            broker.logs.restart();
            broker.logs.lose_last(lost);
            broker.nodes.values_mut().for_each(|node| node.end("a failover", signals));
        });
    }

    /// Forgets what was kept for a [`History`](crate::History), without telling anyone.
    pub fn forget_history(&self) {
        self.state.lock().logs.clear();
    }

    /// Sets whether the broker refuses to keep and to read messages for a [`History`](crate::History), as one without
    /// memory or permission does.
    pub fn refuse_history(&self, refuses: bool) {
        self.state.lock().refuses_history = refuses;
    }

    /// Changes the broker, and then wakes the connections that this concerns.
    fn update<R>(&self, update: impl FnOnce(&mut Broker, &mut Signals) -> R) -> R {
        let _wakeups = hold_wakeups();
        let mut signals = Signals::default();
        let updated = update(&mut self.state.lock(), &mut signals);
        signals.send();
        updated
    }
}

impl MemoryBackplane {
    /// Ends the node's connection. The node notices, and opens another one.
    pub fn disconnect(&self) {
        self.update(|node, signals| node.end("the connection was cut", signals));
    }

    /// Stalls the node's connection: it stays open, but nothing moves in either direction until it is
    /// [resumed](Self::resume). The node notices after 5 s, and opens another one. It cannot tell whether what it was
    /// about to publish or keep has arrived.
    pub fn stall(&self) {
        self.update(|node, signals| node.stall(true, signals));
    }

    /// Ends a [stall](Self::stall). What was published in the meantime arrives.
    pub fn resume(&self) {
        self.update(|node, signals| node.stall(false, signals));
    }

    /// Cuts the node off: its connection stalls, and it cannot open another one until [`rejoin`](Self::rejoin) is
    /// called. The other nodes see no difference from a crash.
    pub fn isolate(&self) {
        self.update(|node, signals| {
            node.is_isolated = true;
            node.stall(true, signals);
        });
    }

    /// Ends an [isolation](Self::isolate). A connection that has outlasted it is resumed.
    pub fn rejoin(&self) {
        self.update(|node, signals| {
            node.is_isolated = false;
            node.stall(false, signals);
        });
    }

    /// Loses the next `count` payloads that are for this node. Payloads are messages, and what nodes tell each other to
    /// show that they are alive.
    pub fn lose(&self, count: usize) {
        self.update(|node, _| node.lose = count);
    }

    /// Delivers the next `count` payloads that are for this node twice.
    pub fn repeat(&self, count: usize) {
        self.update(|node, _| node.repeat = count);
    }

    /// Forgets that the node has subscribed to a room, without telling it.
    pub fn forget_subscription(&self, room: &str) {
        self.update(|node, _| {
            if let Some(connection) = &mut node.connection {
                connection.subscribed.remove(&Channel::Room(room.into()));
            }
        });
    }

    fn update<R>(&self, update: impl FnOnce(&mut Node, &mut Signals) -> R) -> R {
        self.broker
            .update(|broker, signals| update(broker.nodes.entry(self.node).or_default(), signals))
    }

    /// Opens a connection, and returns what it has to watch for changes.
    async fn open(&self) -> Result<Receiver<()>, &'static str> {
        let opened = self.broker.update(|broker, _| {
            let node = broker.nodes.entry(self.node).or_default();
            if node.is_isolated {
                return None;
            }
            if broker.is_stopped {
                return Some(Err("the broker is stopped"));
            }
            let (changed, changes) = Signal::new(1);
            node.connection = Some(Connection::new(changed));
            Some(Ok(changes))
        });
        match opened {
            Some(opened) => opened,
            None => pending().await, // as packets that are lost
        }
    }

    fn next(&self) -> Next {
        self.update(|node, _| match &mut node.connection {
            None => Next::End("there is no connection"),
            Some(connection) => match connection.ends {
                Some(reason) => Next::End(reason),
                None if connection.is_stalled => Next::Wait { is_stalled: true },
                None if connection.waiting.is_empty() => Next::Wait { is_stalled: false },
                None => {
                    connection.waiting_bytes = 0;
                    Next::Receive(std::mem::take(&mut connection.waiting))
                }
            },
        })
    }

    /// Carries out a command. Returns its ticket, if the session has to be told that it is done.
    fn carry_out(&self, command: Command, session: &Session) -> Option<Ticket> {
        match command {
            Command::Subscribe { channels, ticket } => {
                self.update(|node, _| {
                    if let Some(connection) = &mut node.connection {
                        connection.subscribed.extend(channels);
                    }
                });
                Some(ticket)
            }
            Command::Unsubscribe { channels } => {
                self.update(|node, _| {
                    if let Some(connection) = &mut node.connection {
                        for channel in &channels {
                            connection.subscribed.remove(channel);
                        }
                    }
                });
                None
            }
            Command::Publish { channel, payload, ticket } => {
                self.broker.update(|broker, signals| broker.publish(&channel, &payload, signals));
                Some(ticket)
            }
            Command::Append(append) => {
                let kept = self.broker.update(|broker, signals| broker.append(&append, signals));
                match kept {
                    Ok(position) => session.appended(append.ticket, position),
                    Err(reason) => session.refused(append.ticket, reason),
                }
                None
            }
            Command::Read(read) => {
                match self.broker.update(|broker, _| broker.read(&read)) {
                    Ok(page) => session.read(read.ticket, page),
                    Err(reason) => session.refused(read.ticket, reason),
                }
                None
            }
        }
    }

    /// Serves a session until the connection ends, and returns why it did.
    async fn serve_connection(&self, session: &Session, changes: &Receiver<()>) -> &'static str {
        session.connected();
        // Also taken during a stall, as if it was on its way to the broker.
        let mut taken = Vec::new();
        loop {
            match self.next() {
                Next::End(reason) => return reason,
                Next::Receive(payloads) => {
                    payloads.into_iter().for_each(|payload| session.received(payload));
                }
                Next::Wait { is_stalled } => {
                    let changed = async {
                        let _ = Deferring::new(changes.recv()).await;
                        Vec::new()
                    };
                    if is_stalled || taken.is_empty() {
                        taken.extend(or(changed, session.next()).await);
                    }
                    if is_stalled {
                        continue;
                    }
                    for command in std::mem::take(&mut taken) {
                        if let Some(ticket) = self.carry_out(command, session) {
                            session.done(ticket);
                        }
                    }
                }
            }
        }
    }
}

impl Backplane for MemoryBackplane {
    fn serve<'a>(&'a self, session: &'a Session) -> SessionFuture<'a> {
        Box::pin(async move {
            let _closes = CloseOnDrop(self);
            let reason = match self.open().await {
                Ok(changes) => self.serve_connection(session, &changes).await,
                Err(reason) => reason,
            };
            Box::<dyn Error + Send + Sync>::from(reason)
        })
    }

    fn keeps_history(&self) -> bool {
        true
    }
}

/// Closes the node's connection when its future is dropped.
struct CloseOnDrop<'a>(&'a MemoryBackplane);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        let closed = self.0.update(|node, _| node.connection.take());
        drop(closed); // unlocked: this drops wakers
    }
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.state.lock().nodes.len();
        f.debug_struct("MemoryBroker").field("nodes", &nodes).finish_non_exhaustive()
    }
}

impl fmt::Debug for MemoryBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackplane").field("node", &self.node).finish_non_exhaustive()
    }
}
