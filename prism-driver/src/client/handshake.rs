//! [`Exchange`]: the client's side of a handshake: sends the request, and reads the answer.

use std::{
    future::poll_fn,
    io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use prism_core::{Accepted, Answer, ClientHandshake, ClientRequest, HandshakeError};

use crate::{
    connection::id::random_bytes,
    error::connect::{ConnectError, Refusal},
    options::Options,
    runtime::{Runtime, Transport, timeout::within},
    session::{Established, read_buffer::ReadBuffer},
};

/// How long the rest is waited for once it is decided that there is no connection: what it was decided
/// for, or the rest of a refusal.
const REST: Duration = Duration::from_secs(1);

/// A request under way, and the answer to it.
///
/// ```text
///             head of a 101, good or bad
///   Deciding ────────────────────────────► done
///      │                                    ▲
///      │ status of a refusal, or a failed   │ answer whole, end or failure of the
///      └ write ──────────► Decided ─────────┘ transport, or a second has passed
/// ```
///
/// The handshake timeout ends both. Whatever ends it, a refusal whose status is there is what comes of it.
///
/// It reads while it writes: a server may answer before it has read the whole request, and then
/// perhaps reads no more of it.
pub(crate) struct Exchange<'a, T> {
    io: &'a mut T,
    input: &'a mut ReadBuffer,
    handshake: ClientHandshake,
    sending: SendState,
}

/// How far the request has come.
enum SendState {
    SendQueue(BytesMut),
    Unflushed,
    Sent,
    /// The answer may be there all the same.
    Failed(io::Error),
}

impl<'a, T: Transport> Exchange<'a, T> {
    pub(crate) fn new(
        io: &'a mut T,
        input: &'a mut ReadBuffer,
        request: &ClientRequest,
        options: &Options,
    ) -> Self {
        let mut unsent = BytesMut::new();
        let handshake =
            ClientHandshake::start(&options.protocol, request, random_bytes(), &mut unsent);
        Self { io, input, handshake, sending: SendState::SendQueue(unsent) }
    }

    /// Runs it to its end, and makes a connection of an answer that accepts.
    pub(crate) async fn run<R: Runtime>(
        mut self,
        runtime: &R,
        options: &Options,
        open: impl Fn(Accepted<'_>) -> Established,
    ) -> Result<Established, ConnectError> {
        let deciding = self.decide(runtime, &open);
        match within(runtime, options.handshake_timeout, deciding).await {
            Some(outcome) => outcome,
            None => Err(self.interrupted(ConnectError::TimedOut)),
        }
    }

    async fn decide<R: Runtime>(
        &mut self,
        runtime: &R,
        open: &impl Fn(Accepted<'_>) -> Established,
    ) -> Result<Established, ConnectError> {
        while !self.is_decided() {
            if let Some(opened) = self.go_on(open).await? {
                return Ok(opened);
            }
        }
        let rest = async {
            loop {
                if let Some(opened) = self.go_on(open).await? {
                    return Ok(opened);
                }
            }
        };
        match within(runtime, REST, rest).await {
            Some(outcome) => outcome,
            None => Err(self.interrupted(ConnectError::TimedOut)),
        }
    }

    /// Whether there will be no connection, whatever still comes.
    const fn is_decided(&self) -> bool {
        self.handshake.is_refused() || matches!(self.sending, SendState::Failed(_))
    }

    /// Writes and reads once; the connection, if the answer is there and accepts.
    async fn go_on(
        &mut self,
        open: &impl Fn(Accepted<'_>) -> Established,
    ) -> Result<Option<Established>, ConnectError> {
        let answer = match poll_fn(|cx| self.poll(cx)).await {
            Ok(None) => return Ok(None),
            Ok(Some(0)) => return Err(self.interrupted(HandshakeError::UnexpectedEof.into())),
            Ok(Some(_)) => self.handshake.receive(self.input.buffer())?,
            Err(error) => return Err(self.interrupted(error.into())),
        };
        let opened = match answer {
            None => return Ok(None),
            Some(Answer::Refused(response)) => return Err(Refusal::from(&response).into()),
            Some(Answer::Accepted(accepted)) => open(accepted),
        };
        // A server that accepts early is still owed the rest of the request, before any frame.
        poll_fn(|cx| self.poll_send(cx)).await;
        match mem::replace(&mut self.sending, SendState::Sent) {
            SendState::Failed(error) => Err(error.into()),
            _ => Ok(Some(opened)),
        }
    }

    /// Ready when something was read, or, with `None`, when the request has just failed to be sent.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<usize>>> {
        if !self.is_decided() && self.poll_send(cx).is_ready() && self.is_decided() {
            return Poll::Ready(Ok(None));
        }
        self.input.poll_fill_head(self.io, cx).map_ok(Some)
    }

    /// Ready when there is no more to be sent.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let io = Pin::new(&mut *self.io);
            let sent = match &mut self.sending {
                SendState::Sent | SendState::Failed(_) => return Poll::Ready(()),
                SendState::Unflushed => ready!(io.poll_flush(cx)).map(|()| SendState::Sent),
                SendState::SendQueue(unsent) if unsent.is_empty() => Ok(SendState::Unflushed),
                SendState::SendQueue(unsent) => match ready!(io.poll_write(cx, unsent)) {
                    Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => {
                        unsent.advance(count);
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            self.sending = sent.unwrap_or_else(SendState::Failed);
        }
    }

    /// What comes of it when nothing more does: a refusal whose status is there counts for more than what
    /// has happened since, and what kept the request from being sent for more than the no_answer after.
    fn interrupted(&mut self, why: ConnectError) -> ConnectError {
        if let Ok(Answer::Refused(response)) = self.handshake.receive_eof(self.input.buffer()) {
            return Refusal::from(&response).into();
        }
        match mem::replace(&mut self.sending, SendState::Sent) {
            SendState::Failed(error) => error.into(),
            _ => why,
        }
    }
}
