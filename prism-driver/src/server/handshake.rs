//! The server's side of a handshake: reads a request, and turns it into a connection or a [`PlainReply`].

use std::{io, net::SocketAddr, sync::Arc};

use prism_core::{Accept, Offer, Output, Request, ServerHandshake};

use crate::{
    buffer_pool,
    connection::request::RequestInfo,
    options::Options,
    runtime::{Runtime, Transport, timeout::within},
    server::{path_map::Params, plain_reply::PlainReply, stats::NotUpgraded},
    session::{Established, Session, read_buffer::ReadBuffer},
};

/// A request that becomes a connection. The 101 is encoded, but not sent yet.
pub(crate) struct Upgrade<E> {
    /// The endpoint that the router found for the request.
    endpoint: E,
    established: Established,
}

impl<E> Upgrade<E> {
    /// Accepts an offer, with the subprotocol that was selected. `plain` holds only the route's path. All connections
    /// whose requests have no query, parameters or subprotocol share it.
    pub(crate) fn accept(
        offer: Offer<'_>,
        endpoint: E,
        plain: &Arc<RequestInfo>,
        params: Params,
        options: &Options,
    ) -> Self {
        let request = offer.request();
        let info = plain.shared(request.path(), request.query(), params, offer.subprotocol());
        let headers = Some(request.headers().into_owned());
        let mut queue = buffer_pool::take_send();
        let websocket = offer.accept(&Accept::new(), &options.config(), queue.buffer());
        let queue = Some(queue);
        Self { endpoint, established: Established { websocket, queue, info, headers } }
    }

    /// Begins the session, and returns it with its endpoint.
    pub(crate) fn begin(
        self,
        io: impl Transport,
        peer_addr: Option<SocketAddr>,
        read_buffer: ReadBuffer,
        options: &Options,
    ) -> (Session, E) {
        (Session::new(self.established, io, peer_addr, read_buffer, options), self.endpoint)
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
    pub(crate) const fn reason(&self) -> NotUpgraded {
        match self {
            Self::Reply(reply) => reply.reason(),
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

/// Reads a request, within the handshake timeout, and calls `decide` on it. Sends nothing: neither the 101 nor the
/// answer of a rejected request.
pub(crate) async fn accept_handshake<R: Runtime, E>(
    runtime: &R,
    io: &mut impl Transport,
    read_buffer: &mut ReadBuffer,
    options: &Options,
    decide: impl FnOnce(Request<'_>) -> Result<Upgrade<E>, PlainReply>,
) -> Result<Upgrade<E>, Rejected> {
    let request = read_request(io, read_buffer, options, decide);
    let outcome = within(runtime, options.handshake_timeout, request).await;
    outcome.unwrap_or_else(|| Err(PlainReply::timeout().into()))
}

async fn read_request<E>(
    io: &mut impl Transport,
    read_buffer: &mut ReadBuffer,
    options: &Options,
    decide: impl FnOnce(Request<'_>) -> Result<Upgrade<E>, PlainReply>,
) -> Result<Upgrade<E>, Rejected> {
    let mut handshake = ServerHandshake::new(&options.protocol);
    loop {
        if read_buffer.fill(io).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match handshake.receive_request(read_buffer.buffer()) {
            Ok(None) => {}
            Ok(Some(request)) => return Ok(decide(request)?),
            Err(error) => return Err(PlainReply::from(error).into()),
        }
    }
}
