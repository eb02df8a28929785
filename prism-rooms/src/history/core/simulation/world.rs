//! [`World`]: nodes, a server and clients, and what goes wrong.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_channel::Receiver;
use bytes::Bytes;
use fastrand::Rng;

use super::{
    CLIENTS, KEEP, NODES, ROOMS,
    client::{Client, State},
    happened::Happened,
    members::Happens,
    model::Model,
    node::{Arrival, Node},
};
use crate::{
    backplane::{
        command::{Command, Ticket},
        history::{Read, Reply},
        memory::logs::Logs,
    },
    history::{core::CHECK_INTERVAL, error::AppendError, position::Position, start::Start},
};

type Answer = Receiver<Result<Position, AppendError>>;

pub(super) struct World {
    rng: Rng,
    now: Duration,
    rooms: Vec<Arc<str>>,
    nodes: Vec<Node>,
    /// Where each client is, and the number of its connection.
    places: Vec<Option<(usize, u128)>>,
    /// What each client has of each room.
    clients: Vec<BTreeMap<Arc<str>, Client>>,
    /// Whose connection has which number.
    connections: Vec<usize>,
    logs: Logs,
    model: Model,
    appends: Vec<(Bytes, Answer)>,
    /// Whether the server refuses everything for a while in this world.
    may_refuse: bool,
    is_refusing: bool,
    is_faulty: bool,
    happened: Happened,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let rooms: Vec<Arc<str>> = ROOMS.iter().map(|room| (*room).into()).collect();
        let clients = rooms.iter().map(|room| (room.clone(), Client::default())).collect();
        Self {
            rng: Rng::with_seed(seed),
            now: Duration::ZERO,
            rooms,
            nodes: (0..NODES as u64).map(|node| Node::new(seed * 100 + node)).collect(),
            places: vec![None; CLIENTS],
            clients: vec![clients; CLIENTS],
            connections: Vec::new(),
            logs: Logs::default(),
            model: Model::default(),
            appends: Vec::new(),
            may_refuse: seed.is_multiple_of(8),
            is_refusing: false,
            is_faulty: true,
            happened: Happened::default(),
        }
    }

    /// Lets something happen.
    pub(super) fn step(&mut self) {
        self.now += Duration::from_millis(self.rng.u64(..20));
        let node = self.rng.usize(..NODES);
        match self.rng.u32(..1000) {
            0..80 => self.append(node),
            80..100 => self.connect_or_end(),
            100..240 => self.join_or_leave(),
            240..245 => self.nodes[node].disconnect(),
            245..300 if self.nodes[node].session.is_none() => self.nodes[node].connect(),
            300 => self.fail_over(),
            301 if self.rng.u32(..4) == 0 => self.logs.clear(),
            302..305 => self.forget_subscription(node),
            305..307 => self.is_refusing = self.may_refuse && !self.is_refusing,
            307..315 => self.now += CHECK_INTERVAL / 4,
            315..600 => self.serve(node),
            600..720 => self.poll(node),
            _ => self.advance(node),
        }
    }

    /// Nothing goes wrong any more, and all that is on its way arrives. Then all are where they have to be.
    pub(super) fn come_to_rest(mut self) -> Happened {
        (self.is_faulty, self.is_refusing) = (false, false);
        for node in &mut self.nodes {
            node.connections().is_faulty.set(false);
            if node.session.is_none() {
                node.connect();
            }
        }
        for round in 0..300 {
            // What was published last may have been lost.
            self.now += if round % 100 == 99 { CHECK_INTERVAL } else { CHECK_INTERVAL / 200 };
            for node in 0..NODES {
                self.advance(node);
                (0..8).for_each(|_| self.serve(node));
                self.poll(node);
            }
        }
        self.check_clients();
        self.check_appends();
        self.happened
    }

    // ---- what clients do

    fn append(&mut self, node: usize) {
        let room = self.rng.choice(&self.rooms).expect("there are rooms").clone();
        let record = Bytes::from(format!("\x01{}", self.appends.len()));
        let answer = self.nodes[node].append(&room, record.clone());
        self.appends.push((record, answer));
    }

    fn connect_or_end(&mut self) {
        let client = self.rng.usize(..CLIENTS);
        if let Some((node, connection)) = self.places[client].take() {
            self.nodes[node].connections().end(connection);
            self.clients[client].values_mut().for_each(|client| client.state = State::Out);
        } else {
            self.places[client] = Some((self.rng.usize(..NODES), self.connections.len() as u128));
            self.connections.push(client);
        }
    }

    fn join_or_leave(&mut self) {
        let index = self.rng.usize(..CLIENTS);
        let Some((node, connection)) = self.places[index] else { return };
        let room = self.rng.choice(&self.rooms).expect("there are rooms").clone();
        let client = self.clients[index].get_mut(&room).expect("it is in each map");
        let connections = self.nodes[node].connections();
        match &client.state {
            State::Out => {
                if self.rng.u32(..8) == 0 {
                    client.position = None; // a page that has forgotten where it was
                }
                let most = [0, 0, 2, 2 * u64::from(KEEP.messages)][self.rng.usize(..4)];
                let recent = Start::Recent(self.rng.u64(..=most));
                let start = client.position.clone().map_or(recent, Start::After);
                let number = connections.request_join(&room, connection, start.clone());
                client.start_joining(number, &start);
            }
            // Nobody wants to know any more what becomes of it. The connection leaves the room once the node knows.
            State::Joining(_) if self.rng.u32(..3) == 0 => {
                connections.cancel(&room, connection);
                self.happened.cancelled += 1;
                self.advance(node);
                self.clients[index].get_mut(&room).expect("it is in each map").state = State::Out;
            }
            // It may not have joined yet.
            State::Joining(_) | State::In => {
                if connections.leave_room(&room, connection) {
                    client.state = State::Out;
                }
            }
        }
    }

    // ---- what happens to the server, and what it does

    /// Another server takes over, which has not got everything.
    fn fail_over(&mut self) {
        self.happened.failovers += 1;
        self.logs.restart();
        match self.rng.usize(..4) {
            0 => self.logs.clear(),
            lost => self.logs.lose_last(lost - 1),
        }
        self.nodes.iter_mut().for_each(Node::disconnect);
    }

    fn forget_subscription(&mut self, node: usize) {
        if let Some(session) = &mut self.nodes[node].session {
            session.subscribed.pop_first();
        }
    }

    /// The server carries out a command of a node.
    fn serve(&mut self, node: usize) {
        let session = self.nodes[node].session.as_mut();
        let Some(command) = session.and_then(|session| session.commands.pop_front()) else {
            return;
        };
        let is_refused = self.is_refusing || self.is_faulty && self.rng.u32(..50) == 0;
        let (ticket, reply) = match command {
            Command::Append(append) if is_refused => refuse(append.ticket),
            Command::Read(read) if is_refused => refuse(read.ticket),
            Command::Append(append) => {
                let (position, payload) = self.logs.append(&append).expect("an epoch is not full");
                self.model.keep(&append.room, &position, append.record);
                self.publish(&append.room, &payload);
                (append.ticket, Reply::Appended(position))
            }
            Command::Read(read) => {
                // A page holds a few records only.
                let page = self.logs.read(&Read { max_bytes: 12, ..read.clone() });
                self.model.see(&read.room, &page.last);
                (read.ticket, Reply::Page(page))
            }
            other => panic!("{other:?}"),
        };
        if let Some(session) = &mut self.nodes[node].session {
            session.replies.push_back((ticket, reply));
        }
    }

    fn publish(&mut self, room: &Arc<str>, payload: &Bytes) {
        for session in self.nodes.iter_mut().filter_map(|node| node.session.as_mut()) {
            let copies = match self.rng.u32(..20) {
                0 | 1 if self.is_faulty => 0,
                2 if self.is_faulty => 2,
                _ => 1,
            };
            if session.subscribed.contains(room) {
                let payloads = (0..copies).map(|_| Arrival::Payload(room.clone(), payload.clone()));
                session.published.extend(payloads);
            }
        }
    }

    // ---- what nodes do

    fn advance(&mut self, node: usize) {
        let happens = self.nodes[node].advance(&mut self.rng, self.now);
        self.apply(node, happens);
    }

    /// Lets the futures on a node run.
    fn poll(&mut self, node: usize) {
        self.nodes[node].connections().poll();
        let happens = self.nodes[node].connections().take_happens();
        self.apply(node, happens);
    }

    fn apply(&mut self, node: usize, happens: Vec<Happens>) {
        for happens in happens {
            match happens {
                Happens::Received { connection, position, record } => {
                    assert_eq!(self.model.record(&position), Some(&record));
                    let (index, room) = (self.client(node, connection), self.model.room(&position));
                    let client = self.clients[index.expect("it has not ended")].get_mut(&room);
                    client.expect("it is in each map").receive(position);
                }
                Happens::Warned { connection, room, position } => {
                    self.happened.warned += 1;
                    let index = self.client(node, connection).expect("it has not ended");
                    let client = self.clients[index].get_mut(&room).expect("it is in each map");
                    client.warn(position, &self.model, self.may_refuse);
                }
                Happens::Joined { id, joined } => {
                    let index = self.client(node, id.member).expect("it has not ended");
                    let client = self.clients[index].get_mut(&id.room).expect("it is in each map");
                    let (model, happened) = (&self.model, &mut self.happened);
                    client.learn(id.number, joined, model, self.may_refuse, happened);
                }
            }
        }
    }

    /// Returns the client with a connection, if it has not ended.
    fn client(&self, node: usize, connection: u128) -> Option<usize> {
        let client = self.connections[connection as usize];
        (self.places[client] == Some((node, connection))).then_some(client)
    }

    // ---- checks

    fn check_clients(&self) {
        for client in self.clients.iter().flat_map(BTreeMap::values) {
            match &client.state {
                State::Out => {}
                State::Joining(joining) => panic!("{joining:?} waits for ever"),
                State::In => {
                    let position = client.position.as_ref().expect("a member knows where it is");
                    assert!(self.model.is_last(position), "{position} is not the last, untold");
                }
            }
        }
    }

    /// What was confirmed was kept, there. What was refused was not.
    fn check_appends(&mut self) {
        for (record, answer) in &self.appends {
            match answer.try_recv().expect("an answer") {
                Ok(position) => assert_eq!(self.model.record(&position), Some(record)),
                Err(AppendError::Unknown) => self.happened.unknown += 1,
                Err(error) => {
                    assert!(!self.model.is_kept(record), "{error}");
                    let is_refused = matches!(error, AppendError::Refused(_));
                    self.happened.refused += usize::from(is_refused);
                }
            }
        }
    }
}

fn refuse(ticket: Ticket) -> (Ticket, Reply) {
    (ticket, Reply::Refused("a fault".to_owned()))
}
