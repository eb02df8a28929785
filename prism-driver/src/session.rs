//! [`Session`]: the life of a connection after its handshake, from `on_connect` to `on_disconnect`.
//!
//! ```text
//!   connect ─────► run_events ──────────────────► end_reason ───► finish
//!   on_connect     on_message, on_pong, on_wake   why it ended    on_disconnect, then the transport's end
//! ```
//!
//! One task owns the connection, and lends each event to the handler. While the handler waits, the task
//! [keeps writing](run_handler), but it does not read: that is the back-pressure. On a server, the handshake ran in
//! another, short task, because an idle connection should not hold the memory of its handshake.
//!
//! # How it ends
//!
//! An error in one direction does not end the other. After a failed write the peer is read for the close timeout,
//! because its close frame says how the connection ended. After a failed read, accepted messages are still written.
//! Only a stalled write, a close that takes too long, an abort, an eviction and the end of a shutdown's grace period
//! end both.
//!
//! Otherwise the session flushes, shuts the write side down, and then reads and drops whatever still arrives, until the
//! peer ends too or the close timeout passes. A socket that is closed with unread bytes is reset, and the reset
//! overtakes the close frame.
//!
//! # Memory
//!
//! An idle connection is small because its future is. A future stores its by-value arguments twice, and contains
//! every future inside it. So the session's future owns its state and lends it to the futures inside. Those
//! that are part of most handlers, such as [`Sending`](crate::Sending), are written by hand. No future of a session is
//! boxed, because the session knows its handler by type. Besides the task there are two allocations: the [shared
//! state](crate::connection::shared) and the boxed transport. State that few connections need is created when it is
//! needed (`ColdState` in the [outbox](crate::outbox::state)), and a deadline is one word.

use std::{future::poll_fn, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use prism_core::{
    CloseCode, CloseFrame, Event, Inbound, Outbound, OwnedHeaders, ProtocolError, WebSocket,
};

use crate::{
    connection::{
        Connection, batch::InBatches, codecs, compression::Compression, owned::Owned,
        request_info::RequestInfo,
    },
    error::{Disconnect, Failure},
    handler::connection_handler::ConnectionHandler,
    options::Options,
    outbox::{Outbox, owner::Pong, queue::SendQueue},
    runtime::{Transport, contain::contain, turn::work},
    session::{
        deadline::{DeadlineTimer, Deadlines},
        driver::ConnectionDriver,
        rate_limit::{RateLimit, Unlimited},
        read_buffer::ReadBuffer,
        run_handler::RunHandler,
    },
    tls::info::TlsInfo,
};

pub(crate) mod counted_buffer;
pub(crate) mod deadline;
pub(crate) mod driver;
pub(crate) mod events;
pub(crate) mod moment;
pub(crate) mod rate_limit;
pub(crate) mod read_buffer;
pub(crate) mod run_handler;
pub(crate) mod write_progress;

/// The result of a handshake, apart from the bytes that came after its head.
pub(crate) struct Established {
    inbound: Inbound,
    outbound: Outbound,
    /// The bytes to send before any message: a server's response.
    queue: Option<Box<SendQueue>>,
    info: Arc<RequestInfo>,
    headers: Option<OwnedHeaders>,
}

impl Established {
    /// Creates the result of a handshake. `info` receives what was agreed on for compression.
    pub(crate) fn new(
        websocket: WebSocket,
        queue: Option<Box<SendQueue>>,
        headers: Option<OwnedHeaders>,
        info: impl FnOnce(Option<Compression>) -> Arc<RequestInfo>,
    ) -> Self {
        let params = websocket.deflate_params();
        let (inbound, outbound, compressor) = websocket.split();
        let compression = params
            .zip(compressor)
            .map(|(params, compressor)| Compression::new(params, outbound.role(), compressor));
        let inbound = inbound.share_codecs(codecs::OF_THREAD);
        Self { inbound, outbound, queue, info: info(compression), headers }
    }
}

/// A connection whose handshake is done. A server's response may still be in the outbox.
pub(crate) struct Session {
    pub(crate) connection: Owned,
    inbound: Inbound,
    /// The bytes that the peer sent after its handshake.
    read_buffer: ReadBuffer,
}

impl Session {
    pub(crate) fn new(
        established: Established,
        io: Box<dyn Transport>,
        peer_addr: Option<SocketAddr>,
        mut read_buffer: ReadBuffer,
        options: &Options,
    ) -> Self {
        read_buffer.begin_counting();
        read_buffer.shrink(); // `on_connect` may take its time
        let Established { inbound, outbound, queue, info, headers } = established;
        let compresses = info.compression().is_some();
        let outbox = Outbox::new(io, outbound, queue, headers, compresses, options);
        let connection = Owned::new(Connection::new(peer_addr, info, outbox));
        Self { connection, inbound, read_buffer }
    }

    /// Adds what the TLS handshake has agreed on, for `on_connect`.
    pub(crate) fn with_tls(self, tls: Option<Arc<TlsInfo>>) -> Self {
        if let Some(tls) = tls {
            self.connection.outbox().set_tls(tls);
        }
        self
    }

    /// Runs the handler on the connection until it has ended. Returns the result of `then` for the reason.
    pub(crate) fn run<T: DeadlineTimer, H: ConnectionHandler, O>(
        self,
        timer: T,
        rate_limit: impl RateLimit,
        handler: H,
        then: impl FnOnce(&T, Disconnect) -> O,
    ) -> impl Future<Output = O> {
        let mut running = self.with(timer, rate_limit, handler);
        // No `async fn`, and nothing is moved into the block: a future holds moved values twice.
        InBatches::new(async move {
            let ended = running.run_events().await;
            let reason = running.end_reason(ended);
            running.finish(&reason).await;
            let RunningSession { connection, deadlines, handler, .. } = running;
            contain(|| drop(handler)); // foreign code
            events::ended(&connection, &reason, || deadlines.timer().now());
            then(deadlines.timer(), reason)
        })
    }

    /// Closes a connection for which no handler could be made, because the application's function panicked.
    pub(crate) fn fail<T: DeadlineTimer, O>(
        self,
        timer: T,
        then: impl FnOnce(&T, Disconnect) -> O,
    ) -> impl Future<Output = O> {
        let mut running = self.with(timer, Unlimited, ());
        events::panicked(&running.connection);
        async move {
            let reason = running.end_reason(Err(Failure::HandlerPanicked));
            running.linger().await;
            let timer = running.deadlines.timer();
            events::ended(&running.connection, &reason, || timer.now());
            then(timer, reason)
        }
    }

    fn with<T: DeadlineTimer, L, H>(
        self,
        timer: T,
        rate_limit: L,
        handler: H,
    ) -> RunningSession<T, L, H> {
        let Self { connection, inbound, read_buffer } = self;
        events::opened(&connection, || timer.now());
        let deadlines = Deadlines::new(timer);
        RunningSession { connection, deadlines, rate_limit, inbound, read_buffer, handler }
    }
}

/// The state of a session. Every idle connection holds one, so its size matters.
struct RunningSession<T, L, H> {
    connection: Owned,
    deadlines: Deadlines<T>,
    rate_limit: L,
    inbound: Inbound,
    read_buffer: ReadBuffer,
    handler: H,
}

impl<T: DeadlineTimer, L: RateLimit, H: ConnectionHandler> RunningSession<T, L, H> {
    async fn connect(&mut self) -> Result<(), Failure> {
        let Self { connection, deadlines, handler, .. } = self;
        let connected = match call(connection, || handler.on_connect(connection)) {
            Ok(future) => RunHandler::new(connection, deadlines, future).await,
            Err(failure) => Err(failure),
        };
        drop(connection.outbox().take_headers());
        connected
    }

    /// Passes events to the handler, one at a time, until a close frame or a failure. After our own close frame,
    /// only waits for the peer's: the handler has no more use for messages.
    async fn run_events(&mut self) -> Result<Disconnect, Failure> {
        self.connect().await?;
        self.read_buffer.begin_turn();
        loop {
            let mut is_closing = false;
            if self.connection.outbox().has_signals() {
                is_closing = self.connection.outbox().is_closed_by_us();
                if !is_closing {
                    self.wake_handler().await?;
                }
            }
            let connection = &*self.connection;
            let event = match self.read_buffer.received() {
                Some(received) => self.inbound.receive(received)?,
                None => None,
            };
            match event {
                None => {
                    let driver = ConnectionDriver::new(connection, &mut self.deadlines);
                    if self.read_buffer.is_turn_over() {
                        driver.pause(&mut self.read_buffer).await?;
                    } else {
                        driver.fill(&mut self.read_buffer, &mut self.inbound).await?;
                    }
                    continue;
                }
                Some(Event::Close(frame)) => return Ok(end_by_close_frame(connection, frame)),
                Some(_) if is_closing => self.read_buffer.count(work::EVENT),
                Some(Event::Message(message)) => {
                    let (handler, rate_limit) = (&mut self.handler, &mut self.rate_limit);
                    let future =
                        call(connection, move || rate_limit.deliver(handler, connection, message))?;
                    let ran = RunHandler::new(connection, &mut self.deadlines, future).await;
                    self.read_buffer.count_message();
                    ran?;
                }
                Some(Event::Pong(payload)) => {
                    if is_for_application(connection, payload, self.deadlines.timer().now()) {
                        let handler = &mut self.handler;
                        let future =
                            call(connection, move || handler.on_pong(connection, payload))?;
                        RunHandler::new(connection, &mut self.deadlines, future).await?;
                    }
                    self.read_buffer.count(work::EVENT);
                }
                Some(event) => {
                    connection.outbox().answer(&event);
                    self.read_buffer.count(work::EVENT);
                }
            }
            match work::take_sent() {
                0 => {}
                cost => self.read_buffer.count(cost),
            }
        }
    }

    /// Calls `on_wake` if the application has woken the handler. While `on_wake` waits, the connection holds no empty
    /// buffer.
    async fn wake_handler(&mut self) -> Result<(), Failure> {
        let Self { connection, deadlines, read_buffer, handler, .. } = self;
        let outbox = connection.outbox();
        if outbox.take_woken() {
            let future = call(connection, || handler.on_wake(connection))?;
            let mut running = pin!(RunHandler::new(connection, deadlines, future));
            poll_fn(|cx| {
                let ran = running.as_mut().poll(cx);
                if ran.is_pending() {
                    driver::rest(connection, read_buffer);
                }
                ran
            })
            .await?;
            read_buffer.count(work::EVENT);
        }
        Ok(())
    }

    /// Calls `on_disconnect` once the end of the connection has been announced, and waits for the end of the transport.
    async fn finish(&mut self, reason: &Disconnect) {
        self.connection.outbox().ended().await;
        let Self { connection, deadlines, handler, .. } = self;
        if let Ok(future) = call(connection, || handler.on_disconnect(connection, reason.clone())) {
            // A panic here ends nothing that has not ended already.
            let _ = RunHandler::new(connection, deadlines, future).await;
        }
        self.linger().await;
    }
}

impl<T: DeadlineTimer, L, H> RunningSession<T, L, H> {
    /// Waits for the end of the transport.
    async fn linger(&mut self) {
        ConnectionDriver::new(&self.connection, &mut self.deadlines)
            .linger(&mut self.read_buffer)
            .await;
    }

    /// Determines why the connection has ended, and announces the end to all but the handler.
    fn end_reason(&mut self, ended: Result<Disconnect, Failure>) -> Disconnect {
        let outbox = self.connection.outbox();
        let ended = outbox.failure_by_cut().map_or(ended, Err).map_err(|failure| {
            // If a write failed earlier, the rest is a consequence of that.
            let first = outbox.take_write_error().filter(|_| failure.is_end_of_transport());
            first.map_or(failure, Failure::from)
        });
        let reason = ended.unwrap_or_else(|failure| self.end_by_failure(failure));
        self.connection.outbox().end();
        reason
    }

    /// Sends the peer everything that it can still receive, and drops the transport if it can receive nothing.
    fn end_by_failure(&mut self, failure: Failure) -> Disconnect {
        let outbox = self.connection.outbox();
        match &failure {
            Failure::HandlerPanicked => {
                outbox.close_at_once(CloseCode::INTERNAL_ERROR, "internal error");
            }
            // Nothing more can be read, but the peer may still take the messages accepted for it.
            Failure::Protocol(ProtocolError::UnexpectedEof) | Failure::Io(_) => {
                outbox.receive_eof();
            }
            Failure::Protocol(ProtocolError::CloseTimeout)
            | Failure::Aborted
            | Failure::Evicted
            | Failure::ServerShutdown
            | Failure::TaskDropped
            | Failure::WriteStalled => {
                ConnectionDriver::new(&self.connection, &mut self.deadlines).give_up();
            }
            Failure::Protocol(error) => outbox.close_for_error(*error),
        }
        Disconnect::Failed(failure)
    }
}

/// Handles a pong. Returns whether it answers a ping of the application, so that the handler has to know of it.
fn is_for_application(connection: &Connection, payload: &[u8], now: Duration) -> bool {
    match connection.outbox().handle_pong(payload, now) {
        Pong::Keepalive(took) => events::pong_received(connection, took),
        Pong::Application => return true,
        Pong::Unexpected => {}
    }
    false
}

/// Answers the peer's close frame, and returns how the connection has ended: by our close frame, if we sent one first.
fn end_by_close_frame(connection: &Connection, frame: CloseFrame<'_>) -> Disconnect {
    match connection.outbox().answer_close(frame) {
        Some((code, reason)) => Disconnect::Local { code, reason },
        None => Disconnect::Peer { code: frame.code, reason: frame.reason.into() },
    }
}

/// Calls a handler. The function that creates its future may panic, and not only the future.
fn call<F>(connection: &Connection, handler: impl FnOnce() -> F) -> Result<F, Failure> {
    contain(handler).ok_or_else(|| {
        events::panicked(connection);
        Failure::HandlerPanicked
    })
}
