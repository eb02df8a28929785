//! [`World`]: the Redis server, two nodes, and their clients.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use prism_tests::redis_server::RedisServer;
use prism_tokio::{Client, SendHalf};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::sleep,
};

use crate::{Plan, node_process::NodeProcess};

/// How many rooms a connection is in. It may be in 1,024.
const ROOMS_EACH: usize = 500;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often to look whether it has happened.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// How many rooms may appear, and messages be sent, ahead of those that have arrived. Nodes drop what is published
/// faster than Redis accepts it.
const MAX_UNDER_WAY: usize = 1000;

/// How many rooms a node keeps count of, for 20 minutes after the last message to each. As long as it has sent to
/// fewer, its tables grow.
const COUNTED: usize = 1 << 16;

/// The channels of Redis without any rooms: one for all nodes, and one for each.
const CHANNELS: usize = 3;

pub(crate) struct World {
    redis: RedisServer,
    nodes: [NodeProcess; 2],
    /// Each room has one member on each node.
    members: [Vec<SendHalf>; 2],
    /// What the members have received.
    received: UnboundedReceiver<String>,
    /// The numbers of the rooms that exist, oldest first.
    rooms: VecDeque<usize>,
    /// How many rooms have appeared. Their numbers are below that.
    appeared: usize,
    /// The new rooms that are reached on one node.
    half_reached: HashSet<usize>,
    /// How many rooms were reached on both nodes.
    reached: usize,
    sent: usize,
    delivered: usize,
}

impl World {
    /// Starts everything, and waits until all rooms are there, and messages have arrived in each. Before, others may
    /// have come and gone, so that the nodes' tables are full.
    pub(crate) async fn start(program: PathBuf, plan: Plan) -> Self {
        let redis = RedisServer::start(program, &[]);
        let nodes = [(); 2].map(|()| NodeProcess::start(&redis.url(""), plan.presence));
        let (sender, received) = unbounded_channel();
        let mut members = [Vec::new(), Vec::new()];
        for (members, node) in members.iter_mut().zip(&nodes) {
            for _ in 0..plan.rooms.div_ceil(ROOMS_EACH) {
                members.push(connect(node.address, sender.clone()).await);
            }
        }
        let mut world = Self {
            redis,
            nodes,
            members,
            received,
            rooms: VecDeque::new(),
            appeared: 0,
            half_reached: HashSet::new(),
            reached: 0,
            sent: 0,
            delivered: 0,
        };
        let began = Instant::now();
        while world.appeared < plan.rooms.max(COUNTED) {
            world.appear().await;
            if world.rooms.len() > plan.rooms {
                world.vanish_oldest().await;
            }
            world.wait_for_messages(MAX_UNDER_WAY).await;
        }
        world.wait_for_messages(0).await;
        println!("{} rooms have appeared within {:.1?}", world.appeared, began.elapsed());
        world
    }

    /// Lets a room appear, and the oldest one vanish.
    pub(crate) async fn replace_oldest(&mut self) {
        self.appear().await;
        self.vanish_oldest().await;
    }

    /// Sends to a room that has been there for a while, and will be for a while.
    pub(crate) async fn send_somewhere(&mut self) {
        let room = self.rooms[self.rooms.len() / 4 + fastrand::usize(..self.rooms.len() / 2)];
        self.send(fastrand::usize(..2), room).await;
    }

    /// Takes what the members have received, and sends the first messages to each room that is reached on both nodes.
    pub(crate) async fn take_received(&mut self) {
        while let Ok(text) = self.received.try_recv() {
            let (verb, room) = text.split_once(" room-").expect("a verb and a room");
            let room = room.parse().expect("a number");
            if verb == "sent" {
                self.delivered += 1;
            } else if self.half_reached.remove(&room) {
                self.reached += 1;
                self.send(0, room).await;
                self.send(1, room).await;
            } else {
                self.half_reached.insert(room);
            }
        }
    }

    /// Waits until all new rooms but this many are reached, and all messages but this many have arrived.
    pub(crate) async fn wait_for_messages(&mut self, but: usize) {
        let deadline = Instant::now() + PATIENCE;
        self.take_received().await;
        while self.reached + but < self.appeared || self.delivered + but < self.sent {
            assert!(Instant::now() < deadline, "something has not arrived: {self}");
            sleep(LOOK_INTERVAL).await;
            self.take_received().await;
        }
    }

    /// Lets all rooms vanish. Returns what is left of them.
    pub(crate) async fn vacate(&mut self) -> Vec<String> {
        while !self.rooms.is_empty() {
            self.vanish_oldest().await;
        }
        let deadline = Instant::now() + PATIENCE;
        while self.redis.channels() > CHANNELS && Instant::now() < deadline {
            sleep(20 * LOOK_INTERVAL).await; // Redis makes a list of them
        }
        let channels = self.redis.channels();
        let mut left = Vec::new();
        if channels != CHANNELS {
            left.push(format!("Redis has {channels} channels, not {CHANNELS}"));
        }
        for node in &mut self.nodes {
            left.extend(node.events().iter().map(|event| format!("a node has reported {event}")));
        }
        left
    }

    /// Returns the memory of Redis, in bytes.
    pub(crate) fn memory_of_redis(&self) -> usize {
        let info = self.redis.command(&["INFO", "memory"]);
        let used = info.lines().find_map(|line| line.trim().strip_prefix("used_memory:"));
        used.and_then(|used| used.parse().ok()).expect("a number of bytes")
    }

    /// Returns the resident memory and the heap in use of each node, in bytes.
    pub(crate) fn memory_of_nodes(&mut self) -> [[usize; 2]; 2] {
        let [a, b] = &mut self.nodes;
        [a.memory(), b.memory()]
    }

    async fn appear(&mut self) {
        let room = self.appeared;
        self.appeared += 1;
        self.rooms.push_back(room);
        self.ask_both("join", room).await;
    }

    async fn vanish_oldest(&mut self) {
        let room = self.rooms.pop_front().expect("a room");
        self.ask_both("leave", room).await;
    }

    async fn send(&mut self, node: usize, room: usize) {
        self.sent += 1;
        self.ask(node, "send", room).await;
    }

    async fn ask_both(&self, verb: &str, room: usize) {
        for node in 0..self.nodes.len() {
            self.ask(node, verb, room).await;
        }
    }

    /// Sends a request on the connection of the room's member.
    async fn ask(&self, node: usize, verb: &str, room: usize) {
        let members = &self.members[node];
        let sent = members[room % members.len()].send(format!("{verb} room-{room}")).await;
        sent.expect("a node that lives");
    }
}

/// Opens a connection, and passes on what it receives.
async fn connect(address: SocketAddr, received: UnboundedSender<String>) -> SendHalf {
    let client = Client::new(&format!("ws://{address}/")).expect("a URL");
    let (members, messages) = client.connect().await.expect("a node").split();
    tokio::spawn(async move {
        while let Ok(message) = messages.recv().await {
            let _ = received.send(message.as_text().expect("a text").to_owned()); // fails at the end
        }
    });
    members
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rooms, appeared, reached, sent, delivered, .. } = self;
        let (exist, missing) = (rooms.len(), sent - delivered);
        write!(f, "{exist} rooms exist, of {appeared} that have appeared and {reached} reached; ")?;
        write!(f, "{missing} of {sent} messages have not arrived")
    }
}
