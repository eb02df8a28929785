//! `prism_node tokio|smol|async-std URL`: a node of a cluster over Redis or NATS, for `chaos`. It prints lines that
//! begin with the time, in milliseconds since 1970:
//!
//! ```text
//! listening on ADDRESS as NODE
//! event connected | disconnected WHY | failed WHY | joined NODE | left NODE | gap NODE ROOM MISSED
//! event people PERSON,PERSON,...     who is in `room-0`, on all nodes
//! status RESIDENT_BYTES COUNTS       every half second
//! ```
//!
//! A connection to `/room/ROOM?person=PERSON` is a member of the room, and is sent "joined" when what others send
//! reaches it. One to `/send` sends to rooms: "ROOM TEXT". SIGTERM ends the node, which says goodbye. The end of its
//! standard input ends it at once, so that it does not outlive the program that has started it.

#[path = "../runtimes/mod.rs"]
mod runtimes;

use std::{
    env, io, process, thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prism_driver::{Connection, Handler, Message, Network, Options, Server};
use prism_rooms::{Cluster, ClusterEvent, Presence, Rooms};
use prism_rooms_nats::Nats;
use prism_rooms_redis::Redis;
use prism_tests::process::resident;

const USAGE: &str = "prism_node tokio|smol|async-std URL";

/// How long a node may run: longer than any scenario takes.
const LIMIT: Duration = Duration::from_secs(24 * 3600);

const STATUS_INTERVAL: Duration = Duration::from_millis(500);

/// How many bytes may wait for a member.
const MAX_UNSENT: usize = 8 << 20;

/// The room whose people are printed.
const SHOWN_ROOM: &str = "room-0";

struct Members {
    rooms: Rooms,
    presence: Presence<()>,
}

impl Handler for Members {
    async fn on_connect(&self, connection: &Connection) {
        let room = connection.param("room").expect("the route has it");
        let person = connection.query_param("person").expect("a person");
        self.rooms.join(connection, room).expect("room");
        self.presence.track(connection, room, &person, ()).expect("room");
        if self.rooms.reached(room).await {
            let _ = connection.send("joined").await; // fails if the member has gone meanwhile
        }
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

struct Senders(Rooms);

impl Handler for Senders {
    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        let text = message.as_text().expect("a text");
        let (room, text) = text.split_once(' ').expect("a room and a text");
        self.0.to(room).send(text);
    }
}

async fn run<N: Network + Default>(url: &str, shutdown: impl Future<Output = ()>) {
    let runtime = N::default();
    let cluster = if url.starts_with("nats:") {
        Cluster::new(runtime.clone(), Nats::new(runtime.clone(), url).expect("a URL"))
    } else {
        Cluster::new(runtime.clone(), Redis::new(runtime.clone(), url).expect("a URL"))
    };
    runtime.spawn(print_events(cluster.clone()));
    let presence = Presence::on(&cluster, "people");
    runtime.spawn(print_people(presence.clone()));
    runtime.spawn(print_status(runtime.clone(), cluster.clone()));
    let server = Server::<N>::bind("127.0.0.1:0").await.expect("a free port");
    let server = server
        .options(Options::default().high_water_mark(MAX_UNSENT))
        .websocket("/room/{room}", Members { rooms: cluster.rooms(), presence })
        .websocket("/send", Senders(cluster.rooms()));
    let address = server.local_addr().expect("a bound listener");
    print(format_args!("listening on {address} as {}", cluster.node()));
    server.serve_until(shutdown).await;
    cluster.leave().await;
}

async fn print_events(cluster: Cluster) {
    let events = cluster.events();
    while let Some(event) = events.recv().await {
        match event {
            ClusterEvent::Connected => print(format_args!("event connected")),
            ClusterEvent::Disconnected { reason } => {
                print(format_args!("event disconnected {reason}"));
            }
            ClusterEvent::ConnectFailed { reason } => print(format_args!("event failed {reason}")),
            ClusterEvent::NodeJoined { node } => print(format_args!("event joined {node}")),
            ClusterEvent::NodeLeft { node } => print(format_args!("event left {node}")),
            ClusterEvent::Gap { node, room, missed } => {
                let room = room.as_deref().unwrap_or("*");
                print(format_args!("event gap {node} {room} {missed}"));
            }
            event => panic!("an event that is not known: {event:?}"),
        }
    }
}

async fn print_people(presence: Presence<()>) {
    let watch = presence.watch_here(SHOWN_ROOM);
    while watch.recv().await.is_some() {
        let people = presence.list(SHOWN_ROOM);
        let keys: Vec<&str> = people.iter().map(|person| &*person.key).collect();
        print(format_args!("event people {}", keys.join(",")));
    }
}

async fn print_status<N: Network>(runtime: N, cluster: Cluster) {
    loop {
        print(format_args!("status {} {:?}", resident(), cluster.counts()));
        runtime.sleep(STATUS_INTERVAL).await;
    }
}

fn print(line: std::fmt::Arguments<'_>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set");
    println!("{} {line}", now.as_millis());
}

macro_rules! on {
    ($runtime:ident, $url:expr) => {
        runtimes::$runtime::block_on(LIMIT, async {
            let shutdown = runtimes::$runtime::shutdown_signal();
            run::<runtimes::$runtime::Network>($url, shutdown).await;
        })
    };
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let [runtime, url] = &words[..] else { panic!("{USAGE}") };
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink()); // an error ends the node as well
        process::exit(1);
    });
    match runtime.as_str() {
        "tokio" => on!(tokio, url),
        "smol" => on!(smol, url),
        "async-std" => on!(async_std, url),
        _ => panic!("{USAGE}"),
    }
}
