//! [`WebSocket`]: the machine; both halves, and the answers between them.

use core::time::Duration;

use crate::{
    buffer::RecvBuffer,
    close_code::CloseCode,
    config::Config,
    error::{ProtocolError, SendError},
    frame::mask::MaskKeys,
    inbound::Inbound,
    message::{Event, Message},
    outbound::Outbound,
    output::Output,
    prepared::PreparedMessage,
    state::{Role, State},
};

/// A WebSocket connection after its handshake, as a pure state machine.
///
/// The world speaks through [`receive`](Self::receive), [`receive_eof`](Self::receive_eof) and
/// [`handle_timeout`](Self::handle_timeout); the machine is asked by
/// [`poll_timeout`](Self::poll_timeout), [`wants_read`](Self::wants_read) and
/// [`wants_shutdown`](Self::wants_shutdown); the application speaks through [`send`](Self::send),
/// [`ping`](Self::ping) and [`close`](Self::close). Whatever is to be sent is appended to `out`.
///
/// Made by a handshake ([`Offer::accept`](crate::Offer::accept),
/// [`Accepted::into_websocket`](crate::Accepted::into_websocket)), or directly where somebody else
/// did the HTTP, as over HTTP/2.
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
}

impl WebSocket {
    /// A server's end of a connection whose handshake is done.
    #[must_use]
    pub const fn server(config: &Config) -> Self {
        Self { inbound: Inbound::new(Role::Server, config), outbound: Outbound::server(config) }
    }

    /// A client's end of a connection whose handshake is done.
    #[must_use]
    pub const fn client(config: &Config, keys: MaskKeys) -> Self {
        Self {
            inbound: Inbound::new(Role::Client, config),
            outbound: Outbound::client(config, keys),
        }
    }

    /// The next event in `input`; `None` if more bytes are needed. Answers to pings and to a close
    /// frame are appended to `out`.
    ///
    /// A message that arrived in one piece is lent where it lies: nothing is copied or allocated.
    /// The event is gone with the next use of `input`. After a close frame, whatever else comes is
    /// dropped and gives `None`.
    ///
    /// # Errors
    /// What the peer did wrong. The close frame that says so is in `out`, and the same error is
    /// given from then on.
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

    /// Says that the transport has ended: no byte will come any more.
    ///
    /// # Errors
    /// [`ProtocolError::UnexpectedEof`] if the peer sent no close frame before (RFC 6455 §7.1.5:
    /// code 1006), or the error there was.
    pub const fn receive_eof(&mut self) -> Result<(), ProtocolError> {
        self.outbound.receive_eof();
        self.inbound.receive_eof()
    }

    /// Appends a message to `out`, as one frame.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is not open any more.
    pub fn send<'m>(
        &mut self,
        message: impl Into<Message<'m>>,
        out: &mut impl Output,
    ) -> Result<(), SendError> {
        self.outbound.send(message.into(), out)
    }

    /// Appends a message that is encoded already to `out`.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is not open any more.
    pub fn send_prepared(
        &mut self,
        message: &PreparedMessage,
        out: &mut impl Output,
    ) -> Result<(), SendError> {
        self.outbound.send_prepared(message, out)
    }

    /// Appends a ping to `out`. Its answer is an [`Event::Pong`] with the same payload.
    ///
    /// # Errors
    /// If the connection is not open, or the payload is longer than 125 bytes.
    pub fn ping(&mut self, payload: &[u8], out: &mut impl Output) -> Result<(), SendError> {
        self.outbound.ping(payload, out)
    }

    /// Appends an unasked pong to `out`: a heartbeat that wants no answer (RFC 6455 §5.5.3).
    ///
    /// # Errors
    /// If the connection is not open, or the payload is longer than 125 bytes.
    pub fn pong(&mut self, payload: &[u8], out: &mut impl Output) -> Result<(), SendError> {
        self.outbound.pong(payload, out)
    }

    /// Begins the close handshake: appends a close frame, behind which nothing is ever sent. Returns
    /// whether this call was the one that closed: `false` if the connection is not open any more.
    /// Messages of the peer keep coming until its own close frame.
    ///
    /// A reason of more than 123 bytes is cut at the end of a character; with
    /// [`CloseCode::NO_STATUS`] there is no room for one, and none is sent (RFC 6455 §5.5.1).
    ///
    /// ```
    /// use prism_core::{CloseCode, Config, WebSocket};
    ///
    /// let (mut ws, mut out) = (WebSocket::server(&Config::default()), bytes::BytesMut::new());
    /// assert!(ws.close(CloseCode::NORMAL, "done", &mut out));
    /// assert_eq!(out[..], *b"\x88\x06\x03\xe8done");
    /// assert!(!ws.close(CloseCode::NORMAL, "twice", &mut out), "it is closing already");
    /// ```
    pub fn close(&mut self, code: CloseCode, reason: &str, out: &mut impl Output) -> bool {
        self.outbound.close(code, reason, out)
    }

    /// Says that the transport takes no more bytes, because a write has failed. Nothing can be sent
    /// any more, and what is in the output is lost.
    ///
    /// An error in one direction does not end the other: the peer may have sent messages, and a
    /// close frame, before its side failed, and its close frame decides how the connection ended
    /// (RFC 6455 §7.1.5). So keep reading while [`wants_read`](Self::wants_read) says so, which is
    /// for the close timeout at most.
    pub fn handle_write_error(&mut self) {
        self.outbound.handle_write_error();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, on the caller's clock; `None` for
    /// never.
    ///
    /// [`Duration::ZERO`], that is at once, if a deadline has been set since the last call of it,
    /// as at the beginning and by a close: that call starts the deadline's clock. So no other
    /// method has to know the time.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.outbound.poll_timeout()
    }

    /// Says what time it is: a duration since any moment, the same one each time, and less than 584
    /// years ago.
    ///
    /// May be called early or late; only what is due is done: a ping is appended to `out`, a dead
    /// peer or an unfinished close is given up.
    ///
    /// # Errors
    /// [`ProtocolError::KeepaliveTimeout`] or [`ProtocolError::CloseTimeout`].
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

    /// Whether the transport should still be read, be it only to see it end.
    #[must_use]
    pub const fn wants_read(&self) -> bool {
        self.outbound.wants_read()
    }

    /// Whether the transport's write side should be shut down once `out` has been sent.
    #[must_use]
    pub const fn wants_shutdown(&self) -> bool {
        self.outbound.wants_shutdown()
    }

    /// How far the connection's life has come.
    #[must_use]
    pub const fn state(&self) -> State {
        self.outbound.state()
    }

    /// The two halves, for a driver that sends from one place while it lends an event at another.
    #[must_use]
    pub fn split(self) -> (Inbound, Outbound) {
        (self.inbound, self.outbound)
    }
}
