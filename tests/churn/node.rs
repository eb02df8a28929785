//! A node, in a process of its own. It prints:
//!
//! ```text
//! listening on ADDRESS
//! event EVENT                  what it reports, other than that nodes join
//! status RESIDENT HEAP         bytes, every quarter of a second
//! ```
//!
//! A client makes its connection a member of many rooms, by these messages:
//!
//! | it sends | |
//! |---|---|
//! | `join ROOM` | is answered with `joined ROOM`, when messages of the other node reach the room |
//! | `leave ROOM` | |
//! | `send ROOM` | sends `sent ROOM` to the other members |

use std::time::Duration;

use prism_driver::{Connection, Handler, Message};
use prism_rooms::{Cluster, ClusterEvent, Presence, Rooms};
use prism_rooms_redis::Redis;
use prism_tests::process::resident;
use prism_tokio::{Server, Tokio};
use tokio::time::sleep;

use crate::HEAP;

const STATUS_INTERVAL: Duration = Duration::from_millis(250);

/// The person who is present in every room.
const PERSON: &str = "ada";

struct Members {
    rooms: Rooms,
    presence: Option<Presence<()>>,
}

impl Handler for Members {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let text = message.as_text().expect("a text");
        let (verb, room) = text.split_once(' ').expect("a verb and a room");
        match verb {
            "join" => {
                self.rooms.join(connection, room).expect("few rooms");
                if let Some(presence) = &self.presence {
                    presence.track(connection, room, PERSON, ()).expect("few rooms");
                }
                assert!(self.rooms.reached(room).await, "{room} is reached");
                let _ = connection.send(format!("joined {room}")).await; // fails at the end of the run
            }
            "leave" => {
                self.rooms.leave(connection.id(), room);
                if let Some(presence) = &self.presence {
                    presence.untrack(connection.id(), room);
                }
            }
            "send" => {
                self.rooms.to(room).except(connection.id()).send(format!("sent {room}"));
            }
            _ => panic!("{text}"),
        }
    }
}

/// Runs until the process is killed.
pub(crate) async fn run(url: &str, presence: bool) {
    let redis = Redis::new(Tokio, url).unwrap_or_else(|error| panic!("{error}"));
    let cluster = Cluster::new(Tokio, redis);
    tokio::spawn(print_events(cluster.clone()));
    tokio::spawn(print_status());
    let presence = presence.then(|| Presence::on(&cluster, "people"));
    let server = Server::bind("127.0.0.1:0").await.expect("a free port");
    println!("listening on {}", server.local_addr().expect("a bound listener"));
    server.websocket("/", Members { rooms: cluster.rooms(), presence }).serve().await;
}

async fn print_events(cluster: Cluster) {
    let events = cluster.events();
    while let Some(event) = events.recv().await {
        if !matches!(event, ClusterEvent::Connected | ClusterEvent::NodeJoined { .. }) {
            println!("event {event:?}");
        }
    }
}

async fn print_status() {
    loop {
        println!("status {} {}", resident(), HEAP.current_usage());
        sleep(STATUS_INTERVAL).await;
    }
}
