//! [`Session`]: one connection's life after its handshake, from `on_connect` to `on_disconnect`.

use std::{net::SocketAddr, ops::Deref, sync::Arc};

use prism_core::{CloseCode, Event, Inbound, OwnedHeaders, ProtocolError, WebSocket};

use crate::{
    connection::{Connection, Owned, batch::InTurns, request::RequestInfo},
    error::{Disconnect, Failure},
    handler::Handler,
    options::Options,
    outbox::{Outbox, queue::Unsent},
    runtime::{Transport, contain::contain},
    session::{
        deadline::Alarm,
        driver::{Clock, Link},
        rate_limit::Pace,
        read_buffer::Input,
    },
};

pub(crate) mod deadline;
pub(crate) mod driver;
pub(crate) mod moment;
pub(crate) mod rate_limit;
pub(crate) mod read_buffer;
pub(crate) mod turn;
pub(crate) mod write_progress;

/// What a handshake leaves behind, beside the bytes behind the head.
pub(crate) struct Opened {
    pub(crate) websocket: WebSocket,
    /// What is to be sent before any message: a server's answer.
    pub(crate) unsent: Option<Box<Unsent>>,
    pub(crate) info: Arc<RequestInfo>,
    pub(crate) headers: Option<OwnedHeaders>,
}

/// A connection whose handshake is done; the answer to it may still be in the outbox.
pub(crate) struct Session {
    pub(crate) connection: Owned,
    inbound: Inbound,
    /// What the peer sent behind its handshake.
    input: Input,
}

impl Session {
    pub(crate) fn new(
        opened: Opened,
        io: impl Transport,
        peer_addr: Option<SocketAddr>,
        mut input: Input,
        options: &Options,
    ) -> Self {
        // `on_connect` may take its time.
        input.shrink();
        let Opened { websocket, unsent, info, headers } = opened;
        let (inbound, outbound) = websocket.split();
        let outbox = Outbox::new(Box::new(io), outbound, unsent, headers, options);
        let connection = Owned::new(Connection::new(peer_addr, info, outbox));
        Self { connection, inbound, input }
    }

    /// Runs the handler on the connection until it is over, and gives what `then` makes of the reason.
    pub(crate) fn run<A: Alarm, H: Handler, T>(
        self,
        alarm: A,
        pace: impl Pace,
        handler: impl Deref<Target = H>,
        then: impl FnOnce(&A, Disconnect) -> T,
    ) -> impl Future<Output = T> {
        let Self { connection, inbound, input } = self;
        let clock = Clock::new(alarm);
        let mut life = Life { connection, clock, pace, inbound, input, handler };
        // Nothing is moved in here, nor is there a future around it: both would be there twice, in
        // the memory of every idle connection.
        InTurns::new(async move {
            let ended = life.converse().await;
            let begun = !matches!(ended, Err(Broken::Unbegun));
            let reason = life.judge(ended.map_err(Failure::from));
            life.finish(begun.then_some(&reason)).await;
            then(life.clock.alarm(), reason)
        })
    }
}

/// What a session works with. It is every idle connection's memory.
struct Life<A, P, D> {
    connection: Owned,
    clock: Clock<A>,
    pace: P,
    inbound: Inbound,
    input: Input,
    handler: D,
}

impl<A: Alarm, P: Pace, H: Handler, D: Deref<Target = H>> Life<A, P, D> {
    /// What comes before `on_connect`.
    fn prepare(&self) -> Result<(), Broken> {
        let when_slow = begin(|| self.handler.when_slow(&self.connection));
        let when_slow = when_slow.map_err(|_| Broken::Unbegun)?;
        self.connection.outbox().set_when_slow(when_slow);
        Ok(())
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        let welcomed = match begin(|| self.handler.on_connect(&self.connection)) {
            Ok(welcome) => Link::new(&self.connection, &mut self.clock).attend(welcome).await,
            Err(failure) => Err(failure),
        };
        drop(self.connection.outbox().take_headers());
        welcomed
    }

    /// Lends one event after the other to the handler, until a close frame or a failure.
    async fn converse(&mut self) -> Result<Disconnect, Broken> {
        self.prepare()?;
        self.connect().await?;
        self.input.begin_turn();
        loop {
            if self.input.is_turn_over() {
                self.input.begin_turn();
                let link = Link::new(&self.connection, &mut self.clock);
                link.pause(&mut self.input).await?;
            }
            let connection = &*self.connection;
            let event = match self.input.received() {
                Some(input) => self.inbound.receive(input).map_err(Failure::from)?,
                None => None,
            };
            match event {
                None => {
                    if self.input.is_turn_over() {
                        continue; // there may be more to parse
                    }
                    let link = Link::new(connection, &mut self.clock);
                    let filled = link.fill(&mut self.input, &mut self.inbound).await?;
                    if filled.waited {
                        self.input.begin_turn(); // others have had theirs
                    }
                    self.input.count(turn::cost_of_read(filled.bytes));
                }
                Some(Event::Message(message)) => {
                    // Once we have closed, the handler has no more use for messages.
                    if !connection.outbox().is_closed_by_us() {
                        let (handler, pace) = (&*self.handler, &mut self.pace);
                        let answer = begin(move || pace.lend(handler, connection, message))?;
                        Link::new(connection, &mut self.clock).attend(answer).await?;
                    }
                    self.input.count(turn::EVENT);
                }
                Some(event) => {
                    let ours = connection.outbox().answer(&event);
                    if let Event::Close(frame) = event {
                        return Ok(match ours {
                            Some((code, reason)) => Disconnect::Local { code, reason },
                            None => {
                                Disconnect::Peer { code: frame.code, reason: frame.reason.into() }
                            }
                        });
                    }
                    self.input.count(turn::EVENT);
                }
            }
        }
    }

    /// Tells the handler that it is over, if it is to hear of that, and ends the transport.
    async fn finish(&mut self, reason: Option<&Disconnect>) {
        self.connection.outbox().ended().await;
        if let Some(told) = reason.cloned()
            && let Ok(farewell) = begin(|| self.handler.on_disconnect(&self.connection, told))
        {
            // A panic here ends nothing that is not over already.
            let _ = Link::new(&self.connection, &mut self.clock).attend(farewell).await;
        }
        Link::new(&self.connection, &mut self.clock).linger(&mut self.input).await;
    }

    /// Why it is over; everybody but the handler has been told.
    fn judge(&mut self, ended: Result<Disconnect, Failure>) -> Disconnect {
        let outbox = self.connection.outbox();
        let ended = outbox.failure_by_cut().map_or(ended, Err).map_err(|failure| {
            // Where a write had failed before, the rest followed from that.
            let first = outbox.take_write_error().filter(|_| failure.is_end_of_transport());
            first.map_or(failure, Failure::from)
        });
        let reason = ended.unwrap_or_else(|failure| self.fail(failure));
        self.connection.outbox().end();
        reason
    }

    /// Tells the peer what can still be told, and gives the transport up where nobody would hear it.
    fn fail(&mut self, failure: Failure) -> Disconnect {
        let outbox = self.connection.outbox();
        match &failure {
            Failure::HandlerPanicked => outbox.abort(CloseCode::INTERNAL_ERROR, "internal error"),
            // Nothing more can be read, but the peer may still take what was accepted for it.
            Failure::Protocol(ProtocolError::UnexpectedEof) | Failure::Io(_) => {
                outbox.receive_eof();
            }
            Failure::Protocol(ProtocolError::CloseTimeout)
            | Failure::Aborted
            | Failure::ServerShutdown
            | Failure::TaskDropped
            | Failure::Evicted
            | Failure::WriteStalled => {
                Link::new(&self.connection, &mut self.clock).give_up();
            }
            Failure::Protocol(error) => outbox.fail(*error),
        }
        Disconnect::Failed(failure)
    }
}

/// Why a session broke off.
enum Broken {
    /// The handler panicked before `on_connect`: it is to hear of nothing.
    Unbegun,
    Failed(Failure),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Unbegun => Self::HandlerPanicked,
            Broken::Failed(failure) => failure,
        }
    }
}

/// Calls a handler. Not only its future may panic, also the function that makes it.
fn begin<F>(call: impl FnOnce() -> F) -> Result<F, Failure> {
    contain(call).ok_or(Failure::HandlerPanicked)
}
