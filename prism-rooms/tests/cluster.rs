//! Rooms of several nodes, in one simulation.

use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use prism_driver::{CloseCode, Connection, Handler, Message, Options, Runtime, Socket};
use prism_rooms::{
    Cluster, ClusterEvent, ClusterEvents, Elsewhere, MemoryBackplane, MemoryBroker, Rooms,
};
use prism_test::{Received, Sim};

const SECOND: Duration = Duration::from_secs(1);

/// Nodes, each with a server.
pub(crate) struct World {
    pub(crate) sim: Sim,
    broker: MemoryBroker,
    pub(crate) nodes: Vec<Node>,
}

pub(crate) struct Node {
    pub(crate) backplane: MemoryBackplane,
    pub(crate) cluster: Cluster,
    pub(crate) rooms: Rooms,
    pub(crate) events: ClusterEvents,
}

/// Lets each connection join the room in its path, and sends what it says to that room.
struct Chat(Rooms);

impl Handler for Chat {
    async fn on_connect(&self, connection: &Connection) {
        let room = connection.param("room").unwrap();
        self.0.join(connection, room).unwrap();
        if connection.query() == Some("reached") {
            assert!(self.0.reached(room).await);
            connection.send("reached").await.unwrap();
        }
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.0.to(connection.param("room").unwrap()).except(connection.id()).send(message);
    }
}

impl World {
    pub(crate) fn new(nodes: usize) -> Self {
        let mut world = Self { sim: Sim::new(), broker: MemoryBroker::new(), nodes: Vec::new() };
        (0..nodes).for_each(|_| world.add_node());
        world
    }

    fn add_node(&mut self) {
        let backplane = self.broker.backplane();
        let cluster = Cluster::new(self.sim.clone(), backplane.clone());
        let (rooms, events) = (cluster.rooms(), cluster.events());
        let host = format!("node{}.example", self.nodes.len());
        let chat = Chat(rooms.clone());
        self.sim.start_server(&host, |server| server.websocket("/{room}", chat));
        self.nodes.push(Node { backplane, cluster, rooms, events });
    }

    /// Connects to a node, and waits until what others send to the room arrives there.
    pub(crate) async fn join(&self, node: usize, room: &str) -> Socket {
        let url = format!("ws://node{node}.example/{room}?reached");
        let client = self.sim.client(&url).connect().await.unwrap();
        assert_eq!(next(&client).await, "reached");
        client
    }
}

async fn next(client: &Socket) -> String {
    client.recv().await.unwrap().as_text().unwrap().to_owned()
}

/// Waits for an event that `is_expected`, and returns it.
async fn wait_for(
    events: &ClusterEvents,
    is_expected: impl Fn(&ClusterEvent) -> bool,
) -> ClusterEvent {
    loop {
        let event = events.recv().await.expect("the node has not left");
        if is_expected(&event) {
            return event;
        }
    }
}

async fn event(node: &Node, is_expected: impl Fn(&ClusterEvent) -> bool) -> ClusterEvent {
    wait_for(&node.events, is_expected).await
}

fn is_connected(event: &ClusterEvent) -> bool {
    matches!(event, ClusterEvent::Connected)
}

#[test]
fn a_message_reaches_the_members_at_all_nodes_once() {
    let world = World::new(3);
    world.sim.run(async {
        let (ann, ben) = (world.join(0, "tea").await, world.join(1, "tea").await);
        let eve = world.join(2, "milk").await;
        ann.send("hello").await.unwrap();
        ann.send("again").await.unwrap();
        assert_eq!([next(&ben).await, next(&ben).await], ["hello", "again"]);
        eve.send("milk only").await.unwrap();
        world.sim.settle().await;
        let delivery = world.nodes[2].rooms.to("tea").and("milk").send("for both");
        assert_eq!((delivery.delivered, delivery.elsewhere), (1, Elsewhere::Queued));
        for client in [&ann, &ben, &eve] {
            assert_eq!(next(client).await, "for both");
        }
        world.nodes[1].rooms.everyone().send("for all");
        for client in [&ann, &ben, &eve] {
            assert_eq!(next(client).await, "for all");
        }
    });
}

#[test]
fn binary_messages_excluded_members_closes_and_wakes_cross_too() {
    let world = World::new(2);
    world.sim.run(async {
        let (ann, ben) = (world.join(0, "tea").await, world.join(0, "tea").await);
        let members = world.nodes[0].rooms.members("tea");
        let to_one = world.nodes[1].rooms.to("tea").except(members[0]);
        to_one.send(vec![1, 2, 3]);
        world.nodes[1].rooms.to("tea").send("for both");
        let mut first = Vec::new();
        for client in [&ann, &ben] {
            first.push(client.recv().await.unwrap().as_bytes().to_vec());
        }
        first.sort();
        assert_eq!(first, [b"\x01\x02\x03".to_vec(), b"for both".to_vec()]);
        let closed = world.nodes[1].rooms.to("tea").close(CloseCode::POLICY_VIOLATION, "banned");
        assert_eq!((closed.here, closed.elsewhere), (0, Elsewhere::Queued), "none is here");
        for client in [ann, ben] {
            while client.recv().await.is_ok() {}
            assert_eq!(client.recv().await.unwrap_err().code(), 1008);
        }
    });
}

#[test]
fn members_are_counted_at_all_nodes_that_answer() {
    let world = World::new(3);
    world.sim.run(async {
        let _clients = (world.join(0, "tea").await, world.join(1, "tea").await);
        let _another = world.join(1, "tea").await;
        world.sim.pass(3 * SECOND).await;
        let count = async |node: usize, room| {
            let count = world.nodes[node].rooms.len_everywhere(room).await;
            (count.members, count.nodes, count.unanswered)
        };
        let began = world.sim.now();
        assert_eq!([count(0, "tea").await, count(2, "tea").await], [(3, 3, 0), (3, 3, 0)]);
        assert_eq!(count(0, "milk").await, (0, 3, 0));
        assert_eq!(world.sim.now(), began, "all have answered");
        world.nodes[1].backplane.isolate();
        assert_eq!(count(0, "tea").await, (1, 2, 1));
        assert_eq!(world.sim.now() - began, Duration::from_millis(300));
        world.nodes[0].cluster.leave().await;
        assert_eq!(count(0, "tea").await, (1, 1, 0));
    });
}

#[test]
fn without_a_cluster_there_is_nothing_elsewhere() {
    let rooms = Rooms::new();
    assert_eq!(rooms.to("tea").send("hello").elsewhere, Elsewhere::NoCluster);
    assert!(!block_on(rooms.reached("tea")));
    let count = block_on(rooms.len_everywhere("tea"));
    assert_eq!((count.members, count.nodes, count.unanswered), (0, 1, 0));
}

#[test]
fn what_exceeds_a_limit_is_local_and_reported() {
    let world = World::new(2);
    world.sim.run(async {
        let (ann, ben) = (world.join(0, "tea").await, world.join(1, "tea").await);
        ann.send("so that they know each other").await.unwrap();
        next(&ben).await;
        let delivery = world.nodes[0].rooms.to("tea").send(vec![0; (1 << 20) + 1]);
        assert_eq!((delivery.delivered, delivery.elsewhere), (1, Elsewhere::Missed));
        let long = "x".repeat(1025);
        let rooms = &world.nodes[0].rooms;
        assert_eq!(rooms.to(&long).wake(), Elsewhere::Missed);
        let closed = rooms.to(&long).close(CloseCode::NORMAL, "");
        assert_eq!((closed.here, closed.elsewhere), (0, Elsewhere::Missed));
        let gap = event(&world.nodes[1], |event| matches!(event, ClusterEvent::Gap { .. })).await;
        let node = world.nodes[0].cluster.node();
        assert_eq!(gap, ClusterEvent::Gap { node, room: Some("tea".into()), missed: 1 });
        assert_eq!(world.nodes[0].cluster.counts().unpublished, 3);
        assert_eq!(world.nodes[1].cluster.counts().missed, 1);
    });
}

#[test]
fn a_node_that_leaves_is_gone_at_once_and_one_that_is_cut_off_within_eight_seconds() {
    let world = World::new(3);
    world.sim.run(async {
        for node in &world.nodes {
            event(node, is_connected).await;
        }
        world.sim.pass(SECOND).await;
        assert_eq!(world.nodes[0].cluster.counts().nodes, 2);
        let began = world.sim.now();
        world.nodes[1].cluster.leave().await;
        assert_eq!(world.nodes[1].rooms.to("tea").send("hello").elsewhere, Elsewhere::Missed);
        let node = world.nodes[1].cluster.node();
        event(&world.nodes[0], |event| *event == ClusterEvent::NodeLeft { node }).await;
        assert!(world.sim.now() - began <= Duration::from_millis(200));
        let began = world.sim.now();
        world.nodes[2].backplane.isolate();
        let node = world.nodes[2].cluster.node();
        event(&world.nodes[0], |event| *event == ClusterEvent::NodeLeft { node }).await;
        let after = world.sim.now() - began;
        assert!((4 * SECOND..=7 * SECOND + SECOND / 4).contains(&after), "{after:?}");
        let other = world.nodes[0].cluster.node();
        event(&world.nodes[2], |event| *event == ClusterEvent::NodeLeft { node: other }).await;
        let after = world.sim.now() - began;
        assert!((11 * SECOND..=14 * SECOND).contains(&after), "{after:?}");
        world.nodes[2].backplane.rejoin();
        event(&world.nodes[0], |event| *event == ClusterEvent::NodeJoined { node }).await;
        assert!(world.nodes[1].cluster.events().recv().await.is_none(), "it has left");
        assert!(!world.nodes[1].rooms.reached("tea").await);
    });
}

#[test]
fn rooms_go_on_locally_while_the_broker_is_away_and_what_was_missed_is_reported() {
    let world = World::new(2);
    world.sim.run(async {
        let (ann, ben) = (world.join(0, "tea").await, world.join(1, "tea").await);
        let other = world.join(0, "tea").await;
        ann.send("before").await.unwrap();
        assert_eq!([next(&ben).await, next(&other).await], ["before", "before"]);
        world.broker.stop();
        let events = [0, 1].map(|node| world.nodes[node].cluster.events());
        for minute in 0..10 {
            ann.send(format!("minute {minute}")).await.unwrap();
            assert_eq!(next(&other).await, format!("minute {minute}"));
            world.sim.pass(60 * SECOND).await;
        }
        assert!(!world.nodes[0].cluster.counts().connected);
        assert_eq!(world.nodes[0].cluster.counts().nodes, 0, "nobody is heard");
        let began = world.sim.now();
        world.broker.start();
        for events in &events {
            wait_for(events, is_connected).await;
        }
        assert!(world.nodes[1].rooms.reached("tea").await);
        assert!(world.sim.now() - began <= 10 * SECOND);
        let gap = wait_for(&events[1], |event| matches!(event, ClusterEvent::Gap { .. })).await;
        let (node, room) = (world.nodes[0].cluster.node(), Some("tea".into()));
        assert_eq!(gap, ClusterEvent::Gap { node, room, missed: 10 });
        ann.send("after").await.unwrap();
        assert_eq!(next(&ben).await, "after");
    });
}

#[test]
fn a_stalled_connection_is_replaced_and_what_is_repeated_arrives_once() {
    let world = World::new(2);
    world.sim.run(async {
        let (ann, ben) = (world.join(0, "tea").await, world.join(1, "tea").await);
        world.nodes[1].backplane.repeat(1000);
        ann.send("one").await.unwrap();
        assert_eq!(next(&ben).await, "one");
        world.nodes[1].backplane.stall();
        let began = world.sim.now();
        let lost = |event: &ClusterEvent| matches!(event, ClusterEvent::Disconnected { .. });
        event(&world.nodes[1], lost).await;
        assert!(world.sim.now() - began <= 7 * SECOND + SECOND / 2);
        event(&world.nodes[1], is_connected).await;
        ann.send("two").await.unwrap();
        assert_eq!(next(&ben).await, "two");
        assert!(world.nodes[1].cluster.counts().repeated > 1);
    });
}

#[test]
fn a_lost_subscription_is_noticed_and_repaired() {
    let world = World::new(2);
    world.sim.run(async {
        let (ann, ben) = (world.join(0, "tea").await, world.join(1, "tea").await);
        ann.send("one").await.unwrap();
        assert_eq!(next(&ben).await, "one");
        world.nodes[1].backplane.forget_subscription("tea");
        let began = world.sim.now();
        ann.send("two").await.unwrap();
        event(&world.nodes[1], |event| matches!(event, ClusterEvent::Gap { missed: 1, .. })).await;
        assert!(world.sim.now() - began <= 5 * SECOND);
        world.sim.settle().await;
        ann.send("three").await.unwrap();
        assert_eq!(next(&ben).await, "three");
    });
}

#[test]
fn a_node_leaves_when_its_last_handle_is_dropped() {
    let world = World::new(1);
    let cluster = Cluster::new(world.sim.clone(), world.broker.backplane());
    world.sim.run(async {
        let (node, rooms) = (cluster.node(), cluster.rooms());
        event(&world.nodes[0], |event| *event == ClusterEvent::NodeJoined { node }).await;
        drop(cluster);
        world.sim.pass(10 * SECOND).await;
        assert_eq!(world.nodes[0].cluster.counts().nodes, 1);
        drop(rooms);
        event(&world.nodes[0], |event| *event == ClusterEvent::NodeLeft { node }).await;
    });
}

/// Lets each connection join a room.
struct Join(Rooms);

impl Handler for Join {
    async fn on_connect(&self, connection: &Connection) {
        self.0.join(connection, "tea").unwrap();
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

/// Returns how often tasks are polled until a message of another node has reached `count` members.
fn polls_for_members(count: usize) -> usize {
    let world = World::new(2);
    let rooms = &world.nodes[1].rooms;
    let serve = |_| world.sim.serve(Join(rooms.clone()), Options::default());
    let mut members: Vec<_> = (0..count).map(serve).collect();
    world.sim.run(async {
        world.sim.pass(SECOND).await;
        world.nodes[0].rooms.to("tea").send("hello");
        let polls = (0..).take_while(|_| world.sim.tick()).count();
        for (member, _) in &mut members {
            let received = poll_once(member.next()).await;
            assert_eq!(received, Some(Received::Text("hello".into())));
        }
        polls
    })
}

#[test]
fn the_task_of_a_cluster_writes_for_sleeping_members_itself() {
    let one = polls_for_members(1);
    assert_eq!(polls_for_members(50), one);
    assert!(polls_for_members(500) <= one + 10, "it lets others go first after each 64");
}

#[test]
fn a_runtime_that_drops_the_task_ends_the_cluster() {
    let world = World::new(1);
    let node = &world.nodes[0];
    node.backplane.isolate();
    let asks = node.rooms.clone();
    world.sim.run(world.sim.settle());
    world.sim.drop_tasks();
    world.sim.run(async {
        assert_eq!(node.rooms.to("tea").send("hello").elsewhere, Elsewhere::Missed);
        assert!(!asks.reached("tea").await);
        assert_eq!(asks.len_everywhere("tea").await.nodes, 1);
        node.cluster.leave().await;
        while node.events.recv().await.is_some() {}
        let counts = node.cluster.counts();
        assert_eq!((counts.connected, counts.nodes, counts.unpublished), (false, 0, 1));
    });
}

#[test]
fn a_room_is_kept_for_a_moment_after_its_last_member() {
    let world = World::new(2);
    world.sim.run(async {
        let ben = world.join(1, "tea").await;
        drop(ben);
        world.sim.settle().await;
        assert!(!world.nodes[1].rooms.reached("tea").await, "it has no members");
        let received = || world.nodes[1].cluster.counts().received;
        world.nodes[0].rooms.to("tea").send("still arrives");
        world.sim.settle().await;
        assert_eq!(received(), 1);
        world.sim.pass(6 * SECOND).await;
        world.nodes[0].rooms.to("tea").send("is not even sent to the node");
        world.sim.settle().await;
        assert_eq!(received(), 1);
    });
}
