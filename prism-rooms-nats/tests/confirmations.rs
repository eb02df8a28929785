//! When a subscription counts as done.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use prism_driver::{Connection, Handler, Message};
use prism_rooms::{Cluster, ClusterEvent, Rooms};
use prism_test::Sim;

use crate::server::{Server, node};

struct Chat(Rooms);

impl Handler for Chat {
    async fn on_connect(&self, connection: &Connection) {
        self.0.join(connection, "tea").expect("room");
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

/// What a test can change while the server runs.
#[derive(Clone, Default)]
struct Switches {
    /// No `PING` is answered.
    withholds_pongs: Arc<AtomicBool>,
    /// What is published in the room is lost.
    loses_messages: Arc<AtomicBool>,
    /// What was said to the server about the room.
    subscriptions: Arc<Mutex<Vec<String>>>,
}

impl Switches {
    fn strange(&self, words: &[&str]) -> Option<Vec<u8>> {
        let is_lost = match *words {
            ["SUB", "prism.r:tea", _] | ["UNSUB", _] => {
                self.subscriptions.lock().unwrap().push(words.join(" "));
                false
            }
            ["PING"] => self.withholds_pongs.load(Relaxed),
            ["PUB", "prism.r:tea", ..] => self.loses_messages.load(Relaxed),
            _ => false,
        };
        is_lost.then(Vec::new)
    }
}

/// Starts a server, a node that sends, and one that has a WebSocket server, at `there.example`.
async fn start(sim: &Sim) -> (Switches, Cluster, Cluster) {
    let switches = Switches::default();
    let strange = switches.clone();
    Server::start(sim, move |words| strange.strange(words));
    let (here, there) = (node(sim), node(sim));
    sim.pass(Duration::from_secs(3)).await;
    let chat = Chat(there.rooms());
    sim.start_server("there.example", |server| server.websocket("/", chat));
    (switches, here, there)
}

/// Otherwise, a message that is lost after that would not be missed.
#[test]
fn a_message_that_overtakes_the_confirmation_waits_for_it() {
    let sim = Sim::new();
    sim.run(async {
        let (switches, here, there) = start(&sim).await;
        let (events, connection) = (there.events(), sim.last_connection().expect("a connection"));
        let send = async |text: &str| {
            here.rooms().to("tea").send(text);
            sim.settle().await;
        };
        switches.withholds_pongs.store(true, Relaxed);
        let member = sim.client("ws://there.example/").connect().await.expect("a server");
        sim.settle().await;
        send("one").await;
        assert_eq!(there.counts().received, 0, "it waits");
        switches.withholds_pongs.store(false, Relaxed);
        connection.to_client().insert(b"PONG\r\n");
        assert_eq!(member.recv().await.expect("a message").as_text(), Some("one"));
        switches.loses_messages.store(true, Relaxed);
        send("two").await;
        switches.loses_messages.store(false, Relaxed);
        send("three").await;
        assert_eq!(member.recv().await.expect("a message").as_text(), Some("three"));
        let gap = ClusterEvent::Gap { node: here.node(), room: Some("tea".into()), missed: 1 };
        while events.recv().await.expect("a node that has not left") != gap {}
    });
}

/// The subscription may be lost, not the message.
#[test]
fn after_a_loss_a_room_is_subscribed_to_again_before_the_old_subscription_ends() {
    let sim = Sim::new();
    sim.run(async {
        let (switches, here, there) = start(&sim).await;
        let member = sim.client("ws://there.example/").connect().await.expect("a server");
        assert!(there.rooms().reached("tea").await);
        here.rooms().to("tea").send("one");
        assert_eq!(member.recv().await.expect("a message").as_text(), Some("one"));
        switches.loses_messages.store(true, Relaxed);
        here.rooms().to("tea").send("two");
        sim.pass(Duration::from_secs(3)).await;
        switches.loses_messages.store(false, Relaxed);
        here.rooms().to("tea").send("three");
        assert_eq!(member.recv().await.expect("a message").as_text(), Some("three"));
        let said = switches.subscriptions.lock().unwrap().clone();
        let ids = |line: &str| line.rsplit_once(' ').map(|(_, id)| id.parse::<u64>().unwrap());
        let [first, second, ended] = &said[..] else { panic!("{said:?}") };
        assert!(ids(second) > ids(first) && ids(ended) == ids(first), "{said:?}");
    });
}
