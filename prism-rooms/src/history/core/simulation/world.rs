//! [`World`]: nodes, a server and clients, and what goes wrong.

use std::{collections::BTreeMap, time::Duration};

use async_channel::Receiver;
use bytes::Bytes;
use fastrand::Rng;

use super::node::{Arrival, Connection, Happens, Node, ROOM};
use crate::{
    backplane::{
        command::Command,
        history::{Keep, Reply},
        memory::logs::Logs,
    },
    history::{
        append_limit::AppendLimit,
        core::{CHECK_INTERVAL, HistoryCore},
        error::AppendError,
        joined::Joined,
        position::Position,
    },
};

const NODES: usize = 3;
const CLIENTS: usize = 8;
const STEPS: usize = 900;
const KEEP: Keep = Keep { messages: 5, age: Duration::from_secs(60) };

pub(super) struct World {
    rng: Rng,
    now: Duration,
    nodes: Vec<Node>,
    clients: Vec<Client>,
    logs: Logs,
    /// What was ever kept, by its position.
    kept: BTreeMap<String, Bytes>,
    appends: Vec<(Bytes, Receiver<Result<Position, AppendError>>)>,
    is_faulty: bool,
    number: u64,
    counts: Counts,
}

/// A client, and what it has.
#[derive(Clone, Default)]
struct Client {
    node: Option<usize>,
    position: Option<Position>,
    is_member: bool,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) whole: u64,
    pub(super) broken: u64,
    pub(super) repeated: u64,
    pub(super) warned: u64,
    pub(super) failovers: u64,
    pub(super) unknown: u64,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let nodes =
            (0..NODES as u64).map(|node| Node::new(HistoryCore::new(KEEP, seed * 100 + node)));
        Self {
            rng: Rng::with_seed(seed),
            now: Duration::ZERO,
            nodes: nodes.collect(),
            clients: vec![Client::default(); CLIENTS],
            logs: Logs::default(),
            kept: BTreeMap::new(),
            appends: Vec::new(),
            is_faulty: true,
            number: 0,
            counts: Counts::default(),
        }
    }

    pub(super) fn run(mut self, all: &mut Counts) {
        for _ in 0..STEPS {
            self.step();
        }
        self.come_to_rest();
        let counts = self.counts;
        all.whole += counts.whole;
        all.broken += counts.broken;
        all.repeated += counts.repeated;
        all.warned += counts.warned;
        all.failovers += counts.failovers;
        all.unknown += counts.unknown;
    }

    fn step(&mut self) {
        let node = self.rng.usize(..NODES);
        match self.rng.u32(..1000) {
            0..60 => self.append(node),
            60..180 => self.come_or_go(),
            180..190 => self.nodes[node].disconnect(),
            190..250 if self.nodes[node].connection.is_none() => self.nodes[node].connect(),
            250..252 => self.fail_over(),
            252 => self.logs.clear(),
            253..270 => {
                self.now += CHECK_INTERVAL / 4;
                self.nodes[node].core.handle_timeout(self.now);
                self.settle(node);
            }
            270..330 => {
                self.nodes[node].room_in_outboxes = self.rng.usize(..4);
                let happens = self.nodes[node].take_pages();
                self.apply(node, happens);
                self.nodes[node].room_in_outboxes = usize::MAX;
            }
            330..600 => self.serve(node),
            _ => self.arrive(node),
        }
    }

    fn append(&mut self, node: usize) {
        self.number += 1;
        let record = Bytes::from(format!("\x01{}", self.number));
        let (answer_to, answer) = async_channel::bounded(1);
        let permit = AppendLimit::new().admit(record.len()).unwrap();
        self.nodes[node].core.handle_append(ROOM, record.clone(), permit, answer_to);
        self.appends.push((record, answer));
        self.settle(node);
    }

    fn come_or_go(&mut self) {
        let index = self.rng.usize(..CLIENTS);
        let client = &mut self.clients[index];
        match client.node.take() {
            Some(node) => {
                client.is_member = false;
                let lingers = self.rng.bool();
                self.nodes[node].leave(index, lingers);
            }
            None => {
                let node = self.rng.usize(..NODES);
                client.node = Some(node);
                self.number += 1;
                let after = client.position.clone();
                self.nodes[node].join(self.number, index, after);
                self.settle(node);
            }
        }
    }

    /// Another server takes over, which has not got everything.
    fn fail_over(&mut self) {
        self.counts.failovers += 1;
        self.logs.restart();
        match self.rng.usize(..4) {
            0 => self.logs.clear(),
            lost => self.logs.lose_last(lost - 1),
        }
        self.nodes.iter_mut().for_each(Node::disconnect);
    }

    /// The server carries out a command.
    fn serve(&mut self, node: usize) {
        let Some(connection) = &mut self.nodes[node].connection else { return };
        let (ticket, reply) = match connection.commands.pop_front() {
            Some(Command::Append(append)) => {
                let (position, payload) = self.logs.append(&append).unwrap();
                self.kept.insert(position.to_string(), append.record);
                self.publish(&payload);
                (append.ticket, Reply::Appended(position))
            }
            Some(Command::Read(read)) if self.is_faulty && self.rng.u32(..50) == 0 => {
                (read.ticket, Reply::Refused("a fault".to_owned()))
            }
            Some(Command::Read(read)) => {
                // A page holds a few records only.
                let read = crate::backplane::history::Read { max_bytes: 12, ..read };
                (read.ticket, Reply::Page(self.logs.read(&read)))
            }
            _ => return,
        };
        if let Some(Connection { replies, .. }) = &mut self.nodes[node].connection {
            replies.push_back((ticket, reply));
        }
    }

    fn publish(&mut self, payload: &Bytes) {
        for node in &mut self.nodes {
            let Some(connection) = &mut node.connection else { continue };
            let copies = match self.rng.u32(..20) {
                0 | 1 if self.is_faulty => 0,
                2 if self.is_faulty => 2,
                _ => 1,
            };
            if connection.is_subscribed {
                let payloads = (0..copies).map(|_| Arrival::Payload(payload.clone()));
                connection.published.extend(payloads);
            }
        }
    }

    fn arrive(&mut self, node: usize) {
        let published_first = self.rng.bool();
        self.nodes[node].handle_arrival(published_first);
        self.settle(node);
    }

    fn settle(&mut self, node: usize) {
        let happens = self.nodes[node].settle();
        self.apply(node, happens);
    }

    /// Checks what happens to clients.
    fn apply(&mut self, node: usize, happens: Vec<(usize, Happens)>) {
        for (index, happens) in happens {
            let client = &mut self.clients[index];
            assert_eq!(client.node, Some(node), "it is not there any more");
            match happens {
                Happens::Receives(position, record) => {
                    let last = client.position.as_ref().expect("it knows where it is");
                    assert_eq!(last.epoch(), position.epoch(), "it was not told");
                    assert_eq!(last.offset() + 1, position.offset(), "missing or repeated");
                    assert_eq!(self.kept.get(&position.to_string()), Some(&record));
                    client.position = Some(position);
                }
                Happens::Warned(position) => {
                    assert!(client.is_member);
                    self.counts.warned += 1;
                    client.position = Some(position);
                }
                Happens::Joined(Joined::Whole { position, repeated }) => {
                    assert!(client.position.as_ref().is_none_or(|last| *last == position));
                    (client.position, client.is_member) = (Some(position), true);
                    self.counts.whole += 1;
                    self.counts.repeated += repeated;
                }
                Happens::Joined(Joined::Broken { position }) => {
                    let last = client.position.replace(position.clone()).expect("it had one");
                    // It was not told for nothing.
                    let next = last.with_offset(last.offset() + 1).to_string();
                    let missed = last.epoch() != position.epoch() || self.kept.contains_key(&next);
                    assert!(missed, "{last} {position}");
                    client.is_member = true;
                    self.counts.broken += 1;
                }
                Happens::Joined(Joined::Already) => panic!("it joins once"),
            }
        }
    }

    /// Nothing goes wrong any more, and all that is on its way arrives.
    fn come_to_rest(&mut self) {
        self.is_faulty = false;
        for node in &mut self.nodes {
            if node.connection.is_none() {
                node.connect();
            }
        }
        for round in 0..400 {
            if round % 100 == 99 {
                self.now += CHECK_INTERVAL; // what was published last may have been lost
            }
            for node in 0..NODES {
                self.nodes[node].core.handle_timeout(self.now);
                self.settle(node);
                (0..10).for_each(|_| self.serve(node));
                (0..10).for_each(|_| self.arrive(node));
                let happens = self.nodes[node].take_pages();
                self.apply(node, happens);
            }
        }
        self.check_clients();
        self.check_appends();
    }

    fn check_clients(&self) {
        let mut last: Option<Position> = None;
        for client in self.clients.iter().filter(|client| client.node.is_some()) {
            assert!(client.is_member, "a client waits for ever");
            let position = client.position.as_ref().unwrap();
            assert_eq!(last.get_or_insert_with(|| position.clone()), position);
            let next = position.with_offset(position.offset() + 1).to_string();
            assert!(!self.kept.contains_key(&next), "{next} was kept, and nobody was told");
        }
    }

    /// What was confirmed was kept, there. What was refused was not.
    fn check_appends(&mut self) {
        for (record, answer) in &self.appends {
            let is_kept = self.kept.values().any(|kept| kept == record);
            match answer.try_recv().expect("an answer") {
                Ok(position) => assert_eq!(self.kept.get(&position.to_string()), Some(record)),
                Err(AppendError::Unknown) => self.counts.unknown += 1,
                Err(_) => assert!(!is_kept),
            }
        }
    }
}
