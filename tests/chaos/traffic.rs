//! [`Traffic`]: clients of the nodes, which send all the time, and note what arrives.

use std::{
    collections::HashMap,
    net::SocketAddr,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use prism_tokio::{Client, Options, Socket};
use tokio::{sync::mpsc, task::JoinSet, time};

pub(crate) const ROOMS: usize = 12;

/// The time between two messages of a node. They go to the rooms in turn.
const PERIOD: Duration = Duration::from_millis(15);

/// What one node's member of a room has received from one node's sender.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Received {
    pub(crate) count: u64,
    last: u64,
    /// When the last one of them was sent.
    pub(crate) last_sent: Duration,
}

/// What is known of all messages. Nodes and rooms have numbers.
#[derive(Default)]
pub(crate) struct Records {
    /// By sender and room.
    pub(crate) sent: HashMap<(usize, usize), u64>,
    /// By receiver, sender and room.
    pub(crate) received: HashMap<(usize, usize, usize), Received>,
    /// Of the messages that members on the sender's node have received: the node, when they were sent, how long they
    /// took.
    local: Vec<(usize, Duration, Duration)>,
    /// What must not happen.
    pub(crate) failures: Vec<String>,
}

pub(crate) struct Traffic {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

struct Shared {
    began: Instant,
    records: Mutex<Records>,
    has_stopped: AtomicBool,
    /// What each message is filled up with.
    padding: String,
}

impl Shared {
    fn receive(&self, receiver: usize, room: usize, text: &str) {
        let now = self.began.elapsed();
        let mut words = text.split(' ').map(|word| word.parse::<u64>().ok());
        let mut word = || words.next().flatten().expect("a number");
        let (sender, number, sent) = (word() as usize, word(), Duration::from_micros(word()));
        let mut records = self.records.lock().expect("no panic");
        let Records { received, local, failures, .. } = &mut *records;
        let received = received.entry((receiver, sender, room)).or_default();
        if number <= received.last {
            let last = received.last;
            failures.push(format!("{receiver} received {number} of {sender} after {last}"));
        }
        received.count += 1;
        (received.last, received.last_sent) = (number, sent);
        if receiver == sender {
            local.push((sender, sent, now - sent));
        }
    }

    async fn run_member(&self, receiver: usize, room: usize, member: Socket) {
        while let Ok(message) = member.recv().await {
            self.receive(receiver, room, message.as_text().expect("a text"));
        }
    }

    async fn run_sender(&self, sender: usize, socket: Socket) {
        let mut interval = time::interval(PERIOD);
        for room in (0..ROOMS).cycle() {
            interval.tick().await;
            if self.has_stopped.load(Relaxed) {
                return;
            }
            let number = {
                let mut records = self.records.lock().expect("no panic");
                let sent = records.sent.entry((sender, room)).or_default();
                *sent += 1;
                *sent
            };
            let (now, padding) = (self.began.elapsed().as_micros(), &self.padding);
            let text = format!("{} {sender} {number} {now} {padding}", room_name(room));
            if socket.send(text).await.is_err() {
                return; // its node was killed
            }
        }
    }
}

pub(crate) fn room_name(room: usize) -> String {
    format!("room-{room}")
}

async fn connect(address: SocketAddr, path: &str) -> Socket {
    let client = Client::new(&format!("ws://{address}{path}")).expect("a URL");
    client.options(Options::default()).connect().await.expect("a node")
}

impl Traffic {
    /// Connects a member of each room, who is the person with the node's number, and a sender to each node. Returns
    /// when all members are reached. Messages are as long as this.
    pub(crate) async fn start(nodes: &[SocketAddr], size: usize) -> Self {
        let shared = Arc::new(Shared {
            began: Instant::now(),
            records: Mutex::default(),
            has_stopped: AtomicBool::new(false),
            padding: "x".repeat(size),
        });
        let mut tasks = JoinSet::new();
        let (joined, mut all_joined) = mpsc::channel::<()>(1);
        for (node, address) in nodes.iter().copied().enumerate() {
            for room in 0..ROOMS {
                let (shared, joined) = (shared.clone(), joined.clone());
                tasks.spawn(async move {
                    let member =
                        connect(address, &format!("/room/{}?person={node}", room_name(room))).await;
                    let hello = member.recv().await.expect("an open connection");
                    assert_eq!(hello.as_text(), Some("joined"));
                    drop(joined);
                    shared.run_member(node, room, member).await;
                });
            }
        }
        drop(joined);
        while all_joined.recv().await.is_some() {}
        for (node, address) in nodes.iter().copied().enumerate() {
            let socket = connect(address, "/send").await;
            let shared = shared.clone();
            tasks.spawn(async move { shared.run_sender(node, socket).await });
        }
        Self { shared, tasks }
    }

    /// Returns the time that messages are marked with.
    pub(crate) fn now(&self) -> Duration {
        self.shared.began.elapsed()
    }

    pub(crate) fn with_records<R>(&self, f: impl FnOnce(&Records) -> R) -> R {
        f(&self.shared.records.lock().expect("no panic"))
    }

    /// Stops the senders.
    pub(crate) fn stop(&self) {
        self.shared.has_stopped.store(true, Relaxed);
    }

    /// Returns the 99th percentile, and the most, of the time that messages took to members on the same node: those
    /// sent within `span` by these nodes.
    pub(crate) fn local(&self, nodes: &[usize], span: Range<Duration>) -> (Duration, Duration) {
        let is_meant = |node: &usize, sent: &Duration| nodes.contains(node) && span.contains(sent);
        let mut took: Vec<_> = self.with_records(|records| {
            let meant = records.local.iter().filter(|(node, sent, _)| is_meant(node, sent));
            meant.map(|(.., took)| *took).collect()
        });
        took.sort_unstable();
        let at_99 = took.get(took.len() * 99 / 100).copied();
        (at_99.unwrap_or_default(), took.last().copied().unwrap_or_default())
    }

    /// Ends all clients.
    pub(crate) async fn end(mut self) {
        self.tasks.shutdown().await;
    }
}
