//! [`Broker`]: what a message broker knows of its nodes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::logs::Logs;
use crate::{
    backplane::{
        command::Channel,
        history::{Append, Page, Read},
    },
    history::position::Position,
    signal::{Signal, Signals},
};

/// How much may wait for a node that does not read. With more, its connection is cut, as message brokers do.
const MAX_WAITING: usize = 8 << 20;

#[derive(Default)]
pub(super) struct Broker {
    pub(super) nodes: BTreeMap<u64, Node>,
    pub(super) next_node: u64,
    pub(super) is_stopped: bool,
    pub(super) logs: Logs,
    pub(super) refuses_history: bool,
}

/// A node, as the broker sees it.
#[derive(Default)]
pub(super) struct Node {
    /// Its connection, if there is one.
    pub(super) connection: Option<Connection>,
    pub(super) is_isolated: bool,
    pub(super) lose: usize,
    pub(super) repeat: usize,
}

pub(super) struct Connection {
    pub(super) subscribed: BTreeSet<Channel>,
    /// What was published for the node, and it has not read.
    pub(super) waiting: VecDeque<Bytes>,
    pub(super) waiting_bytes: usize,
    pub(super) is_stalled: bool,
    /// Why the connection ends, if it does.
    pub(super) ends: Option<&'static str>,
    /// Wakes the connection's future.
    pub(super) changed: Signal,
}

impl Broker {
    pub(super) fn publish(&mut self, channel: &Channel, payload: &Bytes, signals: &mut Signals) {
        for node in self.nodes.values_mut() {
            node.receive(channel, payload, signals);
        }
    }

    /// Keeps a message, and publishes it. Returns its position.
    pub(super) fn append(
        &mut self,
        append: &Append,
        signals: &mut Signals,
    ) -> Result<Position, &'static str> {
        self.check_history()?;
        let (position, payload) = self.logs.append(append)?;
        self.publish(&Channel::Room(append.room.clone()), &payload, signals);
        Ok(position)
    }

    pub(super) fn read(&mut self, read: &Read) -> Result<Page, &'static str> {
        self.check_history()?;
        Ok(self.logs.read(read))
    }

    const fn check_history(&self) -> Result<(), &'static str> {
        if self.refuses_history { Err("the broker refuses to keep messages") } else { Ok(()) }
    }
}

impl Connection {
    pub(super) const fn new(changed: Signal) -> Self {
        Self {
            subscribed: BTreeSet::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            is_stalled: false,
            ends: None,
            changed,
        }
    }
}

impl Node {
    pub(super) fn end(&mut self, reason: &'static str, signals: &mut Signals) {
        if let Some(connection) = &mut self.connection {
            connection.ends = Some(reason);
            signals.add(&connection.changed);
        }
    }

    pub(super) fn stall(&mut self, is_stalled: bool, signals: &mut Signals) {
        if let Some(connection) = &mut self.connection {
            connection.is_stalled = is_stalled;
            signals.add(&connection.changed);
        }
    }

    /// Receives what was published on a channel, if it has subscribed to it.
    pub(super) fn receive(&mut self, channel: &Channel, payload: &Bytes, signals: &mut Signals) {
        let Some(connection) = &mut self.connection else { return };
        if !connection.subscribed.contains(channel) {
            return;
        }
        if self.lose > 0 {
            self.lose -= 1;
            return;
        }
        let copies = if self.repeat > 0 { 2 } else { 1 };
        self.repeat = self.repeat.saturating_sub(1);
        for _ in 0..copies {
            connection.waiting.push_back(payload.clone());
            connection.waiting_bytes += payload.len();
        }
        if connection.waiting_bytes > MAX_WAITING {
            connection.ends = Some("the node was too slow");
            connection.waiting.clear();
        }
        signals.add(&connection.changed);
    }
}
