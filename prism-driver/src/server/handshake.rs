//! The server's side of a handshake: reads a request, and turns it into a connection or a [`PlainReply`].

use std::{io, sync::Arc};

use bytes::{Bytes, BytesMut};
use prism_core::{Output, OwnedHeaders, RecvBuffer, Request, ServerHandshake, WebSocket};

use crate::{
    buffer_pool,
    connection::{compression::Compression, request_info::RequestInfo},
    options::Options,
    runtime::{Runtime, Transport, timeout::within},
    server::{plain_reply::PlainReply, stats::NotUpgraded},
    session::{Established, read_buffer::ReadBuffer},
    tls::error::is_tls_error,
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
    /// The peer disconnected, or the transport failed.
    Disconnected(io::Error),
}

impl Rejected {
    pub(crate) fn reason(&self) -> NotUpgraded {
        match self {
            Self::Reply(reply) => reply.reason(),
            Self::Disconnected(error) if is_tls_error(error) => NotUpgraded::BadTls,
            Self::Disconnected(_) => NotUpgraded::Left,
        }
    }
}

impl From<PlainReply> for Rejected {
    fn from(reply: PlainReply) -> Self {
        Self::Reply(reply)
    }
}

impl From<io::Error> for Rejected {
    fn from(error: io::Error) -> Self {
        Self::Disconnected(error)
    }
}

/// What a peer sends before its request.
pub(crate) trait Preface {
    /// Returns whether nothing is missing, even before anything has arrived.
    fn is_complete(&self) -> bool;

    /// Takes what belongs to the preface out of the received bytes. Returns whether the preface is complete.
    fn receive(&mut self, received: &mut RecvBuffer) -> Result<bool, PlainReply>;
}

/// No preface.
impl Preface for () {
    fn is_complete(&self) -> bool {
        true
    }

    fn receive(&mut self, _: &mut RecvBuffer) -> Result<bool, PlainReply> {
        Ok(true)
    }
}

/// Reads a preface and a request, within the handshake timeout, and returns the result of `decide` for them. Sends
/// nothing: neither the 101 nor the answer to a rejected request.
pub(crate) async fn accept_handshake<R: Runtime, P: Preface, D>(
    runtime: &R,
    io: &mut impl Transport,
    read_buffer: &mut ReadBuffer,
    options: &Options,
    preface: &mut P,
    decide: impl FnOnce(Request<'_>, &mut P) -> D,
) -> Result<D, Rejected> {
    let request = read_request(io, read_buffer, options, preface, decide);
    let outcome = within(runtime, options.handshake_timeout, request).await;
    outcome.unwrap_or_else(|| Err(PlainReply::timeout().into()))
}

/// Reads a preface, within the handshake timeout. Returns the bytes that have arrived after it.
pub(crate) async fn accept_preface<R: Runtime, P: Preface>(
    runtime: &R,
    io: &mut impl Transport,
    read_buffer: &mut ReadBuffer,
    options: &Options,
    preface: &mut P,
) -> Result<Bytes, Rejected> {
    if preface.is_complete() {
        return Ok(Bytes::new());
    }
    let read = async {
        loop {
            if read_buffer.fill(io).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let received = read_buffer.buffer();
            if preface.receive(received)? {
                let rest = Bytes::copy_from_slice(received.unparsed());
                received.discard(rest.len());
                return Ok(rest);
            }
        }
    };
    let outcome = within(runtime, options.handshake_timeout, read).await;
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
