//! [`Pipeline`]: a connection to Redis, and the commands that Redis has yet to reply to.
//!
//! Redis replies in the order of the commands, and confirms a subscription in its place among the messages. So a
//! message that comes after the confirmation was published after the subscription. A command for several channels is
//! carried out at once: no message comes between its confirmations.
//!
//! The first command with a script has its text, and the others have its hash. Commands that Redis refuses because it
//! has forgotten the script are sent again, in their order, with the text.

use std::{
    collections::VecDeque,
    mem,
    task::{Context, Poll},
};

use bytes::Bytes;
use prism_rooms::{Append, Channel, Read, Session, Ticket};

use crate::{
    command,
    connection::Connection,
    error::{Purpose, SessionError},
    history,
    login::check_role,
    resp::{Frame, Scalars},
    script::Script,
};

pub(crate) struct Pipeline {
    connection: Connection,
    /// What the names of all channels and keys begin with.
    prefix: Box<str>,
    /// The name of the last channel that was published on. Kept for its memory.
    name: String,
    /// Whether the server is asked again what its role is.
    role_counts: bool,
    /// What Redis has yet to reply to.
    pending: VecDeque<PendingReply>,
    append_script: Script,
    read_script: Script,
    /// Whether commands are sent again, which are not written yet.
    sends_again: bool,
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
    /// `has_text` if the command has the text of the script.
    Append {
        append: Append,
        has_text: bool,
    },
    Read {
        read: Read,
        has_text: bool,
    },
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
    /// Creates the pipeline of a connection that is logged in. If the `role_counts`, it is asked for again.
    pub(crate) fn new(connection: Connection, role_counts: bool, prefix: &str) -> Self {
        Self {
            connection,
            prefix: prefix.into(),
            name: String::new(),
            role_counts,
            pending: VecDeque::new(),
            append_script: Script::new(history::APPEND),
            read_script: Script::new(history::READ),
            sends_again: false,
            awaits_role: false,
            subscribed: Subscribed::No,
        }
    }

    /// Lets errors say what the connection is for.
    pub(crate) const fn set_purpose(&mut self, purpose: Purpose) {
        self.connection.set_purpose(purpose);
    }

    pub(crate) fn publish(&mut self, channel: &Channel, payload: &[u8], ticket: Ticket) {
        command::write_name(&mut self.name, &self.prefix, channel);
        self.connection.push(&[b"PUBLISH", self.name.as_bytes(), payload]);
        self.pending.push_back(PendingReply::Publish(ticket));
    }

    pub(crate) fn append(&mut self, append: Append) {
        let has_text = self.append_script.sends_text();
        let words = history::append(&self.prefix, &append);
        push_script(&mut self.connection, &mut self.append_script, &words);
        self.pending.push_back(PendingReply::Append { append, has_text });
    }

    pub(crate) fn read(&mut self, read: Read) {
        let has_text = self.read_script.sends_text();
        let words = history::read(&self.prefix, &read);
        push_script(&mut self.connection, &mut self.read_script, &words);
        self.pending.push_back(PendingReply::Read { read, has_text });
    }

    pub(crate) fn subscribe(&mut self, channels: &[Channel], ticket: Ticket) {
        if self.subscribed == Subscribed::No {
            self.subscribed = Subscribed::Unconfirmed;
        }
        command::push_channels(self.connection.out(), "SUBSCRIBE", &self.prefix, channels);
        self.pending.push_back(PendingReply::Subscribe { unconfirmed: channels.len(), ticket });
    }

    pub(crate) fn unsubscribe(&mut self, channels: &[Channel]) {
        command::push_channels(self.connection.out(), "UNSUBSCRIBE", &self.prefix, channels);
        self.pending.push_back(PendingReply::Unsubscribe { unconfirmed: channels.len() });
    }

    /// Asks whether the server is still a master, unless that does not count, or it has not answered that yet.
    pub(crate) fn ask_role(&mut self) {
        if self.role_counts && !self.awaits_role {
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
            let frame = match self.connection.poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending if mem::take(&mut self.sends_again) => {
                    self.connection.write(cx);
                    continue;
                }
                Poll::Pending => return Poll::Pending,
            };
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
            Frame::Reply(scalars) => self.handle_reply(&scalars, session)?,
            Frame::Map(_) => return Err(SessionError::unexpected(b"a map")),
            Frame::Error(why) => self.handle_error(&why, session)?,
        }
        Ok(())
    }

    fn handle_reply(&mut self, scalars: &Scalars, session: &Session) -> Result<(), SessionError> {
        match (self.pending.pop_front(), scalars) {
            (Some(PendingReply::Publish(ticket)), [count, ..]) if is_number(count) => {
                session.done(ticket);
            }
            (Some(PendingReply::Role), role) => {
                self.awaits_role = false;
                check_role(role)?;
            }
            (Some(PendingReply::Append { append, .. }), [what, ..]) => {
                match history::parse_position(scalars) {
                    Some(position) => session.appended(append.ticket, position),
                    None => return Err(SessionError::unexpected(what)), // it is kept
                }
            }
            (Some(PendingReply::Read { read, .. }), scalars) => {
                match history::parse_page(scalars) {
                    Some(page) => session.read(read.ticket, page),
                    None => session.refused(read.ticket, "what is kept of the room is damaged"),
                }
            }
            (_, [what, ..]) => return Err(SessionError::unexpected(what)),
        }
        Ok(())
    }

    /// Handles that Redis refuses a command. A script that is refused concerns one room, and the session goes on.
    fn handle_error(&mut self, why: &[u8], session: &Session) -> Result<(), SessionError> {
        let is_unknown = why.starts_with(b"NOSCRIPT ");
        match self.pending.pop_front() {
            Some(PendingReply::Append { append, has_text: false }) if is_unknown => {
                self.append_script.send_again();
                self.append(append);
                self.sends_again = true;
            }
            Some(PendingReply::Read { read, has_text: false }) if is_unknown => {
                self.read_script.send_again();
                self.read(read);
                self.sends_again = true;
            }
            Some(PendingReply::Append { append, .. }) => match history::refusal(why) {
                Some(reason) => session.refused(append.ticket, reason),
                // After the end of the session, it is not known whether it was kept.
                None => return Err(SessionError::refused("EVAL", why, None)),
            },
            // It has no effect that counts, even if it fails half-way.
            Some(PendingReply::Read { read, .. }) => {
                session.refused(read.ticket, history::reason(why));
            }
            other => return Err(SessionError::refused(command_name(other.as_ref()), why, None)),
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
}

/// Adds a command that runs a script.
fn push_script(connection: &mut Connection, script: &mut Script, arguments: &[Bytes]) {
    let arguments = arguments.iter().map(|argument| &**argument);
    let words: Vec<&[u8]> = script.next_words().into_iter().chain(arguments).collect();
    connection.push(&words);
}

/// Returns the name of a command, or what an error is about that comes without one.
const fn command_name(pending: Option<&PendingReply>) -> &'static str {
    match pending {
        Some(PendingReply::Role) => "ROLE",
        Some(PendingReply::Publish(_)) => "PUBLISH",
        Some(PendingReply::Append { .. } | PendingReply::Read { .. }) => "EVAL",
        Some(PendingReply::Subscribe { .. }) => "SUBSCRIBE",
        Some(PendingReply::Unsubscribe { .. }) => "UNSUBSCRIBE",
        None => "the connection",
    }
}

/// Returns whether this is what `PUBLISH` returns: how many have received the message.
fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}
