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
    session::{Opened, Session, read_buffer::Input},
};

/// A request that becomes a connection: the answer is written, but not sent.
pub(crate) struct Upgrade<E> {
    /// Where the connection goes.
    endpoint: E,
    opened: Opened,
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
        Self { endpoint, opened: Opened { websocket, unsent: Some(unsent), info, headers } }
    }

    /// The session that it is, and where it goes.
    pub(crate) fn begin(
        self,
        io: impl Transport,
        peer_addr: Option<SocketAddr>,
        input: Input,
        options: &Options,
    ) -> (Session, E) {
        (Session::new(self.opened, io, peer_addr, input, options), self.endpoint)
    }
}

/// A peer that gets no connection.
pub(crate) enum Turned {
    /// It is to be told.
    Away(PlainAnswer),
    /// It has gone.
    Gone(io::Error),
}

impl Turned {
    pub(crate) const fn why(&self) -> Unopened {
        match self {
            Self::Away(answer) => answer.why(),
            Self::Gone(_) => Unopened::Left,
        }
    }
}

impl From<PlainAnswer> for Turned {
    fn from(answer: PlainAnswer) -> Self {
        Self::Away(answer)
    }
}

impl From<io::Error> for Turned {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

/// Reads a request and does what `decide` says. Who is turned away has not been told yet.
pub(crate) async fn greet<R: Runtime, E>(
    runtime: &R,
    io: &mut impl Transport,
    input: &mut Input,
    options: &Options,
    decide: impl FnOnce(Request<'_>) -> Result<Upgrade<E>, PlainAnswer>,
) -> Result<Upgrade<E>, Turned> {
    let request = read_request(io, input, options, decide);
    let greeted = within(runtime, options.handshake_timeout, request).await;
    greeted.unwrap_or_else(|| Err(PlainAnswer::timeout().into()))
}

async fn read_request<E>(
    io: &mut impl Transport,
    input: &mut Input,
    options: &Options,
    decide: impl FnOnce(Request<'_>) -> Result<Upgrade<E>, PlainAnswer>,
) -> Result<Upgrade<E>, Turned> {
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
