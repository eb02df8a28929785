//! [`Exchange`]: what a session of a cluster says to NATS, and what it makes of what NATS says, without I/O.
//!
//! NATS confirms nothing, but it carries out in their order what it is told. So a `PING` follows all commands that are
//! there at once, and the `PONG` says that they are carried out.
//!
//! A message may overtake the `PONG` after its subscription, if it was published in between. It waits for that, and
//! what comes after it does, too: a cluster counts what is missing from the confirmation of a subscription on.

use std::{
    collections::{HashMap, VecDeque},
    mem,
};

use bytes::Bytes;
use prism_rooms::{Channel, Command, Session, Ticket};

use crate::{
    error::SessionError,
    info::Info,
    protocol::{self, Operation},
    subject::Prefix,
};

/// How much waits for a `PONG`, at most. What is more is delivered. That costs no message: a loss at this very moment
/// may go unreported. At a server that takes over, more ends that instead: delivered before what the old server still
/// has, it would make the cluster take that for repeated.
const MAX_HELD: usize = 4 << 20;

/// What a message that waits takes, besides its payload, roughly.
const OVERHEAD: usize = 64;

pub(crate) struct Exchange<'a> {
    prefix: &'a Prefix,
    session: &'a Session,
    max_payload: usize,
    /// The IDs of the subscriptions.
    subscriptions: HashMap<Channel, u64>,
    /// The ID of the last subscription. They increase.
    last_subscription: u64,
    /// The last subscription that is confirmed.
    last_confirmed: u64,
    /// What each `PING` is about that was not answered.
    pending: VecDeque<PendingPong>,
    /// Messages that wait for the confirmation of their subscriptions, and those behind them.
    held: VecDeque<(u64, Bytes)>,
    held_bytes: usize,
    /// Whether all messages wait, because another server is still used.
    is_withheld: bool,
    owes_pong: bool,
}

/// The commands before a `PING`.
struct PendingPong {
    tickets: Vec<Ticket>,
    last_subscription: u64,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(prefix: &'a Prefix, session: &'a Session, info: &Info) -> Self {
        Self {
            prefix,
            session,
            max_payload: info.max_payload(),
            subscriptions: HashMap::new(),
            last_subscription: 0,
            last_confirmed: 0,
            pending: VecDeque::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            is_withheld: false,
            owes_pong: false,
        }
    }

    /// Creates the exchange with a server that takes over. It subscribes to the same channels, and delivers nothing
    /// until [`release`](Self::release).
    pub(crate) fn successor(&self, info: &Info, out: &mut Vec<u8>) -> Self {
        let mut next = Self::new(self.prefix, self.session, info);
        next.is_withheld = true;
        self.subscriptions.keys().for_each(|channel| next.subscribe(channel.clone(), out));
        next.ask(Vec::new(), out);
        next
    }

    /// Delivers what has arrived, and from now on what arrives.
    pub(crate) fn release(&mut self) {
        self.is_withheld = false;
        self.deliver();
    }

    /// Returns whether more waits for another server than there is room for.
    pub(crate) const fn withholds_too_much(&self) -> bool {
        self.is_withheld && self.held_bytes > MAX_HELD
    }

    /// Adds what carries out the commands, and asks whether that is done.
    pub(crate) fn carry_out(&mut self, commands: Vec<Command>, out: &mut Vec<u8>) {
        let mut tickets = Vec::with_capacity(commands.len());
        for command in commands {
            match command {
                Command::Subscribe { channels, ticket } => {
                    channels.into_iter().for_each(|channel| self.subscribe(channel, out));
                    tickets.push(ticket);
                }
                Command::Unsubscribe { channels } => {
                    for channel in channels {
                        if let Some(subscription) = self.subscriptions.remove(&channel) {
                            protocol::push_unsubscribe(out, subscription);
                        }
                    }
                }
                Command::Publish { payload, ticket, .. } if payload.len() > self.max_payload => {
                    self.session.refused(ticket, self.too_large(payload.len()));
                }
                Command::Publish { channel, payload, ticket } => {
                    protocol::push_publish(out, &self.prefix.subject(&channel), &payload);
                    tickets.push(ticket);
                }
                // They are for backplanes that keep history.
                Command::Append(append) => {
                    self.session.refused(append.ticket, "NATS keeps no messages");
                }
                Command::Read(read) => self.session.refused(read.ticket, "NATS keeps no messages"),
            }
        }
        if !tickets.is_empty() {
            self.ask(tickets, out);
        }
    }

    /// Asks whether all is done, which has these tickets.
    pub(crate) fn ask(&mut self, tickets: Vec<Ticket>, out: &mut Vec<u8>) {
        protocol::push_ping(out);
        let last_subscription = self.last_subscription;
        self.pending.push_back(PendingPong { tickets, last_subscription });
    }

    /// Returns whether all that was asked is answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Subscribes to a channel. If there is a subscription already, it ends after the new one has begun, so that
    /// nothing is lost in between. What arrives over both of them is recognized by the cluster.
    fn subscribe(&mut self, channel: Channel, out: &mut Vec<u8>) {
        self.last_subscription += 1;
        let subject = self.prefix.subject(&channel);
        protocol::push_subscribe(out, &subject, self.last_subscription);
        if let Some(old) = self.subscriptions.insert(channel, self.last_subscription) {
            protocol::push_unsubscribe(out, old);
        }
    }

    fn too_large(&self, size: usize) -> String {
        let max = self.max_payload;
        format!(
            "a message takes {size} bytes with its rooms; the NATS server's max_payload is {max}"
        )
    }

    /// Handles what the server says. Returns what it says of itself, if it does.
    pub(crate) fn handle(&mut self, operation: Operation) -> Result<Option<Info>, SessionError> {
        match operation {
            Operation::Message { subscription, payload } => self.receive(subscription, payload)?,
            Operation::Pong => self.confirm()?,
            Operation::Ping => self.owes_pong = true,
            Operation::Info(json) => {
                let info = Info::parse(&json)?;
                self.max_payload = info.max_payload();
                return Ok(Some(info));
            }
            Operation::Ok => {}
            // It may leave the connection open, but something is not carried out, and it does not say which.
            Operation::Error(why) => return Err(SessionError::refused(&why)),
        }
        Ok(None)
    }

    /// Returns whether the server waits for a `PONG`. One answers all that it has asked.
    pub(crate) const fn owes_pong(&self) -> bool {
        self.owes_pong
    }

    /// Adds the `PONG` for which the server waits, if it does.
    pub(crate) fn answer(&mut self, out: &mut Vec<u8>) {
        if mem::take(&mut self.owes_pong) {
            protocol::push_pong(out);
        }
    }

    fn receive(&mut self, subscription: u64, payload: Bytes) -> Result<(), SessionError> {
        if !(1..=self.last_subscription).contains(&subscription) {
            return Err(SessionError::Unexpected("a message without a subscription"));
        }
        self.held_bytes += OVERHEAD + payload.len();
        self.held.push_back((subscription, payload));
        self.deliver();
        Ok(())
    }

    /// Delivers what does not wait for a confirmation.
    fn deliver(&mut self) {
        while let Some((_, payload)) = self.held.pop_front_if(|(subscription, _)| {
            !self.is_withheld
                && (*subscription <= self.last_confirmed || self.held_bytes > MAX_HELD)
        }) {
            self.held_bytes -= OVERHEAD + payload.len();
            self.session.received(payload);
        }
    }

    /// Handles that all commands before the oldest `PING` are carried out.
    fn confirm(&mut self) -> Result<(), SessionError> {
        let answered = self.pending.pop_front().ok_or(SessionError::Unexpected("a pong"))?;
        answered.tickets.into_iter().for_each(|ticket| self.session.done(ticket));
        self.last_confirmed = answered.last_subscription;
        self.deliver();
        Ok(())
    }
}
