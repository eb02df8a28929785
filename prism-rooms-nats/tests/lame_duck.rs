//! Servers that are about to shut down: in lame duck mode.

use std::{
    ops::Range,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use futures_lite::future::poll_once;
use prism_driver::{Connection, Handler, Message, Socket};
use prism_rooms::{Cluster, ClusterEvent, ClusterEvents, Rooms};
use prism_test::{Faults, Sim};

use crate::{
    server::{Server, address, node_of},
    servers::start_three,
};

const LAME_DUCK: &[u8] = b"INFO {\"max_payload\":1048576,\"ldm\":true}\r\n";

struct Chat(Rooms);

impl Handler for Chat {
    async fn on_connect(&self, connection: &Connection) {
        self.0.join(connection, "tea").expect("room");
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

/// Two nodes, of which one has a member, and the connection of that one to its server.
struct Scene {
    here: Cluster,
    there: Cluster,
    member: Socket,
    connection: Faults,
}

impl Scene {
    /// Starts the nodes with servers that are there. The node with the member has these URLs.
    async fn start(sim: &Sim, urls: &str) -> Self {
        let (here, there) = (node_of(sim, "nats://192.0.2.1"), node_of(sim, urls));
        sim.pass(Duration::from_secs(3)).await;
        let connection = sim.last_connection().expect("a connection");
        let chat = Chat(there.rooms());
        sim.start_server("there.example", |server| server.websocket("/", chat));
        let member = sim.client("ws://there.example/").connect().await.expect("a server");
        sim.settle().await;
        Self { here, there, member, connection }
    }

    /// Starts as [`start`](Self::start) does. The first server of the member's node has begun to shut down, and lags
    /// behind the next one.
    async fn start_behind_a_lagging_server(sim: &Sim) -> Self {
        let scene = Self::start(sim, "nats://192.0.2.2,192.0.2.3").await;
        scene.connection.to_client().insert(LAME_DUCK);
        sim.settle().await;
        scene.connection.to_client().stall();
        scene
    }

    /// Sends numbers to the room, one each 10 ms.
    async fn send(&self, sim: &Sim, numbers: Range<u32>) {
        for number in numbers {
            self.here.rooms().to("tea").send(number.to_string());
            sim.pass(Duration::from_millis(10)).await;
        }
    }

    /// Checks that these numbers arrive, each once and in order, and that nothing was reported to be lost.
    async fn check(&self, numbers: Range<u32>) {
        for number in numbers {
            let message = self.member.recv().await.expect("a message");
            assert_eq!(message.as_text(), Some(number.to_string().as_str()));
        }
        assert_eq!(self.there.counts().missed, 0);
        assert!(self.there.counts().connected);
    }
}

#[test]
fn a_node_moves_to_another_server_without_a_loss() {
    let sim = Sim::new();
    start_three(&sim);
    sim.run(async {
        let scene = Scene::start(&sim, "nats://192.0.2.2,192.0.2.3").await;
        let events = scene.there.events();
        scene.send(&sim, 0..10).await;
        scene.connection.to_client().insert(LAME_DUCK);
        scene.send(&sim, 10..100).await;
        assert!(scene.connection.dropped_by_client());
        scene.there.rooms().to("tea").send("100");
        scene.check(0..101).await;
        scene.send(&sim, 101..110).await;
        scene.check(101..110).await;
        check_never_disconnected(&events).await;
    });
}

/// Checks what has happened so far.
async fn check_never_disconnected(events: &ClusterEvents) {
    while let Some(Some(event)) = poll_once(events.recv()).await {
        assert!(!matches!(event, ClusterEvent::Disconnected { .. }), "{event:?}");
    }
}

/// Otherwise, what arrives later over the old connection would count as lost.
#[test]
fn what_the_old_server_still_has_arrives_first() {
    let sim = Sim::new();
    start_three(&sim);
    sim.run(async {
        let scene = Scene::start_behind_a_lagging_server(&sim).await;
        let received = scene.there.counts().received;
        scene.send(&sim, 0..40).await;
        assert_eq!(scene.there.counts().received, received, "the next server's messages wait");
        scene.connection.to_client().resume();
        scene.check(0..40).await;
        sim.pass(Duration::from_millis(100)).await;
        assert!(scene.connection.dropped_by_client());
    });
}

/// The node stays for the moment, because what it would deliver from the next server is more than it can hold.
#[test]
fn what_the_old_server_still_has_is_not_lost_if_the_next_one_sends_much() {
    let sim = Sim::new();
    start_three(&sim);
    sim.run(async {
        let scene = Scene::start_behind_a_lagging_server(&sim).await;
        let received = scene.there.counts().received;
        for _ in 0..50 {
            scene.here.rooms().to("tea").send("x".repeat(100 << 10));
            sim.pass(Duration::from_millis(10)).await;
        }
        assert_eq!(scene.there.counts().received, received, "the old server goes first");
        scene.connection.to_client().resume();
        sim.pass(Duration::from_secs(1)).await;
        let counts = scene.there.counts();
        assert_eq!((counts.received - received, counts.missed), (50, 0));
        assert!(!scene.connection.dropped_by_client());
        sim.pass(Duration::from_secs(3)).await;
        assert!(scene.connection.dropped_by_client(), "it has moved after all");
        let counts = scene.there.counts();
        assert_eq!((counts.received - received, counts.missed), (50, 0));
    });
}

#[test]
fn a_node_stays_if_there_is_no_other_server() {
    let sim = Sim::new();
    let server = Server::start(&sim, |_| None);
    server.start_another(address(2), |_| None);
    sim.run(async {
        let scene = Scene::start(&sim, "nats://192.0.2.2,192.0.2.3").await;
        scene.connection.to_client().insert(LAME_DUCK);
        scene.send(&sim, 0..500).await;
        scene.check(0..500).await;
        assert!(!scene.connection.dropped_by_client());
    });
}

#[test]
fn a_node_stays_if_the_next_server_fails() {
    for answer in ["-ERR 'Permissions Violation'\r\n", ""] {
        let sim = Sim::new();
        let server = Server::start(&sim, |_| None);
        server.start_another(address(2), |_| None);
        sim.run(async {
            let scene = Scene::start(&sim, "nats://192.0.2.2,192.0.2.3").await;
            let events = scene.there.events();
            // It logs in, and then does not confirm the subscriptions.
            let has_subscribed = AtomicBool::new(false);
            server.start_another(address(3), move |words| {
                let subscribes = words[0] == "SUB";
                let had = has_subscribed.fetch_or(subscribes, Relaxed);
                (subscribes || had && words == ["PING"]).then(|| answer.into())
            });
            scene.connection.to_client().insert(LAME_DUCK);
            scene.send(&sim, 0..1000).await;
            scene.check(0..1000).await;
            assert!(!scene.connection.dropped_by_client());
            check_never_disconnected(&events).await;
        });
    }
}
