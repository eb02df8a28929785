//! Presence across the nodes of a cluster, in one simulation.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use futures_lite::future::poll_once;
use prism_driver::{Connection, Handler, Message, Runtime, Socket};
use prism_rooms::{
    Change, Cluster, MemoryBackplane, MemoryBroker, Presence, PresenceOptions, TrackError, Watch,
};
use prism_test::Sim;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
/// How long a change takes from one node to the watchers at another: it is gathered, and then batched with others.
const SOON: Duration = Duration::from_millis(121);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    mood: String,
}

/// Nodes, each with a server.
pub(crate) struct World {
    pub(crate) sim: Sim,
    broker: MemoryBroker,
    pub(crate) nodes: Vec<Node>,
}

pub(crate) struct Node {
    pub(crate) backplane: MemoryBackplane,
    pub(crate) cluster: Cluster,
    pub(crate) presence: Presence<Status>,
}

/// Tracks each connection as the person in its path, or lets it watch.
struct Tea(Presence<Status>);

impl Tea {
    fn track(&self, connection: &Connection, mood: &str) {
        let name = connection.param("name").unwrap();
        self.0.track(connection, "tea", name, Status { mood: mood.to_owned() }).unwrap();
    }
}

impl Handler for Tea {
    async fn on_connect(&self, connection: &Connection) {
        match connection.query() {
            Some("watch") => drop(self.0.watch(connection, "tea").unwrap()),
            _ => self.track(connection, "fine"),
        }
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        match message.as_text() {
            Some("leave") => drop(self.0.untrack(connection.id(), "tea")),
            Some(mood) => self.track(connection, mood),
            None => {}
        }
    }
}

impl World {
    pub(crate) fn new(nodes: usize) -> Self {
        Self::with_options(nodes, PresenceOptions::default())
    }

    pub(crate) fn with_options(nodes: usize, options: PresenceOptions) -> Self {
        let mut world = Self { sim: Sim::new(), broker: MemoryBroker::new(), nodes: Vec::new() };
        (0..nodes).for_each(|_| world.add_node(options));
        world.sim.run(world.sim.pass(SECOND)); // the nodes know each other
        world
    }

    fn add_node(&mut self, options: PresenceOptions) {
        let backplane = self.broker.backplane();
        let cluster = Cluster::new(self.sim.clone(), backplane.clone());
        let presence = Presence::on_with_options(&cluster, "status", options);
        let host = format!("node{}.example", self.nodes.len());
        let tea = Tea(presence.clone());
        self.sim.start_server(&host, |server| server.websocket("/{name}", tea));
        self.nodes.push(Node { backplane, cluster, presence });
    }

    /// Connects to a node as a person, or as a watcher (`?watch`).
    pub(crate) async fn connect(&self, node: usize, name: &str) -> Socket {
        let url = format!("ws://node{node}.example/{name}");
        let client = self.sim.client(&url).connect().await.unwrap();
        self.sim.settle().await;
        client
    }

    /// Returns the people that a node lists, such as `ada: fine, tired`.
    pub(crate) fn list(&self, node: usize) -> Vec<String> {
        let people = self.nodes[node].presence.list("tea");
        assert_eq!(people.len(), self.nodes[node].presence.count("tea"));
        let print = |person: &prism_rooms::Person<Status>| {
            let mut moods: Vec<_> =
                person.connections.iter().map(|tracked| &*tracked.meta().mood).collect();
            moods.sort_unstable();
            format!("{}: {}", person.key, moods.join(", "))
        };
        people.iter().map(|person| print(person)).collect()
    }

    pub(crate) fn watch(&self, node: usize) -> View {
        View {
            watch: self.nodes[node].presence.watch_here("tea"),
            people: BTreeMap::new(),
            left: 0,
        }
    }
}

/// What a watcher has seen.
pub(crate) struct View {
    watch: Watch<Status>,
    people: BTreeMap<String, usize>,
    /// How many people have left.
    pub(crate) left: usize,
}

impl View {
    /// Receives what there is.
    pub(crate) async fn update(&mut self) {
        while let Some(Some(change)) = poll_once(self.watch.recv()).await {
            self.apply(&change);
        }
    }

    fn apply(&mut self, change: &Change<Status>) {
        match change {
            Change::State { people, .. } => {
                let counted =
                    people.iter().map(|person| (person.key.to_string(), person.connections.len()));
                self.people = counted.collect();
            }
            Change::Diff { joined, updated, left, .. } => {
                for person in joined.iter().chain(updated) {
                    self.people.insert(person.key.to_string(), person.connections.len());
                }
                for key in left {
                    assert!(self.people.remove(&**key).is_some(), "{key} was not there");
                    self.left += 1;
                }
            }
            _ => panic!("{change:?}"),
        }
    }

    /// Waits until `count` people are there. Returns how long that has taken.
    pub(crate) async fn wait_for(&mut self, world: &World, count: usize) -> Duration {
        let began = world.sim.now();
        self.update().await;
        while self.people.len() != count {
            let change = self.watch.recv().await.expect("presence goes on");
            self.apply(&change);
        }
        world.sim.now() - began
    }
}

async fn next(client: &Socket) -> Value {
    let message = client.recv().await.unwrap();
    let mut json: Value = serde_json::from_str(message.as_text().unwrap()).unwrap();
    for list in ["people", "joined", "updated"] {
        for person in json[list].as_array_mut().into_iter().flatten() {
            for connection in person["connections"].as_array_mut().unwrap() {
                assert_eq!(connection["id"].as_str().map(str::len), Some(32));
                connection["id"] = json!(0);
            }
        }
    }
    if json["people"].is_null() {
        json.as_object_mut().unwrap().remove("people");
    }
    json.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    json
}

fn person(key: &str, moods: &[&str]) -> Value {
    let connections: Vec<_> =
        moods.iter().map(|mood| json!({ "id": 0, "meta": { "mood": mood } })).collect();
    json!({ "key": key, "connections": connections })
}

#[test]
fn watchers_receive_the_people_of_all_nodes_in_the_same_form() {
    let world = World::new(2);
    world.sim.run(async {
        let watcher = world.connect(0, "watcher?watch").await;
        let state = json!({ "presence": "state", "room": "tea", "number": 0, "people": [] });
        assert_eq!(next(&watcher).await, state);
        let began = world.sim.now();
        let ada = world.connect(1, "ada").await;
        let diff = |number, joined: Value, updated: Value, left: Value| {
            json!({
                "presence": "diff", "room": "tea", "number": number,
                "joined": joined, "updated": updated, "left": left,
            })
        };
        let joined = json!([person("ada", &["fine"])]);
        assert_eq!(next(&watcher).await, diff(1, joined, json!([]), json!([])));
        assert!(world.sim.now() - began <= SOON, "{:?}", world.sim.now() - began);
        ada.send("tired").await.unwrap();
        let updated = json!([person("ada", &["tired"])]);
        assert_eq!(next(&watcher).await, diff(2, json!([]), updated, json!([])));
        drop(ada);
        assert_eq!(next(&watcher).await, diff(3, json!([]), json!([]), json!(["ada"])));
    });
}

#[test]
fn each_node_lists_and_counts_the_people_of_all() {
    let world = World::new(3);
    world.sim.run(async {
        let _ada = world.connect(0, "ada").await;
        let ben = world.connect(1, "ben").await;
        assert!(world.list(2).is_empty(), "it has nobody there");
        let _eve = world.connect(2, "eve").await;
        world.sim.pass(50 * MILLISECOND).await;
        let all = ["ada: fine", "ben: fine", "eve: fine"];
        assert_eq!([0, 1, 2].map(|node| world.list(node)), [all, all, all]);
        let presence = &world.nodes[0].presence;
        let page = presence.list_after("tea", Some("ada"), 1);
        assert_eq!(&*page[0].key, "ben");
        let tracked = &presence.person("tea", "ben").unwrap().connections[0];
        assert_eq!(tracked.node(), Some(world.nodes[1].cluster.node()));
        assert_eq!(presence.person("tea", "ada").unwrap().connections[0].node(), None);
        ben.send("leave").await.unwrap();
        world.sim.pass(50 * MILLISECOND).await;
        assert_eq!(world.list(0), ["ada: fine", "eve: fine"]);
        assert!(world.list(1).is_empty(), "nobody is left there");
    });
}

#[test]
fn the_same_key_at_two_nodes_is_one_person() {
    let world = World::new(2);
    world.sim.run(async {
        let mut view = world.watch(0);
        let laptop = world.connect(0, "ada").await;
        let phone = world.connect(1, "ada").await;
        view.wait_for(&world, 1).await;
        phone.send("tired").await.unwrap();
        world.sim.pass(SECOND).await;
        assert_eq!([world.list(0), world.list(1)], [["ada: fine, tired"], ["ada: fine, tired"]]);
        drop(laptop);
        world.sim.pass(SECOND).await;
        assert_eq!(world.list(0), ["ada: tired"]);
        view.update().await;
        assert_eq!((view.people["ada"], view.left), (1, 0));
        drop(phone);
        view.wait_for(&world, 0).await;
        assert_eq!(view.left, 1);
    });
}

#[test]
fn a_watcher_that_comes_late_receives_all_people() {
    let world = World::new(3);
    world.sim.run(async {
        let _people = (world.connect(0, "ada").await, world.connect(1, "ben").await);
        world.sim.pass(SECOND).await;
        let mut view = world.watch(2);
        let took = view.wait_for(&world, 2).await;
        assert!(took <= SOON, "{took:?}");
        // It comes back before the room is forgotten, and after that.
        for away in [SECOND, 10 * SECOND] {
            drop(view);
            world.sim.pass(away).await;
            view = world.watch(2);
            let took = view.wait_for(&world, 2).await;
            assert!(took <= SOON, "{took:?}");
        }
        assert_eq!(view.left, 0);
    });
}

#[test]
fn metadata_that_cannot_be_read_is_left_out_and_counted() {
    let world = World::new(1);
    world.sim.run(async {
        let other = Cluster::new(world.sim.clone(), world.broker.backplane());
        let words = Presence::<String>::on(&other, "status");
        let mut view = world.watch(0);
        let ada = world.connect(0, "ada").await;
        let connection = ada.connection();
        words.track(connection, "tea", "ben", "these are words".to_owned()).unwrap();
        world.sim.pass(SECOND).await;
        view.update().await;
        assert_eq!(view.people.keys().collect::<Vec<_>>(), ["ada"]);
        assert_eq!(world.nodes[0].cluster.counts().unreadable, 1);
        assert_eq!(words.count("tea"), 1, "nor can the other node read ours");
        assert_eq!(other.counts().unreadable, 1);
        words.untrack(connection.id(), "tea");
        world.sim.pass(SECOND).await;
        assert_eq!(world.list(0), ["ada: fine"]);
    });
}

#[test]
fn topics_do_not_mix_even_if_their_names_have_colons() {
    let world = World::new(2);
    world.sim.run(async {
        let ada = world.connect(0, "ada").await;
        let topics = ["a", "a:b", "a%3ab", ""];
        let presences = [0, 1].map(|node| {
            topics.map(|topic| Presence::<String>::on(&world.nodes[node].cluster, topic))
        });
        let rooms = ["tea", "b:tea", ":tea", ""];
        let _watches =
            presences[1].each_ref().map(|presence| rooms.map(|room| presence.watch_here(room)));
        for (topic, presence) in topics.iter().zip(&presences[0]) {
            for room in rooms {
                let key = format!("{topic} {room}");
                presence.track(ada.connection(), room, &key, String::new()).unwrap();
            }
        }
        world.sim.pass(SECOND).await;
        for (topic, presence) in topics.iter().zip(&presences[1]) {
            for room in rooms {
                let people = presence.list(room);
                assert_eq!(people.len(), 1, "{topic} {room}");
                assert_eq!(*people[0].key, format!("{topic} {room}"));
            }
        }
    });
}

#[test]
fn a_topic_ends_with_its_presence_and_may_begin_again() {
    let world = World::new(1);
    world.sim.run(async {
        let other = Cluster::new(world.sim.clone(), world.broker.backplane());
        let mut view = world.watch(0);
        let ada = world.connect(0, "ada").await;
        for _ in 0..2 {
            let presence = Presence::<Status>::on(&other, "status");
            let twice = catch_unwind(AssertUnwindSafe(|| Presence::<Status>::on(&other, "status")));
            assert!(twice.is_err(), "there is one already");
            let status = Status { mood: "new".to_owned() };
            presence.track(ada.connection(), "tea", "ben", status).unwrap();
            view.wait_for(&world, 2).await;
            world.sim.pass(SECOND).await; // until the new node has heard the other one
            assert_eq!(presence.count("tea"), 2);
            drop(presence);
            view.wait_for(&world, 1).await;
        }
        assert_eq!(view.left, 2);
    });
}

#[test]
fn what_does_not_fit_into_an_envelope_is_refused_or_local() {
    let options = PresenceOptions::default().max_meta_size(1 << 20);
    let world = World::with_options(2, options);
    world.sim.run(async {
        let presence = &world.nodes[0].presence;
        let ada = world.connect(0, "ada").await;
        let mood = |len| Status { mood: "x".repeat(len) };
        let mut view = world.watch(1);
        view.wait_for(&world, 1).await;
        let track =
            |room: &str, key: &str, len| presence.track(ada.connection(), room, key, mood(len));
        assert!(matches!(
            track("tea", "ada", 8192),
            Err(TrackError::MetaTooLarge { limit: 8192, .. })
        ));
        track("tea", "ada", 8000).unwrap();
        track("milk", &"x".repeat(1025), 1).unwrap();
        track(&"x".repeat(1025), "ada", 1).unwrap();
        let [_milk, _long] =
            ["milk", &"x".repeat(1025)].map(|room| world.nodes[1].presence.watch_here(room));
        world.sim.pass(SECOND).await;
        assert_eq!(world.nodes[1].presence.list("tea")[0].connections.len(), 2);
        assert_eq!(world.nodes[1].presence.count("milk"), 0);
        assert_eq!(world.nodes[1].presence.count(&"x".repeat(1025)), 0);
        // Nothing of this is taken for something else.
        assert_eq!(world.nodes[1].cluster.counts().refused, 0);
    });
}
