//! [`WebSocket`]: both halves of a connection, and the answers between them.

use alloc::{boxed::Box, sync::Arc};
use core::time::Duration;

use crate::{
    buffer::RecvBuffer,
    close_code::CloseCode,
    config::Config,
    deflate::{Codecs, Compressor, Deflate, DeflateParams},
    error::{ProtocolError, SendError},
    frame::mask_keys::MaskKeys,
    inbound::Inbound,
    latency::Latency,
    message::{Event, Message},
    outbound::Outbound,
    output::Output,
    prepared::PreparedMessage,
    state::{Role, State},
};

/// A WebSocket connection after its handshake, as a pure state machine.
///
/// - Pass in what happens: [`receive`](Self::receive), [`receive_eof`](Self::receive_eof),
///   [`handle_write_error`](Self::handle_write_error), the time with
///   [`handle_timeout`](Self::handle_timeout), and, to measure the [`latency`](Self::latency),
///   pongs with [`handle_pong`](Self::handle_pong).
/// - Ask what to do next: [`poll_timeout`](Self::poll_timeout), [`wants_read`](Self::wants_read),
///   [`wants_shutdown`](Self::wants_shutdown).
/// - Send: [`send`](Self::send), [`ping`](Self::ping), [`close`](Self::close).
///
/// All output is appended to `out`.
///
/// A handshake creates it ([`Offer::accept`](crate::Offer::accept),
/// [`Accepted::into_websocket`](crate::Accepted::into_websocket)). Create one directly, with
/// [`server`](Self::server) or [`client`](Self::client), if another library did the handshake, for
/// example over HTTP/2 (RFC 8441).
///
/// ```
/// use bytes::BytesMut;
/// use prism_core::{Config, Event, Message, RecvBuffer, WebSocket};
///
/// let mut ws = WebSocket::server(&Config::default());
/// let (mut input, mut out) = (RecvBuffer::new(), BytesMut::new());
/// input.extend_from_slice(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"); // "Hello", masked
///
/// while let Some(event) = ws.receive(&mut input, &mut out)? {
///     if let Event::Message(message) = event {
///         assert_eq!(message, Message::Text("Hello"));
///         ws.send(message, &mut out)?; // the event borrows the input only
///     }
/// }
/// assert_eq!(out[..], *b"\x81\x05Hello");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WebSocket {
    inbound: Inbound,
    outbound: Outbound,
    compression: Option<Box<Compression>>,
}

/// What a connection has if its peer has agreed on compression.
#[derive(Debug)]
struct Compression {
    params: DeflateParams,
    compressor: Compressor,
    codecs: Codecs,
}

impl WebSocket {
    /// Creates the server's side of a connection whose handshake is done.
    #[must_use]
    pub const fn server(config: &Config) -> Self {
        Self {
            inbound: Inbound::new(Role::Server, config),
            outbound: Outbound::server(config),
            compression: None,
        }
    }

    /// Creates the client's side of a connection whose handshake is done.
    #[must_use]
    pub const fn client(config: &Config, keys: MaskKeys) -> Self {
        Self {
            inbound: Inbound::new(Role::Client, config),
            outbound: Outbound::client(config, keys),
            compression: None,
        }
    }

    /// Compresses messages, as agreed in a handshake (RFC 7692) that another library did, with
    /// [`Deflate::accept_offer`] or [`Deflate::check_answer`].
    #[must_use]
    #[inline(never)] // most connections are without compression
    pub fn with_deflate(self, deflate: Arc<Deflate>, params: DeflateParams) -> Self {
        let compressor = Compressor::new(deflate.clone(), params, self.outbound.role());
        Self {
            inbound: self.inbound.with_deflate(deflate, params),
            outbound: self.outbound,
            compression: Some(Box::new(Compression { params, compressor, codecs: Codecs::new() })),
        }
    }

    /// Returns what the peers have agreed on for compression; `None` if messages are not compressed.
    #[must_use]
    pub fn deflate_params(&self) -> Option<DeflateParams> {
        self.compression.as_ref().map(|compression| compression.params)
    }

    /// Returns the next event in `input`; `None` if more bytes are needed, or while
    /// [`pause_after`](RecvBuffer::pause_after) makes this method pause. Answers to pings and to a
    /// close frame are appended to `out`.
    ///
    /// A message that the peer sent as one frame is borrowed directly from `input`: nothing is copied or allocated. A
    /// compressed message is decompressed into `input`. The event is valid until `input` is used again. After the
    /// peer's close frame, all further input is discarded, and the result is `None`.
    ///
    /// # Errors
    /// If the peer broke the protocol. The close frame that reports it is in `out`, and every later
    /// call returns the same error.
    pub fn receive<'b>(
        &mut self,
        input: &'b mut RecvBuffer,
        out: &mut impl Output,
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        self.outbound.poll_pong(out);
        let received = self.inbound.receive(input);
        match &received {
            Ok(Some(event)) => self.outbound.answer(event, out),
            Ok(None) => {}
            Err(error) => self.outbound.fail(*error, out),
        }
        received
    }

    /// Tells the connection that the transport has reached its end or has failed. First call
    /// [`receive`](Self::receive) until it needs more bytes: events that are still in the buffer
    /// are lost.
    ///
    /// # Errors
    /// [`ProtocolError::UnexpectedEof`] if no close frame had arrived (RFC 6455 §7.1.5: code 1006),
    /// or the error that ended the connection earlier.
    pub const fn receive_eof(&mut self) -> Result<(), ProtocolError> {
        self.outbound.receive_eof();
        self.inbound.receive_eof()
    }

    /// Appends a message to `out`, as one frame. It is compressed if the peers have agreed on that,
    /// unless it is shorter than the [threshold](Deflate::threshold), or would not get shorter.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is no longer open.
    pub fn send<'m>(
        &mut self,
        message: impl Into<Message<'m>>,
        out: &mut impl Output,
    ) -> Result<(), SendError> {
        let message = message.into();
        match &mut self.compression {
            None => self.outbound.send(message, out),
            Some(compression) => compression.send(message, &mut self.outbound, out),
        }
    }

    /// Appends a message to `out` without compression: for what is compressed already, and for
    /// [secrets](crate::deflate#security).
    ///
    /// ```
    /// # use prism_core::{Config, WebSocket};
    /// let (mut ws, mut out) = (WebSocket::server(&Config::default()), bytes::BytesMut::new());
    /// ws.send_plain("the password", &mut out)?;
    /// assert_eq!(out[..], *b"\x81\x0cthe password");
    /// # Ok::<(), prism_core::SendError>(())
    /// ```
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is no longer open.
    pub fn send_plain<'m>(
        &mut self,
        message: impl Into<Message<'m>>,
        out: &mut impl Output,
    ) -> Result<(), SendError> {
        self.outbound.send(message.into(), out)
    }

    /// Appends an encoded message to `out`. It is compressed as [`send`](Self::send) does, but once
    /// for all connections with the same window.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is no longer open.
    pub fn send_prepared(
        &mut self,
        message: &PreparedMessage,
        out: &mut impl Output,
    ) -> Result<(), SendError> {
        match &mut self.compression {
            None => self.outbound.send_prepared(message, out),
            Some(compression) => compression.send_prepared(message, &mut self.outbound, out),
        }
    }

    /// Appends a ping to `out`. The peer's answer arrives as an [`Event::Pong`] with the same
    /// payload.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is no longer open, and [`SendError::ControlTooLong`]
    /// if the payload is longer than 125 bytes.
    pub fn ping(&mut self, payload: &[u8], out: &mut impl Output) -> Result<(), SendError> {
        self.outbound.ping(payload, out)
    }

    /// Appends an unsolicited pong to `out`: a heartbeat that expects no answer (RFC 6455 §5.5.3).
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is no longer open, and [`SendError::ControlTooLong`]
    /// if the payload is longer than 125 bytes.
    pub fn pong(&mut self, payload: &[u8], out: &mut impl Output) -> Result<(), SendError> {
        self.outbound.pong(payload, out)
    }

    /// Starts the close handshake: appends a close frame, after which nothing more is sent. The
    /// peer's messages keep arriving until its own close frame.
    ///
    /// Returns `true` if this call started it, and `false` if the connection was already closing or closed. A reason of
    /// more than 123 bytes is cut at a character boundary. With [`CloseCode::NO_STATUS`] no reason is sent, because it
    /// would have to follow a code (RFC 6455 §5.5.1).
    ///
    /// ```
    /// use prism_core::{CloseCode, Config, WebSocket};
    ///
    /// let (mut ws, mut out) = (WebSocket::server(&Config::default()), bytes::BytesMut::new());
    /// assert!(ws.close(CloseCode::NORMAL, "done", &mut out));
    /// assert_eq!(out[..], *b"\x88\x06\x03\xe8done");
    /// assert!(!ws.close(CloseCode::NORMAL, "twice", &mut out)); // it is already closing
    /// ```
    pub fn close(&mut self, code: CloseCode, reason: &str, out: &mut impl Output) -> bool {
        self.outbound.close(code, reason, out)
    }

    /// Tells the connection that a write has failed, and that the transport takes no more bytes.
    /// Nothing more can be sent, and what is in the output is lost.
    ///
    /// An error in one direction does not end the other. The peer may have sent messages and a close frame before the
    /// failure, and that close frame decides how the connection ended (RFC 6455 §7.1.5). Keep reading while
    /// [`wants_read`](Self::wants_read) returns `true`, which it does until the close timeout at the latest.
    pub fn handle_write_error(&mut self) {
        self.outbound.handle_write_error();
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due, on the caller's clock; `None`
    /// for never.
    ///
    /// Returns [`Duration::ZERO`], which means at once, if a deadline has yet to be set: at the
    /// start, and after a close. No other method knows the time, so only
    /// [`handle_timeout`](Self::handle_timeout) can set it.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.outbound.poll_timeout()
    }

    /// Advances the connection to the time `now`, which is counted from a fixed moment of the caller's choice, such as
    /// the start of the program. It must not decrease, and must be less than 584 years (2^64 ns).
    ///
    /// The call may come early or late, and does only what is due: it appends a ping to `out`, or gives up on a dead
    /// peer or an unfinished close. First read and [`receive`](Self::receive) what has arrived, which counts as life.
    ///
    /// # Errors
    /// [`ProtocolError::KeepaliveTimeout`] if the peer is dead, and [`ProtocolError::CloseTimeout`]
    /// if it did not answer a close frame in time. The first comes with a close frame in `out`.
    /// Every later [`receive`](Self::receive) returns the error again; this method does not.
    pub fn handle_timeout(
        &mut self,
        now: Duration,
        out: &mut impl Output,
    ) -> Result<(), ProtocolError> {
        let heard = self.inbound.take_heard();
        let handled = self.outbound.handle_timeout(now, heard, out);
        if let Err(error) = handled {
            self.inbound.end(handled);
            self.outbound.fail(error, out);
        }
        handled
    }

    /// Counts as a received byte does for the next [`handle_timeout`](Self::handle_timeout). Call it if you know
    /// otherwise that the peer is alive: say, the transport accepts bytes after it has refused some. This is optional.
    /// It helps a peer that only reads, over a slow link, while you fill the output up as fast as the peer takes it.
    pub const fn note_alive(&mut self) {
        self.inbound.note_alive();
    }

    /// Tells the connection of a pong, to measure how long the peer takes to answer. `payload` is that of the
    /// [`Event::Pong`], and `now` is counted as in [`handle_timeout`](Self::handle_timeout). This call is optional.
    ///
    /// Returns `true` if this is the first pong to the most recent ping of the keepalive. Its round trip is then part
    /// of the [`latency`](Self::latency). Returns `false`, and changes nothing, for any other pong: one to an earlier
    /// ping or to a ping of the application, a duplicate, an unsolicited one, and any pong once the connection is no
    /// longer open. A ping that was not sent, because more than [`Config::pong_mark`] bytes were unsent, has no round
    /// trip.
    ///
    /// The application's own pings may have any payload. Those of the keepalive contain a number in
    /// four bytes, and skip numbers that the application has used.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use bytes::BytesMut;
    /// use prism_core::{Config, Event, RecvBuffer, WebSocket};
    ///
    /// let config = Config::default().ping_interval(Some(Duration::from_secs(20)));
    /// let (mut ws, mut input, mut out) =
    ///     (WebSocket::server(&config), RecvBuffer::new(), BytesMut::new());
    /// ws.handle_timeout(Duration::ZERO, &mut out)?; // starts the interval
    /// ws.handle_timeout(Duration::from_secs(20), &mut out)?;
    /// assert_eq!(out[..], *b"\x89\x04\0\0\0\x01"); // a ping
    ///
    /// let now = Duration::from_millis(20_045);
    /// input.extend_from_slice(b"\x8a\x84\0\0\0\0\0\0\0\x01"); // the client's pong
    /// if let Some(Event::Pong(payload)) = ws.receive(&mut input, &mut out)? {
    ///     assert!(ws.handle_pong(payload, now));
    /// }
    /// assert_eq!(ws.latency().unwrap().last, Duration::from_millis(45));
    /// # Ok::<(), prism_core::ProtocolError>(())
    /// ```
    pub fn handle_pong(&mut self, payload: &[u8], now: Duration) -> bool {
        self.outbound.handle_pong(payload, now)
    }

    /// Returns how long the peer takes to answer the keepalive's pings; `None` before the first
    /// [measured](Self::handle_pong) round trip.
    #[must_use]
    pub fn latency(&self) -> Option<Latency> {
        self.outbound.latency()
    }

    /// Returns whether to keep reading the transport, if only to see it end.
    #[must_use]
    pub const fn wants_read(&self) -> bool {
        self.outbound.wants_read()
    }

    /// Returns whether the transport's write side should be shut down once `out` has been sent.
    #[must_use]
    pub const fn wants_shutdown(&self) -> bool {
        self.outbound.wants_shutdown()
    }

    /// Returns the state of the connection.
    #[must_use]
    pub const fn state(&self) -> State {
        self.outbound.state()
    }

    /// Splits the connection into its halves, so that one task can read while others send; see
    /// [`Inbound`]. The third value compresses messages to be sent, if the peers have agreed on that.
    #[must_use]
    pub fn split(self) -> (Inbound, Outbound, Option<Compressor>) {
        let compressor = self.compression.map(|compression| compression.compressor);
        (self.inbound, self.outbound, compressor)
    }
}

impl Compression {
    // Apart, so that it costs other connections nothing.
    #[inline(never)]
    fn send(
        &mut self,
        message: Message<'_>,
        outbound: &mut Outbound,
        out: &mut impl Output,
    ) -> Result<(), SendError> {
        if outbound.state() != State::Open {
            return Err(SendError::Closed); // compresses nothing in vain
        }
        match self.compressor.compress(message, &mut self.codecs) {
            Some(compressed) => outbound.send_compressed(compressed, out),
            None => outbound.send(message, out),
        }
    }

    #[inline(never)]
    fn send_prepared(
        &mut self,
        message: &PreparedMessage,
        outbound: &mut Outbound,
        out: &mut impl Output,
    ) -> Result<(), SendError> {
        if outbound.state() != State::Open {
            return Err(SendError::Closed);
        }
        match self.compressor.compress_prepared(message, &mut self.codecs) {
            Some(compressed) => outbound.send_compressed(compressed, out),
            None => outbound.send_prepared(message, out),
        }
    }
}
