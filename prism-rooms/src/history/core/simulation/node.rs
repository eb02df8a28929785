//! [`Node`]: a node of the simulation, with its members and its connection to the server.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use async_channel::Receiver;
use bytes::Bytes;

use crate::{
    backplane::{
        command::{Command, Ticket},
        history::Reply,
    },
    history::{
        core::{HistoryCore, output::Output},
        joined::{JoinStep, Joined},
        position::Position,
        record::Published,
    },
};

pub(super) const ROOM: &str = "tea";

pub(super) struct Node {
    pub(super) core: HistoryCore,
    pub(super) connection: Option<Connection>,
    members: BTreeSet<usize>,
    /// The clients that are being added, by the numbers of their requests.
    joins: BTreeMap<u64, (usize, Receiver<JoinStep>)>,
    /// How many records a client that is being added takes at once.
    pub(super) room_in_outboxes: usize,
}

/// What is on its way. Each queue keeps its order; nothing else does.
#[derive(Default)]
pub(super) struct Connection {
    pub(super) is_subscribed: bool,
    pub(super) commands: VecDeque<Command>,
    pub(super) replies: VecDeque<(Ticket, Reply)>,
    pub(super) published: VecDeque<Arrival>,
}

pub(super) enum Arrival {
    Subscribed,
    Payload(Bytes),
}

/// What happens to a client.
pub(super) enum Happens {
    Receives(Position, Bytes),
    /// It is told that it may have missed something, and what comes next.
    Warned(Position),
    Joined(Joined),
}

impl Node {
    pub(super) fn new(core: HistoryCore) -> Self {
        Self {
            core,
            connection: None,
            members: BTreeSet::new(),
            joins: BTreeMap::new(),
            room_in_outboxes: usize::MAX,
        }
    }

    pub(super) fn connect(&mut self) {
        self.connection = Some(Connection::default());
        self.core.handle_connected();
        self.subscribe();
    }

    pub(super) fn disconnect(&mut self) {
        if self.connection.take().is_some() {
            self.core.handle_session_ended();
        }
    }

    fn subscribe(&mut self) {
        if let Some(connection) = &mut self.connection
            && !self.members.is_empty()
            && !connection.is_subscribed
        {
            connection.is_subscribed = true;
            connection.published.push_back(Arrival::Subscribed);
        }
    }

    pub(super) fn join(&mut self, number: u64, client: usize, after: Option<Position>) {
        let (answer_to, answer) = async_channel::bounded(1);
        self.members.insert(client);
        self.joins.insert(number, (client, answer));
        let is_known = self.connection.as_ref().is_some_and(|connection| connection.is_subscribed);
        self.core.handle_join(number, &ROOM.into(), client as u128, after, answer_to);
        self.subscribe();
        // It lingers after the last member has left. If it has been requested only, that is answered later.
        if is_known && !self.awaits_subscription() {
            self.core.handle_active(&ROOM.into());
        }
    }

    fn awaits_subscription(&self) -> bool {
        let mut arrivals = self.connection.iter().flat_map(|connection| &connection.published);
        arrivals.any(|arrival| matches!(arrival, Arrival::Subscribed))
    }

    /// The client has gone. If it was the last one, the subscription lingers or not.
    pub(super) fn leave(&mut self, client: usize, lingers: bool) {
        self.members.remove(&client);
        self.joins.retain(|number, (joining, _)| {
            if *joining == client {
                self.core.handle_cancel(*number);
            }
            *joining != client
        });
        if self.members.is_empty() {
            self.core.handle_vacant(ROOM);
            if let Some(connection) = &mut self.connection
                && !lingers
            {
                connection.is_subscribed = false;
                connection.published.clear();
            }
        }
    }

    /// Handles the next thing that has arrived. Returns whether there was one.
    pub(super) fn handle_arrival(&mut self, published_first: bool) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        let is_published = published_first || connection.replies.is_empty();
        if is_published && let Some(arrival) = connection.published.pop_front() {
            match arrival {
                Arrival::Subscribed => self.core.handle_active(&ROOM.into()),
                Arrival::Payload(payload) if !self.members.is_empty() => {
                    let Published { room, position, record } = Published::decode(&payload).unwrap();
                    self.core.handle_published(&room.into(), position, record);
                }
                Arrival::Payload(_) => {}
            }
        } else if let Some((ticket, reply)) = connection.replies.pop_front() {
            self.core.handle_reply(ticket, reply);
        } else {
            return false;
        }
        true
    }

    /// Does what the core has decided. Returns what happens to clients.
    pub(super) fn settle(&mut self) -> Vec<(usize, Happens)> {
        let mut happens = Vec::new();
        while let Some(output) = self.core.poll_output() {
            let joining = self.core.joining(ROOM);
            let is_joining = |client: &&usize| joining.contains(&(**client as u128));
            let members = self.members.iter().filter(|client| !is_joining(client));
            match output {
                Output::Deliver { position, record, .. } => {
                    happens.extend(members.map(|client| {
                        (*client, Happens::Receives(position.clone(), record.clone()))
                    }));
                }
                Output::Broken { position, .. } => {
                    happens
                        .extend(members.map(|client| (*client, Happens::Warned(position.clone()))));
                }
                Output::Admit(admission) => {
                    let client = self.joins[&admission.join].0;
                    let records = admission.records.clone().unwrap_or_default();
                    let first = admission.position.offset() + 1 - records.len() as u64;
                    let positions = (first..).map(|offset| admission.position.with_offset(offset));
                    let count = records.len();
                    let all = positions
                        .zip(records)
                        .map(|(position, record)| (client, Happens::Receives(position, record)));
                    happens.extend(all.take(self.room_in_outboxes));
                    if count > self.room_in_outboxes {
                        self.core.postpone(admission, self.room_in_outboxes);
                        continue;
                    }
                    let (position, repeated) = (admission.position.clone(), admission.repeated);
                    let joined = match admission.records {
                        Some(_) => Joined::Whole { position, repeated },
                        None => Joined::Broken { position },
                    };
                    self.core.admit(&admission);
                    self.joins.remove(&admission.join);
                    happens.push((client, Happens::Joined(joined)));
                }
                Output::Resubscribe(_) => {}
            }
        }
        if let Some(connection) = &mut self.connection {
            connection.commands.extend(std::iter::from_fn(|| self.core.poll_command()));
        }
        happens
    }

    /// Lets the clients that are being added take the pages that they were given.
    pub(super) fn take_pages(&mut self) -> Vec<(usize, Happens)> {
        let mut happens = Vec::new();
        let mut taken = Vec::new();
        for (number, (client, answer)) in &self.joins {
            match answer.try_recv() {
                Ok(JoinStep::Page { first, records }) => {
                    let positions = (first.offset()..).map(|offset| first.with_offset(offset));
                    happens.extend(
                        positions.zip(records).map(|(position, record)| {
                            (*client, Happens::Receives(position, record))
                        }),
                    );
                    taken.push(*number);
                }
                Ok(other) => panic!("{other:?}"),
                Err(_) => {}
            }
        }
        taken.into_iter().for_each(|number| self.core.handle_continue(number));
        happens.extend(self.settle());
        happens
    }
}
