//! [`Pipeline`]: a connection to Redis, and the commands that Redis has yet to reply to.
//!
//! Redis replies in the order of the commands, and confirms a subscription in its place among the messages. So a
//! message that comes after the confirmation was published after the subscription. A command for several channels is
//! carried out at once: no message comes between its confirmations.

use std::{
    collections::VecDeque,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use prism_rooms::{Append, Channel, Read, Session, Ticket};

use crate::{
    command,
    connection::Connection,
    error::{Lost, Purpose, shown},
    history,
    login::check_role,
    resp::Frame,
};

pub(crate) struct Pipeline {
    connection: Connection,
    /// Whether the server says what its role is.
    has_roles: bool,
    unanswered: VecDeque<Asked>,
    /// Whether one of those is the role.
    awaits_role: bool,
    /// How far the first subscription has got.
    subscribed: Subscribed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Subscribed {
    No,
    Unconfirmed,
    Yes,
}

enum Asked {
    Role,
    Publish(Ticket),
    Append(Ticket),
    Read(Ticket),
    /// There is one confirmation for each channel.
    Subscribe {
        unconfirmed: usize,
        ticket: Ticket,
    },
    Unsubscribe {
        unconfirmed: usize,
    },
}

impl Pipeline {
    /// Creates the pipeline of a connection that is logged in.
    pub(crate) const fn new(connection: Connection, has_roles: bool) -> Self {
        Self {
            connection,
            has_roles,
            unanswered: VecDeque::new(),
            awaits_role: false,
            subscribed: Subscribed::No,
        }
    }

    /// Lets errors say what the connection is for.
    pub(crate) const fn set_purpose(&mut self, purpose: Purpose) {
        self.connection.set_purpose(purpose);
    }

    pub(crate) fn publish(
        &mut self,
        prefix: &str,
        channel: &Channel,
        payload: &[u8],
        ticket: Ticket,
    ) {
        let channel = format!("{prefix}:{channel}");
        self.connection.push(&[b"PUBLISH", channel.as_bytes(), payload]);
        self.unanswered.push_back(Asked::Publish(ticket));
    }

    pub(crate) fn append(&mut self, prefix: &str, append: &Append) {
        self.push_script(&history::append(prefix, append));
        self.unanswered.push_back(Asked::Append(append.ticket));
    }

    pub(crate) fn read(&mut self, prefix: &str, read: &Read) {
        self.push_script(&history::read(prefix, read));
        self.unanswered.push_back(Asked::Read(read.ticket));
    }

    fn push_script(&mut self, words: &[Bytes]) {
        let words: Vec<&[u8]> = words.iter().map(|word| &**word).collect();
        self.connection.push(&words);
    }

    pub(crate) fn subscribe(&mut self, prefix: &str, channels: &[Channel], ticket: Ticket) {
        if self.subscribed == Subscribed::No {
            self.subscribed = Subscribed::Unconfirmed;
        }
        command::push_channels(self.connection.out(), "SUBSCRIBE", prefix, channels);
        self.unanswered.push_back(Asked::Subscribe { unconfirmed: channels.len(), ticket });
    }

    pub(crate) fn unsubscribe(&mut self, prefix: &str, channels: &[Channel]) {
        command::push_channels(self.connection.out(), "UNSUBSCRIBE", prefix, channels);
        self.unanswered.push_back(Asked::Unsubscribe { unconfirmed: channels.len() });
    }

    /// Asks whether the server is still a master, unless it does not say so, or has not answered that yet.
    pub(crate) fn ask_role(&mut self) {
        if self.has_roles && !self.awaits_role {
            self.awaits_role = true;
            self.connection.push(&[b"ROLE"]);
            self.unanswered.push_back(Asked::Role);
        }
    }

    /// Returns whether there are subscriptions, of which none is confirmed.
    pub(crate) fn awaits_first_subscription(&self) -> bool {
        self.subscribed == Subscribed::Unconfirmed
    }

    /// Writes, and reads as much as belongs to a turn. Ready when the connection is lost.
    pub(crate) fn poll_turn(&mut self, session: &Session, cx: &mut Context<'_>) -> Poll<Lost> {
        self.connection.write(cx);
        self.connection.start_turn();
        loop {
            let frame = ready!(self.connection.poll_frame(cx));
            if let Err(lost) = frame.and_then(|frame| self.handle(frame, session)) {
                return Poll::Ready(lost);
            }
        }
    }

    /// Returns whether there may be more to read, which is for the next turn.
    pub(crate) const fn used_up_turn(&self) -> bool {
        self.connection.used_up_turn()
    }

    fn handle(&mut self, frame: Frame, session: &Session) -> Result<(), Lost> {
        match frame {
            Frame::Push([kind, _, payload]) => match &*kind {
                b"message" => session.received(payload),
                b"subscribe" | b"unsubscribe" => self.confirm(&kind, session)?,
                _ => {} // RESP3 lets servers tell clients what these do not know
            },
            Frame::Reply(scalars) => match (self.unanswered.pop_front(), &scalars) {
                (Some(Asked::Publish(ticket)), [count, ..]) if is_number(count) => {
                    session.done(ticket);
                }
                (Some(Asked::Role), role) => {
                    self.awaits_role = false;
                    check_role(role)?;
                }
                (Some(Asked::Append(ticket)), scalars) => match history::parse_position(scalars) {
                    Some(position) => session.appended(ticket, position),
                    None => return Err(Lost::unexpected(&scalars[0])),
                },
                (Some(Asked::Read(ticket)), scalars) => match history::parse_page(scalars) {
                    Some(page) => session.read(ticket, page),
                    None => return Err(Lost::unexpected(&scalars[0])),
                },
                (_, [what, ..]) => return Err(Lost::unexpected(what)),
            },
            // A script that is refused concerns one room. The session goes on.
            Frame::Error(why) => match self.unanswered.front() {
                Some(Asked::Append(ticket) | Asked::Read(ticket)) => {
                    session.refused(*ticket, shown(&why));
                    self.unanswered.pop_front();
                }
                _ => return Err(Lost::refused(self.oldest_command(), &why, None)),
            },
        }
        Ok(())
    }

    /// Handles the confirmation of one channel.
    fn confirm(&mut self, kind: &[u8], session: &Session) -> Result<(), Lost> {
        let ((Some(Asked::Subscribe { unconfirmed, .. }), b"subscribe")
        | (Some(Asked::Unsubscribe { unconfirmed }), b"unsubscribe")) =
            (self.unanswered.front_mut(), kind)
        else {
            return Err(Lost::unexpected(kind));
        };
        *unconfirmed = unconfirmed.saturating_sub(1);
        if *unconfirmed == 0
            && let Some(Asked::Subscribe { ticket, .. }) = self.unanswered.pop_front()
        {
            self.subscribed = Subscribed::Yes;
            session.done(ticket);
        }
        Ok(())
    }

    /// Returns the name of the command whose reply is next.
    fn oldest_command(&self) -> &'static str {
        match self.unanswered.front() {
            Some(Asked::Role) => "ROLE",
            Some(Asked::Publish(_)) => "PUBLISH",
            Some(Asked::Append(_) | Asked::Read(_)) => "EVAL",
            Some(Asked::Subscribe { .. }) => "SUBSCRIBE",
            Some(Asked::Unsubscribe { .. }) => "UNSUBSCRIBE",
            None => "the connection",
        }
    }
}

/// Returns whether this is what `PUBLISH` returns: how many have received the message.
fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}
