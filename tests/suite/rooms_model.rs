//! Many guests do at random, all at once, what can be done with rooms; a simple model knows what must
//! come of it.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, mpsc::channel},
};

use fastrand::Rng;

use super::support::{
    PATIENCE,
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
    heard: Vec<String>,
    said: usize,
}

impl Guest {
    fn new(hotel: &Open, seed: u64) -> Self {
        let (connection, socket) = hotel.guest();
        let (rooms, heard) = (BTreeSet::new(), Vec::new());
        Self { connection, socket, dice: Rng::with_seed(seed), rooms, heard, said: 0 }
    }

    async fn act(&mut self) {
        let room = ROOMS[self.dice.usize(..ROOMS.len())];
        match self.dice.usize(..8) {
            0..3 => {
                let is_new = self.rooms.insert(room); // others may be heard before the answer
                assert_eq!(self.order(&format!("join {room}")).await, is_new.to_string());
            }
            3..5 => {
                let answer = self.order(&format!("leave {room}")).await;
                assert_eq!(answer, self.rooms.remove(room).to_string());
            }
            _ => {
                let text = format!("{} {}", self.connection.id(), self.said);
                self.said += 1;
                let before = self.heard.len();
                let listeners = self.order(&format!("say {room} {text}")).await;
                let line = format!("{room}: {text}");
                let heard = self.heard[before..].iter().filter(|heard| **heard == line).count();
                assert_eq!(heard, usize::from(self.rooms.contains(room)), "{listeners} heard it");
            }
        }
    }

    /// Gives an order, and hears what is said until its answer.
    async fn order(&mut self, order: &str) -> String {
        self.socket.send(order).await.expect("an open connection");
        loop {
            let line = hears(&self.socket).await;
            match line.split_once(": ") {
                None => return line,
                Some((room, _)) => assert!(self.rooms.contains(room), "what was said in {room}"),
            }
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

#[test]
fn whatever_guests_do_the_rooms_are_those_of_a_simple_model() {
    let hotel = open(Options::default());
    let mut guests: Vec<Guest> = Vec::new();
    for round in 0..ROUNDS {
        let missing = guests.len()..GUESTS;
        guests.extend(missing.map(|number| Guest::new(&hotel, (round * GUESTS + number) as u64)));
        guests = act(guests);
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
        assert_all_have_heard_one_order(&guests);
    }
    assert!(guests.iter().any(|guest| guest.heard.len() > 100), "nobody has heard much");
}

/// What two guests have both heard in a room, they have heard in the same order.
fn assert_all_have_heard_one_order(guests: &[Guest]) {
    for room in ROOMS {
        let heard: Vec<Vec<&str>> = guests
            .iter()
            .map(|guest| {
                let lines = guest.heard.iter().map(String::as_str);
                lines.filter(|line| line.starts_with(room)).collect()
            })
            .collect();
        for (one, others) in heard.iter().enumerate().map(|(at, one)| (one, &heard[at + 1..])) {
            let ones: HashSet<&str> = one.iter().copied().collect();
            for other in others {
                let both: Vec<&str> =
                    other.iter().copied().filter(|line| ones.contains(line)).collect();
                let others: HashSet<&str> = both.iter().copied().collect();
                let the_same = one.iter().copied().filter(|line| others.contains(line));
                assert!(the_same.eq(both.iter().copied()), "in {room}");
            }
        }
    }
}
