//! [`Exchange`]: the client's side of a handshake. Sends the request and reads the response.
//!
//! It reads while it writes, because a server may answer before it has read the whole request, read no more of it, and
//! disconnect. A server's answer explains more than the transport's error, so a refusal takes precedence over every
//! other error if its status has arrived. Once the status of a refusal has arrived, or a write has failed,
//! nothing can open the connection any more. The missing rest then has one second to arrive.

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
    error::{connect::ConnectError, refusal::Refusal},
    options::Options,
    runtime::{
        Runtime, Transport,
        flush::{Flushed, poll_flush},
        random::random_bytes,
        timeout::within,
    },
    session::{Established, read_buffer::ReadBuffer},
};

/// How long to wait for missing bytes once no connection is possible: for the server's answer after a failed write, or
/// for the rest of a refusal.
const REST_TIMEOUT: Duration = Duration::from_secs(1);

/// A request in progress, and the response to it.
///
/// ```text
///             head of a 101, valid or not
///   Deciding ────────────────────────────► done
///      │                                    ▲
///      │ status of a refusal, or a failed   │ whole response, end or failure of the
///      └ write ──────────► Decided ─────────┘ transport, or a second has passed
/// ```
///
/// The handshake timeout ends both states.
pub(crate) struct Exchange<'a, T> {
    io: &'a mut T,
    read_buffer: &'a mut ReadBuffer,
    handshake: ClientHandshake,
    sending: SendState,
}

/// How much of the request has been sent.
enum SendState {
    Writing(BytesMut),
    Unflushed,
    Sent,
    /// The response may have arrived nevertheless.
    Failed(io::Error),
}

impl<'a, T: Transport> Exchange<'a, T> {
    pub(crate) fn new(
        io: &'a mut T,
        read_buffer: &'a mut ReadBuffer,
        request: &ClientRequest,
        options: &Options,
    ) -> Self {
        let mut unsent = BytesMut::new();
        let handshake =
            ClientHandshake::start(&options.protocol, request, random_bytes(), &mut unsent);
        Self { io, read_buffer, handshake, sending: SendState::Writing(unsent) }
    }

    /// Runs the exchange to its end, or until the timeout. Calls `open` if the response accepts.
    pub(crate) async fn run<R: Runtime>(
        mut self,
        runtime: &R,
        timeout: Duration,
        open: impl Fn(Accepted<'_>) -> Established,
    ) -> Result<Established, ConnectError> {
        let exchange = self.decide(runtime, &open);
        match within(runtime, timeout, exchange).await {
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
            if let Some(established) = self.step(open).await? {
                return Ok(established);
            }
        }
        let rest = async {
            loop {
                if let Some(established) = self.step(open).await? {
                    return Ok(established);
                }
            }
        };
        match within(runtime, REST_TIMEOUT, rest).await {
            Some(outcome) => outcome,
            None => Err(self.interrupted(ConnectError::TimedOut)),
        }
    }

    /// Returns whether there will be no connection, whatever else arrives.
    const fn is_decided(&self) -> bool {
        self.handshake.is_refused() || matches!(self.sending, SendState::Failed(_))
    }

    /// Writes and reads once. Returns the connection if the response has arrived and accepts.
    async fn step(
        &mut self,
        open: &impl Fn(Accepted<'_>) -> Established,
    ) -> Result<Option<Established>, ConnectError> {
        let response = match poll_fn(|cx| self.poll(cx)).await {
            Ok(None) => return Ok(None),
            Ok(Some(0)) => return Err(self.interrupted(HandshakeError::UnexpectedEof.into())),
            Ok(Some(_)) => self.handshake.receive(self.read_buffer.buffer())?,
            Err(error) => return Err(self.interrupted(error.into())),
        };
        let established = match response {
            None => return Ok(None),
            Some(Answer::Refused(response)) => return Err(Refusal::from(&response).into()),
            Some(Answer::Accepted(accepted)) => open(accepted),
        };
        // If the server accepted early, the rest of the request still has to precede any frame.
        poll_fn(|cx| self.poll_send(cx)).await;
        match mem::replace(&mut self.sending, SendState::Sent) {
            SendState::Failed(error) => Err(error.into()),
            _ => Ok(Some(established)),
        }
    }

    /// Returns `Ready` when something was read, or with `None` when sending the request has just failed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<usize>>> {
        if !self.is_decided() && self.poll_send(cx).is_ready() && self.is_decided() {
            return Poll::Ready(Ok(None));
        }
        self.read_buffer.poll_fill_head(self.io, cx).map_ok(Some)
    }

    /// Returns `Ready` when nothing more can be sent.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let io = Pin::new(&mut *self.io);
            let sent = match &mut self.sending {
                SendState::Sent | SendState::Failed(_) => return Poll::Ready(()),
                SendState::Unflushed => match ready!(poll_flush(io, cx)) {
                    Ok(Flushed::Some(_)) => continue,
                    Ok(Flushed::All) => Ok(SendState::Sent),
                    Err(error) => Err(error),
                },
                SendState::Writing(unsent) if unsent.is_empty() => Ok(SendState::Unflushed),
                SendState::Writing(unsent) => match ready!(io.poll_write(cx, unsent)) {
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

    /// Returns the outcome if nothing more will be read. A refusal takes precedence if its status has arrived; then the
    /// error that kept the request from being sent; then `error`.
    fn interrupted(&mut self, error: ConnectError) -> ConnectError {
        if let Ok(Answer::Refused(response)) = self.handshake.receive_eof(self.read_buffer.buffer())
        {
            return Refusal::from(&response).into();
        }
        match mem::replace(&mut self.sending, SendState::Sent) {
            SendState::Failed(write_error) => write_error.into(),
            _ => error,
        }
    }
}
