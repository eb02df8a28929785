//! The server's side of a handshake: reads a request's head, and answers with a 101 or a refusal.

use std::{error::Error, fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use futures_lite::AsyncWriteExt;
use prism_core::{Accept, HandshakeError, Offer, Output, Reply, Request, ServerHandshake};

use crate::{
    input::Input,
    options::Options,
    pool,
    request::RequestInfo,
    routes::Params,
    runtime::{Runtime, Transport, within},
    session::{Opened, Session},
    stats::Unopened,
};

/// How much of a refused request's rest is dropped, so that the answer is not lost to a reset.
const MAX_DROPPED: usize = 512 << 10;

/// How long the peer of a refused request may take to read the answer and go.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a server opened no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcceptError {
    /// The transport failed or ended.
    Io(io::Error),
    /// The request was answered with this status, and is no connection.
    Refused(u16),
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the transport failed: {error}"),
            Self::Refused(status) => write!(f, "the request was answered with {status}"),
        }
    }
}

impl Error for AcceptError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Refused(_) => None,
        }
    }
}

impl From<io::Error> for AcceptError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// An answer that is no connection: a refusal, or a page.
pub(crate) struct PlainAnswer {
    reply: Reply,
    /// The answer to a HEAD request has no body.
    head_only: bool,
    why: Unopened,
}

impl PlainAnswer {
    pub(crate) fn new(request: &Request<'_>, reply: Reply, why: Unopened) -> Self {
        Self { reply, head_only: request.method() == "HEAD", why }
    }

    /// The refusal of a request that is no good.
    pub(crate) fn refusal(request: &Request<'_>, error: HandshakeError) -> Self {
        Self::new(request, error.reply(), Unopened::BadRequest)
    }

    /// The refusal of a request that is no good here: a 400 that says why.
    pub(crate) fn malformed(request: &Request<'_>, why: impl fmt::Display) -> Self {
        Self::new(request, Reply::text(400, format!("{why}\n")), Unopened::BadRequest)
    }

    /// That no request came in time.
    fn timeout() -> Self {
        let reply = Reply::text(408, "no request came in time");
        Self { reply, head_only: false, why: Unopened::TimedOut }
    }

    /// Sends it, and ends the transport: first our side, then, when the peer has had time to read it,
    /// the rest. Its status.
    pub(crate) async fn tell<R: Runtime>(&self, runtime: &R, io: &mut impl Transport) -> u16 {
        // However this ends, there is no more to be done for the peer.
        let _ = within(runtime, REFUSAL_TIMEOUT, self.send(io)).await;
        self.reply.status()
    }

    async fn send(&self, io: &mut impl Transport) -> io::Result<()> {
        let mut bytes = BytesMut::new();
        self.reply.write(&mut bytes, self.head_only);
        io.write_all(&bytes).await?;
        io.close().await?;
        let (mut input, mut dropped) = (Input::new(), 0);
        while dropped < MAX_DROPPED {
            match input.fill(io).await? {
                0 => break,
                count => dropped += count,
            }
            input.clear();
        }
        Ok(())
    }
}

impl From<HandshakeError> for PlainAnswer {
    fn from(error: HandshakeError) -> Self {
        Self { reply: error.reply(), head_only: false, why: Unopened::BadRequest }
    }
}

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
        let info = plain.shared(request.path(), request.query(), params, offer.protocol());
        let headers = Some(request.headers().into_owned());
        let mut unsent = pool::take_send();
        let websocket = offer.accept(&Accept::new(), &options.config(), unsent.own());
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
            Self::Away(answer) => answer.why,
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
