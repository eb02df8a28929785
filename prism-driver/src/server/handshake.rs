//! The server's side of a handshake: reads a request, and turns it into a connection or a [`PlainReply`].

use std::{io, sync::Arc, time::Duration};

use bytes::BytesMut;
use prism_core::{Output, OwnedHeaders, RecvBuffer, Request, ServerHandshake, WebSocket};

use crate::{
    buffer_pool,
    connection::{compression::Compression, request_info::RequestInfo},
    options::Options,
    runtime::{Runtime, Transport, timeout::within},
    server::{plain_reply::PlainReply, stats::NotUpgraded},
    session::{Established, read_buffer::ReadBuffer},
};

/// A request that becomes a connection. The 101 is encoded, but not sent yet.
pub(crate) struct Upgrade<E> {
    /// The route that the router found for the request.
    pub(crate) route: E,
    pub(crate) established: Established,
}

impl<E> Upgrade<E> {
    /// Accepts an offer. `accept` appends the 101 to the given output, and `info` receives what was agreed on for
    /// compression.
    pub(crate) fn new(
        route: E,
        headers: OwnedHeaders,
        accept: impl FnOnce(&mut BytesMut) -> WebSocket,
        info: impl FnOnce(Option<Compression>) -> Arc<RequestInfo>,
    ) -> Self {
        let mut queue = buffer_pool::take_send();
        let websocket = accept(queue.buffer());
        let established = Established::new(websocket, Some(queue), Some(headers), info);
        Self { route, established }
    }
}

/// A handshake that opens no connection.
pub(crate) enum Rejected {
    /// This answer has yet to be sent.
    Reply(PlainReply),
    /// No answer can be sent: the peer disconnected, the transport failed, or the TLS handshake did.
    Unanswered { error: io::Error, reason: NotUpgraded },
}

impl Rejected {
    pub(crate) fn reason(&self) -> NotUpgraded {
        match self {
            Self::Reply(reply) => reply.reason(),
            Self::Unanswered { reason, .. } => *reason,
        }
    }

    /// Returns the status of the answer, if there is one.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Reply(reply) => Some(reply.status()),
            Self::Unanswered { .. } => None,
        }
    }

    /// Returns whether there is something for the peer to read: an answer, or the alert of a failed TLS handshake.
    /// (Closing a socket with unread input resets the connection, and a reset destroys either.)
    pub(crate) const fn can_be_read(&self) -> bool {
        matches!(self, Self::Reply(_) | Self::Unanswered { reason: NotUpgraded::BadTls, .. })
    }
}

impl From<PlainReply> for Rejected {
    fn from(reply: PlainReply) -> Self {
        Self::Reply(reply)
    }
}

impl From<io::Error> for Rejected {
    fn from(error: io::Error) -> Self {
        Self::Unanswered { error, reason: NotUpgraded::Left }
    }
}

/// What a peer sends before its request.
pub(crate) trait Preface {
    /// Returns how long the preface and the request may take.
    fn time_left(&self, options: &Options) -> Duration;

    /// Takes what belongs to the preface out of the received bytes. Returns whether the preface is complete.
    fn receive(&mut self, received: &mut RecvBuffer) -> Result<bool, PlainReply>;
}

/// No preface.
impl Preface for () {
    fn time_left(&self, options: &Options) -> Duration {
        options.handshake_timeout
    }

    fn receive(&mut self, _: &mut RecvBuffer) -> Result<bool, PlainReply> {
        Ok(true)
    }
}

/// Reads a preface and a request, within the time that is left for them, and returns the result of `decide` for them.
/// Sends nothing: neither the 101 nor the answer to a rejected request.
pub(crate) async fn accept_handshake<R: Runtime, P: Preface, D>(
    runtime: &R,
    io: &mut impl Transport,
    read_buffer: &mut ReadBuffer,
    options: &Options,
    preface: &mut P,
    decide: impl FnOnce(Request<'_>, &mut P) -> D,
) -> Result<D, Rejected> {
    let timeout = preface.time_left(options);
    let request = read_request(io, read_buffer, options, preface, decide);
    let outcome = within(runtime, timeout, request).await;
    outcome.unwrap_or_else(|| Err(PlainReply::timeout().into()))
}

async fn read_request<P: Preface, D>(
    io: &mut impl Transport,
    read_buffer: &mut ReadBuffer,
    options: &Options,
    preface: &mut P,
    decide: impl FnOnce(Request<'_>, &mut P) -> D,
) -> Result<D, Rejected> {
    let mut handshake = ServerHandshake::new(&options.protocol);
    loop {
        if read_buffer.fill(io).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let received = read_buffer.buffer();
        if !preface.receive(received)? {
            continue;
        }
        match handshake.receive_request(received) {
            Ok(None) => {}
            Ok(Some(request)) => return Ok(decide(request, preface)),
            Err(error) => return Err(PlainReply::from(error).into()),
        }
    }
}
