//! [`AnyBackplane`]: a backplane that delivers and replies whatever a fuzz target wants.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use arbitrary::Arbitrary;
use async_channel::{Receiver, Sender};
use bytes::Bytes;
use futures_lite::future::or;
use prism_rooms::{
    Append, Backplane, Command, Page, Position, Read, Session, SessionFuture, Ticket,
};

/// The highest offset of a position.
const MAX_OFFSET: u64 = 1 << 53;

/// A position in the history of a room.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Place {
    /// So far from the last message that is kept.
    Near(i8),
    /// Anywhere in one of a few epochs. The first is that of the messages that are kept.
    Anywhere(u8, u64),
}

/// A reply to a command.
#[derive(Arbitrary, Clone, Debug)]
pub enum Answer {
    /// The command is carried out, and the reply is lost.
    Lost,
    Done,
    Refused,
    Appended(Place),
    Page {
        last: Place,
        /// So far from the last one, or anything.
        first: Result<i8, u64>,
        records: Vec<Vec<u8>>,
    },
}

/// Something that happens to the session.
pub enum Event {
    Payload(Bytes),
    /// A reply to any command that there ever was, to this one of them.
    Reply(u8, Answer),
    End,
}

/// What a target and its backplane share.
pub struct Control {
    /// What the node has published.
    pub published: Mutex<Vec<Bytes>>,
    /// What the next commands of the node's history are answered, instead of what is right.
    pub answers: Mutex<VecDeque<Answer>>,
    logs: Mutex<BTreeMap<Arc<str>, Log>>,
    tickets: Mutex<Vec<Ticket>>,
    events: Receiver<Event>,
    adds_event: Sender<Event>,
}

/// What is kept of a room: all messages that were not trimmed.
struct Log {
    last: Position,
    /// How many messages were trimmed.
    trimmed: u64,
    records: Vec<Bytes>,
}

/// Keeps messages, and delivers what the target wants, in addition to what is published.
pub struct AnyBackplane(pub Arc<Control>);

impl Control {
    #[expect(clippy::new_without_default, reason = "there is one per run of a target")]
    pub fn new() -> Self {
        let (adds_event, events) = async_channel::unbounded();
        Self {
            published: Mutex::default(),
            answers: Mutex::default(),
            logs: Mutex::default(),
            tickets: Mutex::default(),
            events,
            adds_event,
        }
    }

    pub fn deliver(&self, input: Event) {
        self.adds_event.try_send(input).expect("the channel is unbounded");
    }

    /// Loses all messages that are kept.
    pub fn lose_messages(&self) {
        self.logs.lock().unwrap().clear();
    }

    /// Keeps the last message of a room once more, as if it came from another node, and does not publish it.
    pub fn repeat_unpublished(&self, room: &str) {
        if let Some(log) = self.logs.lock().unwrap().get_mut(room)
            && let Some(record) = log.records.last().cloned()
        {
            log.append(record);
        }
    }

    /// Trims what is kept of a room to this many messages.
    pub fn trim(&self, room: &str, kept: u8) {
        if let Some(log) = self.logs.lock().unwrap().get_mut(room) {
            let surplus = log.records.len().saturating_sub(kept.into());
            log.trimmed += log.records.drain(..surplus).len() as u64;
        }
    }

    pub fn position(&self, room: &str, place: Place) -> Position {
        let logs = self.logs.lock().unwrap();
        let last = logs.get(room).map(|log| &log.last);
        let (epoch, offset) = match place {
            Place::Near(by) => {
                (0, last.map_or(0, Position::offset).saturating_add_signed(by.into()))
            }
            Place::Anywhere(epoch, offset) => (epoch % 3, offset % (MAX_OFFSET + 1)),
        };
        let other = format!("other{epoch}");
        let epoch = last.filter(|_| epoch == 0).map_or(&*other, Position::epoch);
        Position::new(epoch, offset).expect("a valid epoch, and an offset that is low enough")
    }

    /// Returns what is published when a record is kept.
    pub fn kept(&self, room: &str, at: Place, record: &[u8]) -> Bytes {
        let mut payload = vec![b'h', 0, room.len() as u8];
        payload.extend_from_slice(format!("{room}{} ", self.position(room, at)).as_bytes());
        payload.extend_from_slice(record);
        payload.into()
    }

    fn with_log<R>(&self, room: &Arc<str>, epoch: &str, f: impl FnOnce(&mut Log) -> R) -> R {
        let mut logs = self.logs.lock().unwrap();
        f(logs.entry(room.clone()).or_insert_with(|| {
            let last = Position::new(epoch, 0).expect("commands have valid epochs");
            Log { last, trimmed: 0, records: Vec::new() }
        }))
    }

    fn carry_out(&self, session: &Session, command: Command) {
        match command {
            Command::Subscribe { ticket, .. } => {
                self.tickets.lock().unwrap().push(ticket);
                session.done(ticket);
            }
            Command::Unsubscribe { .. } => {}
            Command::Publish { payload, ticket, .. } => {
                self.tickets.lock().unwrap().push(ticket);
                self.published.lock().unwrap().push(payload.clone());
                session.received(payload);
                session.done(ticket);
            }
            Command::Append(append) => self.append(session, &append),
            Command::Read(read) => self.read(session, &read),
        }
    }

    fn append(&self, session: &Session, append: &Append) {
        let Append { room, epoch, ticket, .. } = append;
        self.tickets.lock().unwrap().push(*ticket);
        let answer = self.answers.lock().unwrap().pop_front();
        if let Some(answer) = answer.as_ref().filter(|answer| !matches!(answer, Answer::Lost)) {
            return self.answer(session, *ticket, room, answer);
        }
        let position = self.with_log(room, epoch, |log| log.append(append.record.clone()));
        let text = format!("{position} ");
        session.received([&append.head[..], text.as_bytes(), &append.record].concat().into());
        if answer.is_none() {
            session.appended(*ticket, position);
        }
    }

    fn read(&self, session: &Session, read: &Read) {
        let Read { room, epoch, after, ticket, .. } = read;
        self.tickets.lock().unwrap().push(*ticket);
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            Some(answer) => self.answer(session, *ticket, room, &answer),
            None => {
                session.read(*ticket, self.with_log(room, epoch, |log| log.read(after.as_ref())))
            }
        }
    }

    fn answer(&self, session: &Session, ticket: Ticket, room: &str, answer: &Answer) {
        match answer {
            Answer::Lost => {}
            Answer::Done => session.done(ticket),
            Answer::Refused => session.refused(ticket, "the backplane refuses it"),
            Answer::Appended(place) => session.appended(ticket, self.position(room, *place)),
            Answer::Page { last, first, records } => {
                let last = self.position(room, *last);
                let first = match *first {
                    Ok(by) => last.offset().saturating_add_signed(by.into()),
                    Err(first) => first,
                };
                let records = records.iter().cloned().map(Bytes::from).collect();
                session.read(ticket, Page { last, first, records });
            }
        }
    }

    fn reply(&self, session: &Session, which: u8, answer: &Answer) {
        let tickets = self.tickets.lock().unwrap();
        if let Some(which) = usize::from(which).checked_rem(tickets.len()) {
            let ticket = tickets[which];
            drop(tickets);
            self.answer(session, ticket, "cup", answer);
        }
    }
}

impl Log {
    fn append(&mut self, record: Bytes) -> Position {
        self.records.push(record);
        let offset = self.last.offset() + 1;
        self.last = Position::new(self.last.epoch(), offset).expect("there are not that many");
        self.last.clone()
    }

    fn read(&self, after: Option<&Position>) -> Page {
        let after = after.filter(|after| after.epoch() == self.last.epoch());
        let known = after.map_or(self.last.offset(), Position::offset).max(self.trimmed);
        let records = self.records.iter().skip((known - self.trimmed) as usize).cloned().collect();
        Page { last: self.last.clone(), first: known + 1, records }
    }
}

impl Backplane for AnyBackplane {
    fn keeps_history(&self) -> bool {
        true
    }

    fn serve<'a>(&'a self, session: &'a Session) -> SessionFuture<'a> {
        Box::pin(async move {
            session.connected();
            loop {
                let commands = async { Ok(session.next().await) };
                let input = async { Err(self.0.events.recv().await.expect("it is open")) };
                match or(input, commands).await {
                    Err(Event::Payload(payload)) => session.received(payload),
                    Err(Event::Reply(which, answer)) => self.0.reply(session, which, &answer),
                    Err(Event::End) => return "it ends".into(),
                    Ok(commands) => {
                        for command in commands {
                            self.0.carry_out(session, command);
                        }
                    }
                }
            }
        })
    }
}
