//! [`Session`]: one connection's life after its handshake, from `on_connect` to `on_disconnect`.

use std::{
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
};

use prism_core::{CloseCode, Event, Inbound, OwnedHeaders, ProtocolError, RecvBuffer, WebSocket};

use crate::{
    connection::{Connection, Owned},
    fan_out::InTurns,
    handler::{Disconnect, Failure, Handler},
    link::{Link, READS_PER_TURN},
    options::Options,
    outbox::Outbox,
    pool,
    request::RequestInfo,
    runtime::{Runtime, Transport},
    unsent::Unsent,
};

/// How many events in a row before other tasks get a turn: one read may bring ten thousand.
const EVENTS_PER_TURN: u32 = 256;

/// How many events a read counts for.
const EVENTS_PER_READ: u32 = EVENTS_PER_TURN / READS_PER_TURN;

/// What a handshake leaves behind, beside the bytes behind the head.
pub(crate) struct Opened {
    pub(crate) websocket: WebSocket,
    /// What is to be sent before any message: a server's answer.
    pub(crate) unsent: Option<Box<Unsent>>,
    pub(crate) info: RequestInfo,
    pub(crate) headers: Option<OwnedHeaders>,
}

/// A connection whose handshake is done; the answer to it may still be in the outbox.
///
/// It lives in a box, because a future holds twice what it is given by value.
pub(crate) struct Session {
    pub(crate) connection: Owned,
    inbound: Inbound,
    /// What the peer sent behind its handshake.
    input: RecvBuffer,
}

/// Whoever comes next finds its buffer warm.
impl Drop for Session {
    fn drop(&mut self) {
        pool::put_recv(std::mem::take(&mut self.input));
    }
}

impl Session {
    pub(crate) fn new(
        opened: Opened,
        io: impl Transport,
        peer_addr: Option<SocketAddr>,
        input: RecvBuffer,
        options: &Options,
    ) -> Box<Self> {
        let Opened { websocket, unsent, info, headers } = opened;
        let (inbound, outbound) = websocket.split();
        let outbox = Outbox::new(Box::new(io), outbound, unsent, options.high_water_mark);
        let connection = Connection::new(peer_addr, info, headers, outbox);
        Box::new(Self { connection: Owned::new(connection), inbound, input })
    }

    /// Runs the handler on the connection until it is over.
    pub(crate) fn run<R: Runtime, H: Handler>(
        self: Box<Self>,
        runtime: R,
        options: &Options,
        handler: &H,
    ) -> impl Future<Output = Disconnect> {
        InTurns::new(live(self, runtime, options, handler))
    }
}

async fn live<R: Runtime, H: Handler>(
    mut session: Box<Session>,
    runtime: R,
    options: &Options,
    handler: &H,
) -> Disconnect {
    let timer = pin!(None);
    let Session { connection, inbound, input } = &mut *session;
    let link = Link::new(runtime, connection, options, timer);
    let mut life = Life { link, connection, inbound, input, handler };

    let ended = match begin(|| handler.on_connect(connection)) {
        Ok(welcome) => life.link.attend(pin!(welcome)).await,
        Err(failure) => Err(failure),
    };
    drop(connection.take_headers());
    let ended = match ended {
        Ok(()) => life.converse().await,
        Err(failure) => Err(failure),
    };
    let reason = ended.unwrap_or_else(|failure| life.fail(failure));
    connection.outbox().end();
    if let Ok(farewell) = begin(|| handler.on_disconnect(connection, reason.clone())) {
        // A panic here ends nothing that is not over already.
        let _ = life.link.attend(pin!(farewell)).await;
    }
    life.link.linger(life.input).await;
    reason
}

/// What a session works with.
struct Life<'a, R: Runtime, H> {
    link: Link<'a, R>,
    connection: &'a Connection,
    inbound: &'a mut Inbound,
    input: &'a mut RecvBuffer,
    handler: &'a H,
}

impl<R: Runtime, H: Handler> Life<'_, R, H> {
    /// Lends one event after the other to the handler, until a close frame or a failure.
    async fn converse(&mut self) -> Result<Disconnect, Failure> {
        let mut events = 0;
        loop {
            if events >= EVENTS_PER_TURN {
                events = 0;
                self.link.pause(self.inbound).await?;
            }
            events += 1;
            match self.inbound.receive(self.input)? {
                None => {
                    self.link.fill(self.input, self.inbound).await?;
                    events += EVENTS_PER_READ;
                }
                Some(Event::Message(message)) => {
                    // Once we have closed, the handler has no more use for messages.
                    if !self.connection.outbox().is_closed_by_us() {
                        let answer = begin(|| self.handler.on_message(self.connection, message))?;
                        self.link.attend(pin!(answer)).await?;
                    }
                }
                Some(event) => {
                    let ours = self.connection.outbox().answer(&event);
                    if let Event::Close(frame) = event {
                        return Ok(match ours {
                            Some((code, reason)) => Disconnect::Local { code, reason },
                            None => {
                                Disconnect::Peer { code: frame.code, reason: frame.reason.into() }
                            }
                        });
                    }
                }
            }
        }
    }

    /// Tells the peer what can still be told, and gives the transport up where nobody would hear it.
    fn fail(&mut self, failure: Failure) -> Disconnect {
        let outbox = self.connection.outbox();
        match &failure {
            Failure::HandlerPanicked => outbox.abort(CloseCode::INTERNAL_ERROR, "internal error"),
            // The peer has ended its side only: it may still read what was accepted for it.
            Failure::Protocol(ProtocolError::UnexpectedEof) => outbox.receive_eof(),
            Failure::Protocol(ProtocolError::CloseTimeout)
            | Failure::CutOff
            | Failure::Io(_)
            | Failure::WriteStalled => self.link.give_up(),
            Failure::Protocol(error) => outbox.fail(*error),
        }
        Disconnect::Failed(failure)
    }
}

/// Calls a handler. Not only its future may panic, also the function that makes it.
fn begin<F>(call: impl FnOnce() -> F) -> Result<F, Failure> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Failure::HandlerPanicked)
}
