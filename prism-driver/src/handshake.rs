//! The server's side of a handshake: reads a request's head, and has it become a connection or a
//! [`PlainAnswer`].

use std::{io, net::SocketAddr, sync::Arc};

use prism_core::{Accept, Offer, Output, Request, ServerHandshake};

use crate::{
    buffer_pool,
    connection::request::RequestInfo,
    options::Options,
    runtime::{Runtime, Transport, timeout::within},
    server::{plain_answer::PlainAnswer, routes::Params, stats::Unopened},
    session::{Established, Session, read_buffer::ReadBuffer},
};

/// A request that becomes a connection: the answer is written, but not sent.
pub(crate) struct Upgrade<E> {
    /// Where the connection goes.
    endpoint: E,
    opened: Established,
}

impl<E> Upgrade<E> {
    /// Accepts an offer, with the sub-protocol that was selected.
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
        let mut unsent = buffer_pool::take_send();
        let websocket = offer.accept(&Accept::new(), &options.config(), unsent.buffer());
        Self { endpoint, opened: Established { websocket, unsent: Some(unsent), info, headers } }
    }

    /// The session that it is, and where it goes.
    pub(crate) fn begin(
        self,
        io: impl Transport,
        peer_addr: Option<SocketAddr>,
        input: ReadBuffer,
        options: &Options,
    ) -> (Session, E) {
        (Session::new(self.opened, io, peer_addr, input, options), self.endpoint)
    }
}

/// A peer that gets no connection.
pub(crate) enum Rejected {
    /// It is to be told.
    Answer(PlainAnswer),
    /// It has gone.
    Disconnected(io::Error),
}

impl Rejected {
    pub(crate) const fn reason(&self) -> Unopened {
        match self {
            Self::Answer(answer) => answer.reason(),
            Self::Disconnected(_) => Unopened::Left,
        }
    }
}

impl From<PlainAnswer> for Rejected {
    fn from(answer: PlainAnswer) -> Self {
        Self::Answer(answer)
    }
}

impl From<io::Error> for Rejected {
    fn from(error: io::Error) -> Self {
        Self::Disconnected(error)
    }
}

/// Reads a request and does what `decide` says. Who is rejected away has not been told yet.
pub(crate) async fn accept_handshake<R: Runtime, E>(
    runtime: &R,
    io: &mut impl Transport,
    input: &mut ReadBuffer,
    options: &Options,
    decide: impl FnOnce(Request<'_>) -> Result<Upgrade<E>, PlainAnswer>,
) -> Result<Upgrade<E>, Rejected> {
    let request = read_request(io, input, options, decide);
    let outcome = within(runtime, options.handshake_timeout, request).await;
    outcome.unwrap_or_else(|| Err(PlainAnswer::timeout().into()))
}

async fn read_request<E>(
    io: &mut impl Transport,
    input: &mut ReadBuffer,
    options: &Options,
    decide: impl FnOnce(Request<'_>) -> Result<Upgrade<E>, PlainAnswer>,
) -> Result<Upgrade<E>, Rejected> {
    let mut handshake = ServerHandshake::new(&options.protocol);
    loop {
        if input.fill(io).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match handshake.receive_request(input.buffer()) {
            Ok(None) => {}
            Ok(Some(request)) => return Ok(decide(request)?),
            Err(error) => return Err(PlainAnswer::from(error).into()),
        }
    }
}
