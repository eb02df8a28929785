//! Many clients use rooms at random and concurrently, and a simple model predicts the outcome.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, mpsc::channel},
};

use fastrand::Rng;

use super::support::{
    TIMEOUT, block_on,
    handlers::Gate,
    rooms_server::{RoomsServer, next_text, serve_rooms},
};
use crate::{
    prism::{Connection, ConnectionId, Options, Socket},
    runtime::spawn,
};

const ROOMS: [&str; 4] = ["tea", "milk", "water", "wine"];
const CLIENTS: usize = 16;
const ROUNDS: usize = 20;
const COMMANDS: usize = 50;

/// A client and the model of its rooms. Only its own commands change its rooms.
struct ModelClient {
    connection: Connection,
    socket: Socket,
    rng: Rng,
    rooms: BTreeSet<&'static str>,
    /// The rooms that it has been in since the beginning of the round.
    stayed: BTreeSet<&'static str>,
    /// The lines that it has sent and received in this round.
    sent: Vec<String>,
    received: Vec<String>,
    words: usize,
}

impl ModelClient {
    fn new(fixture: &RoomsServer, seed: u64) -> Self {
        let (connection, socket) = fixture.connect();
        Self {
            connection,
            socket,
            rng: Rng::with_seed(seed),
            rooms: BTreeSet::new(),
            stayed: BTreeSet::new(),
            sent: Vec::new(),
            received: Vec::new(),
            words: 0,
        }
    }

    fn begin(&mut self) {
        self.stayed.clone_from(&self.rooms);
        self.sent.clear();
        self.received.clear();
    }

    async fn act(&mut self) {
        let (room, other) = (self.rng.choice(ROOMS).unwrap(), self.rng.choice(ROOMS).unwrap());
        match self.rng.usize(..16) {
            0..6 => {
                let is_new = self.rooms.insert(room); // lines may arrive before the answer
                assert_eq!(self.command(&format!("join {room}")).await, is_new.to_string());
            }
            6..9 => {
                let answer = self.command(&format!("leave {room}")).await;
                assert_eq!(answer, self.rooms.remove(room).to_string());
                self.stayed.remove(room);
            }
            9 => {
                assert_eq!(self.command("go").await, self.rooms.len().to_string());
                self.rooms.clear();
                self.stayed.clear();
            }
            10 => self.say("shout", "everyone").await,
            11 => self.say("tell", room).await,
            12 => self.say("say", &format!("{room}+{other}")).await,
            _ => self.say("say", room).await,
        }
    }

    async fn say(&mut self, how: &str, to: &str) {
        let text = format!("{how} {} {}", self.connection.id(), self.words);
        let line = format!("{to}: {text}");
        self.words += 1;
        let command =
            if how == "shout" { format!("shout {text}") } else { format!("{how} {to} {text}") };
        self.command(&command).await;
        let received = self.received.iter().filter(|received| **received == line).count();
        let is_for_me = how != "tell" && self.rooms.iter().any(|room| is_for(&line, room));
        assert_eq!(received, usize::from(is_for_me || how == "shout"), "{line}");
        self.sent.push(line);
    }

    /// Sends a command, and receives lines until its answer.
    async fn command(&mut self, command: &str) -> String {
        self.socket.send(command).await.expect("an open connection");
        loop {
            let line = next_text(&self.socket).await;
            if !line.contains(": ") {
                return line;
            }
            let is_for_me = self.rooms.iter().any(|room| is_for(&line, room));
            assert!(
                is_for_me || is_for(&line, "everyone"),
                "received {line} while in {:?}",
                self.rooms
            );
            self.received.push(line);
        }
    }

    /// Drops the socket, and returns when the server has noticed.
    async fn disconnect(self) {
        let ended = Gate::closed();
        let gate = ended.clone();
        // Runs after the hook of the rooms.
        self.connection.on_end(move || gate.open());
        drop(self.socket);
        ended.pass().await;
    }
}

/// Runs all clients concurrently, and returns those that are still connected.
fn act(clients: Vec<ModelClient>) -> Vec<ModelClient> {
    let (sender, receiver) = channel();
    let count = clients.len();
    for mut client in clients {
        let sender = sender.clone();
        spawn(async move {
            for _ in 0..COMMANDS {
                client.act().await;
            }
            if client.rng.usize(..4) > 0 {
                sender.send(Some(client)).expect("the scenario waits");
            } else {
                client.disconnect().await;
                sender.send(None).expect("the scenario waits");
            }
        });
    }
    // A client that panics sends nothing.
    let stayed = (0..count).map(|_| receiver.recv_timeout(TIMEOUT).expect("no client fails"));
    stayed.flatten().collect()
}

/// Returns whether a line was sent to this room.
fn is_for(line: &str, room: &str) -> bool {
    let (to, _) = line.split_once(": ").expect("a line");
    to == "everyone" || to.split('+').any(|name| name == room)
}

#[test]
fn rooms_match_a_simple_model_under_random_use() {
    let fixture = serve_rooms(Options::default());
    let (mut clients, mut received): (Vec<ModelClient>, usize) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        let missing = clients.len()..CLIENTS;
        clients.extend(
            missing.map(|number| ModelClient::new(&fixture, (round * CLIENTS + number) as u64)),
        );
        clients.iter_mut().for_each(ModelClient::begin);
        clients = act(clients);
        for client in &mut clients {
            // All lines for the client precede the answer.
            assert_eq!(block_on(client.command("join nothing")), "true");
            block_on(client.command("leave nothing"));
        }
        for room in ROOMS {
            let inside = clients.iter().filter(|client| client.rooms.contains(room));
            let expected: HashSet<ConnectionId> =
                inside.map(|client| client.connection.id()).collect();
            let members = fixture.rooms.members(room);
            assert_eq!(members.len(), expected.len(), "{room}, round {round}");
            assert_eq!(members.into_iter().collect::<HashSet<_>>(), expected);
            let is_there = fixture.rooms.names().contains(&Arc::from(room));
            assert_eq!(is_there, !expected.is_empty(), "{room}, round {round}");
        }
        received += assert_lines_received_once(&clients);
        assert_same_order(&clients);
    }
    assert!(received > 1000, "only {received} lines had to be received");
}

/// Asserts that members that stayed in a room have received all of its lines once. Returns the
/// number of lines.
fn assert_lines_received_once(clients: &[ModelClient]) -> usize {
    let mut count = 0;
    for listener in clients {
        let distinct: HashSet<&String> = listener.received.iter().collect();
        assert_eq!(distinct.len(), listener.received.len(), "a line was received twice");
        for speaker in clients {
            for line in &speaker.sent {
                let to_others = line.contains(": tell ");
                let is_itself = listener.connection.id() == speaker.connection.id();
                let stayed = listener.stayed.iter().any(|room| is_for(line, room));
                if (stayed || is_for(line, "everyone")) && !(to_others && is_itself) {
                    assert!(distinct.contains(line), "a member missed {line}");
                    count += 1;
                }
            }
        }
    }
    count
}

/// Asserts that any two clients received the lines that they share in the same order, room by room.
fn assert_same_order(clients: &[ModelClient]) {
    for room in ROOMS {
        let received: Vec<Vec<&str>> = clients
            .iter()
            .map(|client| {
                let lines = client.received.iter().map(String::as_str);
                lines.filter(|line| is_for(line, room)).collect()
            })
            .collect();
        for (at, one) in received.iter().enumerate() {
            for other in &received[at + 1..] {
                let common = |these: &[&str], those: &[&str]| {
                    let those: HashSet<&str> = those.iter().copied().collect();
                    these
                        .iter()
                        .filter(|line| those.contains(**line))
                        .map(|line| line.to_string())
                        .collect::<Vec<_>>()
                };
                assert_eq!(common(one, other), common(other, one), "in {room}");
            }
        }
    }
}
