//! [`Backplane`]: one that loses, repeats and forgets as a schedule says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use fastrand::Rng;

use crate::backplane::command::{Channel, Command, Ticket};

#[derive(Default)]
pub(super) struct Backplane {
    pub(super) sessions: BTreeMap<u64, Session>,
    /// One delivery in this many is lost, or repeated; 0 for none.
    pub(super) lost_of: usize,
    pub(super) repeated_of: usize,
    /// What was published on each channel.
    pub(super) past: BTreeMap<Channel, Vec<Bytes>>,
    pub(super) lost: usize,
    pub(super) repeated: usize,
}

/// The backplane's end of a session.
#[derive(Default)]
pub(super) struct Session {
    /// What the node has asked for, and the backplane has not read.
    pub(super) commands: VecDeque<Command>,
    pub(super) subscribed: BTreeSet<Channel>,
    /// What the node has not read: on the connection that speaks, and on the one that listens.
    pub(super) replies: VecDeque<Ticket>,
    pub(super) pushes: VecDeque<Push>,
    /// Nothing moves, in either direction.
    pub(super) is_stalled: bool,
}

pub(super) enum Push {
    Subscribed(Ticket),
    Payload(Bytes),
}

impl Backplane {
    /// Carries out some of the commands that a session has sent.
    pub(super) fn carry_out(&mut self, session: u64, rng: &mut Rng) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let count = rng.usize(..=state.commands.len());
        let commands: Vec<_> = state.commands.drain(..count).collect();
        for command in commands {
            match command {
                Command::Subscribe { channels, ticket } => {
                    let Some(state) = self.sessions.get_mut(&session) else { return };
                    state.subscribed.extend(channels);
                    state.pushes.push_back(Push::Subscribed(ticket));
                }
                Command::Unsubscribe { channels } => {
                    let Some(state) = self.sessions.get_mut(&session) else { return };
                    channels.iter().for_each(|channel| {
                        state.subscribed.remove(channel);
                    });
                }
                Command::Publish { channel, payload, ticket } => {
                    self.publish(&channel, &payload, rng);
                    let Some(state) = self.sessions.get_mut(&session) else { return };
                    state.replies.push_back(ticket);
                }
                Command::Append(_) | Command::Read(_) => panic!("history is apart"),
            }
        }
    }

    fn publish(&mut self, channel: &Channel, payload: &Bytes, rng: &mut Rng) {
        let past = self.past.entry(channel.clone()).or_default();
        past.push(payload.clone());
        for session in self.sessions.values_mut() {
            if !session.subscribed.contains(channel) {
                continue;
            }
            if self.lost_of > 0 && rng.usize(..self.lost_of) == 0 {
                self.lost += 1;
                continue;
            }
            session.pushes.push_back(Push::Payload(payload.clone()));
            if self.repeated_of > 0 && rng.usize(..self.repeated_of) == 0 {
                self.repeated += 1;
                let again = if rng.bool() { payload } else { &past[rng.usize(..past.len())] };
                session.pushes.push_back(Push::Payload(again.clone()));
            }
        }
    }
}
