//! Many guests do at random, all at once, what can be done with rooms; a simple model knows what must
//! come of it.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, mpsc::channel},
};

use fastrand::Rng;

use super::support::{
    PATIENCE, block_on,
    handlers::Gate,
    hotel::{Open, hears, open},
};
use crate::{
    prism::{Connection, ConnectionId, Options, Socket},
    runtime::spawn,
};

const ROOMS: [&str; 4] = ["tea", "milk", "water", "wine"];
const GUESTS: usize = 16;
const ROUNDS: usize = 20;
const ORDERS: usize = 50;

/// A guest, and what it knows: nobody else lets it in or out.
struct Guest {
    connection: Connection,
    socket: Socket,
    dice: Rng,
    rooms: BTreeSet<&'static str>,
    /// Those that it has been in since the round began.
    stayed: BTreeSet<&'static str>,
    /// What it has said, and heard, in this round.
    said: Vec<String>,
    heard: Vec<String>,
    words: usize,
}

impl Guest {
    fn new(hotel: &Open, seed: u64) -> Self {
        let (connection, socket) = hotel.guest();
        Self {
            connection,
            socket,
            dice: Rng::with_seed(seed),
            rooms: BTreeSet::new(),
            stayed: BTreeSet::new(),
            said: Vec::new(),
            heard: Vec::new(),
            words: 0,
        }
    }

    fn begin(&mut self) {
        self.stayed.clone_from(&self.rooms);
        self.said.clear();
        self.heard.clear();
    }

    async fn act(&mut self) {
        let (room, other) = (self.dice.choice(ROOMS).unwrap(), self.dice.choice(ROOMS).unwrap());
        match self.dice.usize(..16) {
            0..6 => {
                let is_new = self.rooms.insert(room); // others may be heard before the answer
                assert_eq!(self.order(&format!("join {room}")).await, is_new.to_string());
            }
            6..9 => {
                let answer = self.order(&format!("leave {room}")).await;
                assert_eq!(answer, self.rooms.remove(room).to_string());
                self.stayed.remove(room);
            }
            9 => {
                assert_eq!(self.order("go").await, self.rooms.len().to_string());
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
        let order =
            if how == "shout" { format!("shout {text}") } else { format!("{how} {to} {text}") };
        self.order(&order).await;
        let heard = self.heard.iter().filter(|heard| **heard == line).count();
        let is_for_me = how != "tell" && self.rooms.iter().any(|room| is_for(&line, room));
        assert_eq!(heard, usize::from(is_for_me || how == "shout"), "{line}");
        self.said.push(line);
    }

    /// Gives an order, and hears what is said until its answer.
    async fn order(&mut self, order: &str) -> String {
        self.socket.send(order).await.expect("an open connection");
        loop {
            let line = hears(&self.socket).await;
            if !line.contains(": ") {
                return line;
            }
            let is_for_me = self.rooms.iter().any(|room| is_for(&line, room));
            assert!(is_for_me || is_for(&line, "everyone"), "heard {line}, in {:?}", self.rooms);
            self.heard.push(line);
        }
    }

    /// Goes without a word, and returns when the server has noticed.
    async fn vanish(self) {
        let gone = Gate::closed();
        let open = gone.clone();
        // Behind the hook of the rooms.
        self.connection.on_end(move || open.open());
        drop(self.socket);
        gone.pass().await;
    }
}

/// All guests act at once. Those who are still there.
fn act(guests: Vec<Guest>) -> Vec<Guest> {
    let (tell, told) = channel();
    let count = guests.len();
    for mut guest in guests {
        let tell = tell.clone();
        spawn(async move {
            for _ in 0..ORDERS {
                guest.act().await;
            }
            if guest.dice.usize(..4) > 0 {
                tell.send(Some(guest)).expect("the scenario waits");
            } else {
                guest.vanish().await;
                tell.send(None).expect("the scenario waits");
            }
        });
    }
    // Who has failed says nothing.
    let stayed = (0..count).map(|_| told.recv_timeout(PATIENCE).expect("no guest fails"));
    stayed.flatten().collect()
}

/// Whether a line is for who is in this room.
fn is_for(line: &str, room: &str) -> bool {
    let (to, _) = line.split_once(": ").expect("a line");
    to == "everyone" || to.split('+').any(|name| name == room)
}

#[test]
fn whatever_guests_do_the_rooms_are_those_of_a_simple_model() {
    let hotel = open(Options::default());
    let (mut guests, mut heard): (Vec<Guest>, usize) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        let missing = guests.len()..GUESTS;
        guests.extend(missing.map(|number| Guest::new(&hotel, (round * GUESTS + number) as u64)));
        guests.iter_mut().for_each(Guest::begin);
        guests = act(guests);
        for guest in &mut guests {
            // All that was said to it is ahead of the answer.
            assert_eq!(block_on(guest.order("join nothing")), "true");
            block_on(guest.order("leave nothing"));
        }
        for room in ROOMS {
            let inside = guests.iter().filter(|guest| guest.rooms.contains(room));
            let expected: HashSet<ConnectionId> =
                inside.map(|guest| guest.connection.id()).collect();
            let members = hotel.rooms.members(room);
            assert_eq!(members.len(), expected.len(), "{room}, round {round}");
            assert_eq!(members.into_iter().collect::<HashSet<_>>(), expected);
            let is_there = hotel.rooms.names().contains(&Arc::from(room));
            assert_eq!(is_there, !expected.is_empty(), "{room}, round {round}");
        }
        heard += assert_who_stayed_has_heard_everything_once(&guests);
        assert_all_have_heard_one_order(&guests);
    }
    assert!(heard > 1000, "only {heard} lines were heard by who was there all the time");
}

/// How many lines that is.
fn assert_who_stayed_has_heard_everything_once(guests: &[Guest]) -> usize {
    let mut count = 0;
    for listener in guests {
        let distinct: HashSet<&String> = listener.heard.iter().collect();
        assert_eq!(distinct.len(), listener.heard.len(), "something was heard twice");
        for speaker in guests {
            for line in &speaker.said {
                let to_others = line.contains(": tell ");
                let is_itself = listener.connection.id() == speaker.connection.id();
                let stayed = listener.stayed.iter().any(|room| is_for(line, room));
                if (stayed || is_for(line, "everyone")) && !(to_others && is_itself) {
                    assert!(distinct.contains(line), "{line} was not heard by all");
                    count += 1;
                }
            }
        }
    }
    count
}

/// What two guests have both heard that was for a room, they have heard in the same order.
fn assert_all_have_heard_one_order(guests: &[Guest]) {
    for room in ROOMS {
        let heard: Vec<Vec<&str>> = guests
            .iter()
            .map(|guest| {
                let lines = guest.heard.iter().map(String::as_str);
                lines.filter(|line| is_for(line, room)).collect()
            })
            .collect();
        for (at, one) in heard.iter().enumerate() {
            for other in &heard[at + 1..] {
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
