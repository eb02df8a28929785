//! [`Connection`]: a connection to Redis: commands out, frames in.

use std::task::{Context, Poll};

use bytes::Bytes;
use prism_driver::{ServiceConnection, ServiceDecoder, ServiceError, Transport};

use crate::{
    command,
    error::{Purpose, SessionError},
    resp::{Decoder, Frame, Malformed, Scalars},
};

pub(crate) struct Connection {
    service: ServiceConnection<Decoder>,
    /// None while others may still fail to open: which one fails first is chance.
    purpose: Option<Purpose>,
}

impl ServiceDecoder for Decoder {
    type Item = Frame;
    type Error = Malformed;

    fn receive(&mut self, bytes: &[u8]) {
        self.receive(bytes);
    }

    fn poll_item(&mut self) -> Result<Option<Frame>, Malformed> {
        self.poll_frame()
    }
}

impl Connection {
    pub(crate) fn new(stream: impl Transport) -> Self {
        Self { service: ServiceConnection::new(stream, Decoder::default()), purpose: None }
    }

    /// Lets errors say what the connection is for.
    pub(crate) const fn set_purpose(&mut self, purpose: Purpose) {
        self.purpose = Some(purpose);
    }

    /// Waits for the reply to the oldest command, all of which are written first. The inner error is what Redis says.
    pub(crate) async fn reply(&mut self) -> Result<Result<Scalars, Bytes>, SessionError> {
        loop {
            match self.next_frame().await? {
                Frame::Reply(scalars) => return Ok(Ok(scalars)),
                Frame::Map(_) => return Err(SessionError::unexpected(b"a map")),
                Frame::Error(why) => return Ok(Err(why)),
                Frame::Push(_) => {} // no subscription yet, so this is something that Redis tells everyone
            }
        }
    }

    /// Waits for the reply to the oldest command, as [`reply`](Self::reply) does, if that is a map in RESP3. What is no
    /// map is taken for an empty one.
    pub(crate) async fn map_reply(&mut self) -> Result<Result<Bytes, Bytes>, SessionError> {
        loop {
            match self.next_frame().await? {
                Frame::Map(map) => return Ok(Ok(map)),
                Frame::Reply(_) => return Ok(Ok(Bytes::new())),
                Frame::Error(why) => return Ok(Err(why)),
                Frame::Push(_) => {}
            }
        }
    }

    /// Adds a command, to be written later.
    pub(crate) fn push(&mut self, words: &[&[u8]]) {
        command::push(self.out(), words);
    }

    /// Returns where commands are added, to be written later.
    pub(crate) const fn out(&mut self) -> &mut Vec<u8> {
        self.service.out()
    }

    /// Writes as much as the connection takes. If that fails, [`poll_frame`](Self::poll_frame) says so.
    pub(crate) fn write(&mut self, cx: &mut Context<'_>) {
        self.service.write(cx);
    }

    /// Allows as many bytes to be read as belong to a turn.
    pub(crate) const fn start_turn(&mut self) {
        self.service.start_turn();
    }

    /// Returns whether the turn has ended because it was used up, and not because there is nothing to read.
    pub(crate) const fn used_up_turn(&self) -> bool {
        self.service.used_up_turn()
    }

    /// Returns the next frame. Pending, without a wakeup, if the turn is used up.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, SessionError>> {
        self.service.poll_item(cx).map_err(|error| self.lost(error))
    }

    async fn next_frame(&mut self) -> Result<Frame, SessionError> {
        self.service.next_item().await.map_err(|error| self.lost(error))
    }

    fn lost(&self, error: ServiceError<Malformed>) -> SessionError {
        match error {
            ServiceError::Closed => SessionError::Closed(self.purpose),
            ServiceError::Io(error) => SessionError::Io(self.purpose, error),
            ServiceError::Invalid(error) => error.into(),
        }
    }
}
