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
    error::{Purpose, SessionError, shown},
    history,
    login::check_role,
    resp::Frame,
};

pub(crate) struct Pipeline {
    connection: Connection,
    /// Whether the server says what its role is.
    has_roles: bool,
    pending: VecDeque<PendingReply>,
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

enum PendingReply {
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
            pending: VecDeque::new(),
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
        self.pending.push_back(PendingReply::Publish(ticket));
    }

    pub(crate) fn append(&mut self, prefix: &str, append: &Append) {
        self.push_script(&history::append(prefix, append));
        self.pending.push_back(PendingReply::Append(append.ticket));
    }

    pub(crate) fn read(&mut self, prefix: &str, read: &Read) {
        self.push_script(&history::read(prefix, read));
        self.pending.push_back(PendingReply::Read(read.ticket));
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
        self.pending.push_back(PendingReply::Subscribe { unconfirmed: channels.len(), ticket });
    }

    pub(crate) fn unsubscribe(&mut self, prefix: &str, channels: &[Channel]) {
        command::push_channels(self.connection.out(), "UNSUBSCRIBE", prefix, channels);
        self.pending.push_back(PendingReply::Unsubscribe { unconfirmed: channels.len() });
    }

    /// Asks whether the server is still a master, unless it does not say so, or has not answered that yet.
    pub(crate) fn ask_role(&mut self) {
        if self.has_roles && !self.awaits_role {
            self.awaits_role = true;
            self.connection.push(&[b"ROLE"]);
            self.pending.push_back(PendingReply::Role);
        }
    }

    /// Returns whether there are subscriptions, of which none is confirmed.
    pub(crate) fn awaits_first_subscription(&self) -> bool {
        self.subscribed == Subscribed::Unconfirmed
    }

    /// Writes, and reads as much as belongs to a turn. Ready when the connection is lost.
    pub(crate) fn poll_turn(
        &mut self,
        session: &Session,
        cx: &mut Context<'_>,
    ) -> Poll<SessionError> {
        self.connection.write(cx);
        self.connection.start_turn();
        loop {
            let frame = ready!(self.connection.poll_frame(cx));
            if let Err(error) = frame.and_then(|frame| self.handle(frame, session)) {
                return Poll::Ready(error);
            }
        }
    }

    /// Returns whether there may be more to read, which is for the next turn.
    pub(crate) const fn used_up_turn(&self) -> bool {
        self.connection.used_up_turn()
    }

    fn handle(&mut self, frame: Frame, session: &Session) -> Result<(), SessionError> {
        match frame {
            Frame::Push([kind, _, payload]) => match &*kind {
                b"message" => session.received(payload),
                b"subscribe" | b"unsubscribe" => self.confirm(&kind, session)?,
                _ => {} // RESP3 lets servers tell clients what these do not know
            },
            Frame::Reply(scalars) => match (self.pending.pop_front(), &scalars) {
                (Some(PendingReply::Publish(ticket)), [count, ..]) if is_number(count) => {
                    session.done(ticket);
                }
                (Some(PendingReply::Role), role) => {
                    self.awaits_role = false;
                    check_role(role)?;
                }
                (Some(PendingReply::Append(ticket)), scalars) => {
                    match history::parse_position(scalars) {
                        Some(position) => session.appended(ticket, position),
                        None => return Err(SessionError::unexpected(&scalars[0])), // it is kept
                    }
                }
                (Some(PendingReply::Read(ticket)), scalars) => match history::parse_page(scalars) {
                    Some(page) => session.read(ticket, page),
                    None => session.refused(ticket, "what is kept of the room is damaged"),
                },
                (_, [what, ..]) => return Err(SessionError::unexpected(what)),
            },
            // A script that is refused concerns one room. The session goes on.
            Frame::Error(why) => match (self.pending.front(), history::refusal(&why)) {
                (Some(PendingReply::Append(ticket)), Some(reason)) => {
                    session.refused(*ticket, shown(reason));
                    self.pending.pop_front();
                }
                // It has no effect that counts, even if it fails half-way.
                (Some(PendingReply::Read(ticket)), _) => {
                    session.refused(*ticket, shown(history::without_code(&why)));
                    self.pending.pop_front();
                }
                // After the end of the session, an append is not known to be kept or not.
                _ => return Err(SessionError::refused(self.oldest_command(), &why, None)),
            },
        }
        Ok(())
    }

    /// Handles the confirmation of one channel.
    fn confirm(&mut self, kind: &[u8], session: &Session) -> Result<(), SessionError> {
        let ((Some(PendingReply::Subscribe { unconfirmed, .. }), b"subscribe")
        | (Some(PendingReply::Unsubscribe { unconfirmed }), b"unsubscribe")) =
            (self.pending.front_mut(), kind)
        else {
            return Err(SessionError::unexpected(kind));
        };
        *unconfirmed = unconfirmed.saturating_sub(1);
        if *unconfirmed == 0
            && let Some(PendingReply::Subscribe { ticket, .. }) = self.pending.pop_front()
        {
            self.subscribed = Subscribed::Yes;
            session.done(ticket);
        }
        Ok(())
    }

    /// Returns the name of the command whose reply is next.
    fn oldest_command(&self) -> &'static str {
        match self.pending.front() {
            Some(PendingReply::Role) => "ROLE",
            Some(PendingReply::Publish(_)) => "PUBLISH",
            Some(PendingReply::Append(_) | PendingReply::Read(_)) => "EVAL",
            Some(PendingReply::Subscribe { .. }) => "SUBSCRIBE",
            Some(PendingReply::Unsubscribe { .. }) => "UNSUBSCRIBE",
            None => "the connection",
        }
    }
}

/// Returns whether this is what `PUBLISH` returns: how many have received the message.
fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}
