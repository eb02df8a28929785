//! [`Subscriptions`]: the rooms whose messages this node wants, and whether the backplane delivers them.
//!
//! ```text
//!   appeared ──► Waiting ── given to the session ──► Requested ── confirmed ──► Active
//!                   ▲                                                             │
//!                   └───────────────────── the session has ended ─────────────────┘
//! ```
//!
//! A room that has vanished is kept for a few seconds, because its members may come back. Then it is unsubscribed from.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use async_channel::Sender;

use crate::{
    backplane::command::{Channel, Command, Ticket, TicketKind},
    cluster::envelope::MAX_NAME,
};

/// How long a room stays subscribed after its last member has left.
const LINGER: Duration = Duration::from_secs(5);
/// The most rooms in a command.
const MAX_BATCH: usize = 512;

pub(super) struct Subscriptions {
    /// What kind of channel a room has, and its tickets.
    channel: fn(Arc<str>) -> Channel,
    ticket: fn(u64) -> TicketKind,
    rooms: HashMap<Arc<str>, Subscription>,
    /// The rooms that have vanished, by the time until which they are kept.
    lingering: BTreeSet<(Duration, Arc<str>)>,
    /// What the session has to be told. Some of it may be outdated.
    queue: VecDeque<(Change, Arc<str>)>,
    has_session: bool,
    /// The batches that the session has not confirmed.
    requested: HashMap<u64, Vec<Arc<str>>>,
    next_batch: u64,
}

struct Subscription {
    state: State,
    /// After how many arrivals of all nodes it was subscribed to for the first time; `None` if it has not been yet. A
    /// session that ends changes nothing: what is sent until the next one has subscribed is missing.
    followed_since: Option<u64>,
    /// When it is unsubscribed from; `None` while the room has members.
    expires: Option<Duration>,
    /// Told whether messages of others reach the room, once that is known.
    waiting: Vec<Sender<bool>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    /// The session has it, in this batch.
    Requested(u64),
    Active,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Subscribe,
    /// Subscribe to a room that is active, because messages to it were lost.
    Repeat,
    Unsubscribe,
}

impl Subscriptions {
    pub(super) fn new(channel: fn(Arc<str>) -> Channel, ticket: fn(u64) -> TicketKind) -> Self {
        Self {
            channel,
            ticket,
            rooms: HashMap::new(),
            lingering: BTreeSet::new(),
            queue: VecDeque::new(),
            has_session: false,
            requested: HashMap::new(),
            next_batch: 0,
        }
    }

    /// Records that a room has its first member.
    pub(super) fn appeared(&mut self, room: Arc<str>) {
        if room.len() > MAX_NAME {
            return; // no envelope can be for it
        }
        if let Some(subscription) = self.rooms.get_mut(&room) {
            if let Some(expires) = subscription.expires.take() {
                self.lingering.remove(&(expires, room));
            }
            return;
        }
        if self.has_session {
            self.queue.push_back((Change::Subscribe, room.clone()));
        }
        let new = Subscription {
            state: State::Waiting,
            followed_since: None,
            expires: None,
            waiting: Vec::new(),
        };
        self.rooms.insert(room, new);
    }

    /// Records that the last member has left a room.
    pub(super) fn vanished(&mut self, room: &Arc<str>, now: Duration) {
        let Some(subscription) = self.rooms.get_mut(room) else { return };
        answer(&mut subscription.waiting, false);
        if subscription.expires.is_none() {
            subscription.expires = Some(now + LINGER);
            self.lingering.insert((now + LINGER, room.clone()));
        }
    }

    /// Answers whether messages of others reach a room, as soon as they do. A room without members is not reached.
    pub(super) fn when_reached(&mut self, room: &str, answer_to: Sender<bool>) {
        match self.rooms.get_mut(room) {
            Some(subscription) if subscription.expires.is_none() => {
                let waiting = &mut subscription.waiting;
                if waiting.len() == waiting.capacity() {
                    waiting.retain(|sender| !sender.is_closed()); // before it grows: some may have given up
                }
                waiting.push(answer_to);
                if subscription.state == State::Active {
                    answer(&mut subscription.waiting, true);
                }
            }
            _ => answer(&mut vec![answer_to], false),
        }
    }

    /// Removes the rooms that have been vacant for long enough, and returns them.
    pub(super) fn expire(&mut self, now: Duration) -> Vec<Arc<str>> {
        let mut expired = Vec::new();
        while self.next_expiry().is_some_and(|expires| expires <= now)
            && let Some((_, room)) = self.lingering.pop_first()
        {
            let removed = self.rooms.remove(&room);
            if removed.is_some_and(|removed| removed.state != State::Waiting) {
                self.queue.push_back((Change::Unsubscribe, room.clone()));
            }
            expired.push(room);
        }
        expired
    }

    pub(super) fn next_expiry(&self) -> Option<Duration> {
        self.lingering.first().map(|(expires, _)| *expires)
    }

    /// Subscribes to all rooms of a new session.
    pub(super) fn session_started(&mut self) {
        self.has_session = true;
        self.queue.extend(self.rooms.keys().map(|room| (Change::Subscribe, room.clone())));
    }

    pub(super) fn session_ended(&mut self) {
        self.has_session = false;
        self.queue.clear();
        self.requested.clear();
        for subscription in self.rooms.values_mut() {
            subscription.state = State::Waiting;
        }
    }

    /// Subscribes to a room again, because messages to it were lost.
    pub(super) fn repeat(&mut self, room: &str) {
        if let Some((room, subscription)) = self.rooms.get_key_value(room)
            && subscription.state == State::Active
        {
            self.queue.push_back((Change::Repeat, room.clone()));
        }
    }

    /// Returns the next command for the session.
    pub(super) fn next_command(&mut self) -> Option<Command> {
        let mut batch = Vec::new();
        let mut is_subscribing = true;
        while batch.len() < MAX_BATCH
            && let Some((change, room)) = self.queue.front()
        {
            let subscribes = *change != Change::Unsubscribe;
            if !batch.is_empty() && subscribes != is_subscribing {
                break;
            }
            if self.is_needed(*change, room) {
                is_subscribing = subscribes;
                batch.push(room.clone());
            }
            self.queue.pop_front();
        }
        if batch.is_empty() {
            return None;
        }
        let channels = batch.iter().cloned().map(self.channel).collect();
        if !is_subscribing {
            return Some(Command::Unsubscribe { channels });
        }
        self.next_batch += 1;
        for room in &batch {
            if let Some(subscription) = self.rooms.get_mut(room)
                && subscription.state == State::Waiting
            {
                subscription.state = State::Requested(self.next_batch);
            }
        }
        self.requested.insert(self.next_batch, batch);
        let ticket = Ticket((self.ticket)(self.next_batch));
        Some(Command::Subscribe { channels, ticket })
    }

    fn is_needed(&self, change: Change, room: &str) -> bool {
        let state = self.rooms.get(room).map(|subscription| subscription.state);
        match change {
            Change::Subscribe => state == Some(State::Waiting),
            Change::Repeat => state == Some(State::Active),
            Change::Unsubscribe => true,
        }
    }

    /// Records that the session has subscribed to all rooms of a batch. `arrivals` counts what had arrived from all
    /// nodes by then. Returns the rooms that were not subscribed to before.
    pub(super) fn confirmed(&mut self, batch: u64, arrivals: u64) -> Vec<Arc<str>> {
        let mut rooms = self.requested.remove(&batch).unwrap_or_default();
        rooms.retain(|room| {
            let subscription = self.rooms.get_mut(room);
            let is_requested =
                |subscription: &&mut Subscription| subscription.state == State::Requested(batch);
            let Some(subscription) = subscription.filter(is_requested) else { return false };
            subscription.state = State::Active;
            subscription.followed_since.get_or_insert(arrivals);
            answer(&mut subscription.waiting, true);
            true
        });
        rooms
    }

    /// Returns whether the session has subscribed to a room.
    pub(super) fn is_active(&self, room: &str) -> bool {
        self.rooms.get(room).is_some_and(|subscription| subscription.state == State::Active)
    }

    /// Returns the name of a room, if it is known, and after how many arrivals it was subscribed to for the first time;
    /// `None` if it may not have been yet.
    pub(super) fn followed(&self, room: &str) -> Option<(&Arc<str>, Option<u64>)> {
        let (name, subscription) = self.rooms.get_key_value(room)?;
        Some((name, subscription.followed_since))
    }
}

fn answer(waiting: &mut Vec<Sender<bool>>, is_reached: bool) {
    for sender in waiting.drain(..) {
        let _ = sender.try_send(is_reached); // fails if nobody waits any more
    }
}

#[cfg(all(test, not(prism_loom)))]
mod tests;
