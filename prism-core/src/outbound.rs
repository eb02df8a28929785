//! [`Outbound`]: from us to the peer. Sends messages and pings, answers the peer's pings, measures
//! round trips, and performs the close handshake.

mod compressed;

use alloc::string::ToString;
use core::time::Duration;

use crate::{
    close_code::CloseCode,
    close_timer::CloseTimer,
    config::Config,
    deadline::Span,
    error::{ProtocolError, SendError},
    frame::{
        header::OpCode,
        mask_keys::MaskKeys,
        writer::{FrameWriter, MAX_CONTROL},
    },
    keepalive::{Keepalive, PingTiming, Tick},
    latency::{Latency, RoundTrips},
    message::{Event, Message},
    output::Output,
    phase::Phase,
    pongs::Pongs,
    prepared::PreparedMessage,
    state::{Role, State},
};

/// The sending half of a connection. See [`Inbound`](crate::Inbound) for when to use the halves.
///
/// All output is appended to the caller's [`Output`], usually a [`BytesMut`](bytes::BytesMut). Once
/// it has been sent, the caller removes it from the front ([`advance`](bytes::Buf::advance)).
#[derive(Debug)]
pub struct Outbound {
    writer: FrameWriter,
    phase: Phase,
    ping_timing: PingTiming,
    close_timeout: Span,
    /// The number in the keepalive's last ping, or a later number that a ping of the application
    /// has used.
    ping_number: u32,
    round_trips: Option<RoundTrips>,
    pongs: Pongs,
}

impl Outbound {
    /// Creates a server's sending half, after its handshake.
    #[must_use]
    pub const fn server(config: &Config) -> Self {
        Self::new(None, config)
    }

    /// Creates a client's sending half, after its handshake.
    #[must_use]
    pub const fn client(config: &Config, keys: MaskKeys) -> Self {
        Self::new(Some(keys), config)
    }

    const fn new(keys: Option<MaskKeys>, config: &Config) -> Self {
        let (interval, pings) = match config.ping_interval {
            Some(interval) => (interval, true),
            None => (Duration::MAX, false),
        };
        Self {
            writer: FrameWriter::new(keys),
            phase: Phase::Open(Keepalive::new(pings)),
            ping_timing: PingTiming::new(interval, config.pong_timeout),
            close_timeout: Span::new(config.close_timeout),
            ping_number: 0,
            round_trips: None,
            pongs: Pongs::new(config.pong_mark),
        }
    }

    /// Returns which side of the connection this is.
    ///
    /// ```
    /// use prism_core::{Config, MaskKeys, Outbound, Role};
    ///
    /// let (config, keys) = (Config::default(), MaskKeys::new(|bytes| bytes.fill(7)));
    /// assert_eq!(Outbound::server(&config).role(), Role::Server);
    /// assert_eq!(Outbound::client(&config, keys).role(), Role::Client);
    /// ```
    #[must_use]
    pub const fn role(&self) -> Role {
        self.writer.role()
    }

    /// Appends a message to `out`.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is no longer open.
    #[inline] // A call would cost as much as checking whether the connection is open.
    pub fn send(&mut self, message: Message<'_>, out: &mut impl Output) -> Result<(), SendError> {
        self.ensure_open()?;
        self.writer.write_inlined(OpCode::of(message), message.as_bytes(), out);
        Ok(())
    }

    /// Appends only the frame header of a message to `out`. The caller then sends the payload
    /// itself, directly after it, without a copy in `out`.
    ///
    /// Returns `false`, and appends nothing, on a client: a client has to mask the payload, so it
    /// uses [`send`](Self::send).
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is no longer open.
    pub fn send_header(
        &self,
        message: Message<'_>,
        out: &mut impl Output,
    ) -> Result<bool, SendError> {
        self.ensure_open()?;
        Ok(self.writer.write_header(message, out))
    }

    /// Appends an encoded message to `out`. A server passes it to [`Output::append`], which may
    /// share its bytes. A client has to mask it with a new key, so it copies it.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is no longer open.
    pub fn send_prepared(
        &mut self,
        message: &PreparedMessage,
        out: &mut impl Output,
    ) -> Result<(), SendError> {
        self.ensure_open()?;
        self.writer.write_prepared(message, out);
        Ok(())
    }

    /// Appends a ping to `out`. The peer's answer arrives as an [`Event::Pong`] with the same
    /// payload.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is no longer open, and [`SendError::ControlTooLong`]
    /// if the payload is longer than 125 bytes.
    pub fn ping(&mut self, payload: &[u8], out: &mut impl Output) -> Result<(), SendError> {
        self.control(OpCode::Ping, payload, out)?;
        self.skip_number(payload);
        Ok(())
    }

    /// Appends an unsolicited pong to `out`: a heartbeat that expects no answer (RFC 6455 §5.5.3).
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is no longer open, and [`SendError::ControlTooLong`]
    /// if the payload is longer than 125 bytes.
    pub fn pong(&mut self, payload: &[u8], out: &mut impl Output) -> Result<(), SendError> {
        self.control(OpCode::Pong, payload, out)
    }

    /// Tells the connection of a pong: `payload` is that of the [`Event::Pong`], and `now` is
    /// counted as in [`handle_timeout`](Self::handle_timeout). Returns whether this is the first
    /// pong to the most recent ping of the keepalive. See
    /// [`WebSocket::handle_pong`](crate::WebSocket::handle_pong).
    pub fn handle_pong(&mut self, payload: &[u8], now: Duration) -> bool {
        let Phase::Open(keepalive) = &mut self.phase else { return false };
        let round_trip = keepalive.take_pong(payload, now, self.ping_timing);
        if let Some(round_trip) = round_trip {
            self.round_trips = Some(RoundTrips::after(self.round_trips, round_trip));
        }
        round_trip.is_some()
    }

    /// Returns how long the peer takes to answer the keepalive's pings; `None` before the first
    /// [measured](Self::handle_pong) round trip.
    #[must_use]
    pub fn latency(&self) -> Option<Latency> {
        self.round_trips.map(RoundTrips::latency)
    }

    /// Starts the close handshake: appends a close frame, after which nothing more is sent.
    ///
    /// Returns `true` if this call started it, and `false` if the connection was already closing or
    /// closed. A reason of more than 123 bytes is cut at a character boundary. With
    /// [`CloseCode::NO_STATUS`] no reason is sent, because it would have to follow a code (RFC 6455
    /// §5.5.1).
    pub fn close(&mut self, code: CloseCode, reason: &str, out: &mut impl Output) -> bool {
        let is_open = self.is_open();
        if is_open {
            self.writer.write_close(code, reason, out);
            self.phase = Phase::CloseSent(CloseTimer::new());
        }
        is_open
    }

    /// Answers an event: a ping with a pong, and a close frame with an echo, unless a close frame
    /// has been sent already. Does nothing for other events, nor for a ping that no peer can have sent,
    /// with a payload of more than 125 bytes.
    pub fn answer(&mut self, event: &Event<'_>, out: &mut impl Output) {
        match *event {
            Event::Ping(payload) if self.is_open() && payload.len() <= MAX_CONTROL => {
                self.write_pong(payload, out);
            }
            Event::Close(frame) => {
                if self.is_open() {
                    // §5.5.1: the answer to a close frame echoes it.
                    self.writer.write_close(frame.code, frame.reason, out);
                }
                self.phase.finish();
            }
            _ => {}
        }
    }

    /// Fails the connection because of the peer (RFC 6455 §7.1.7): appends a close frame that says
    /// why, if the error has a [`close_code`](ProtocolError::close_code) and no close frame has
    /// been sent.
    pub fn fail(&mut self, error: ProtocolError, out: &mut impl Output) {
        match error.close_code() {
            Some(code) => self.close_at_once(code, &error.to_string(), out),
            None => self.phase.finish(),
        }
    }

    /// Fails the connection for a local reason: appends a close frame, and does not wait for the
    /// peer's answer. A reason of more than 123 bytes is cut at a character boundary.
    pub fn close_at_once(&mut self, code: CloseCode, reason: &str, out: &mut impl Output) {
        if self.is_open() {
            self.writer.write_close(code, reason, out);
        }
        self.phase.finish();
    }

    /// Tells the connection that a write has failed, and that the transport takes no more bytes.
    /// Nothing more can be sent, and what is in the output is lost.
    ///
    /// The peer may have sent something before the failure, even a close frame, so
    /// [`wants_read`](Self::wants_read) still returns `true`, until the close timeout at the
    /// latest.
    pub fn handle_write_error(&mut self) {
        if let Phase::Open(_) = self.phase {
            self.phase = Phase::Closed(CloseTimer::new());
        }
    }

    /// Tells this half that the transport has reached its end or has failed.
    pub const fn receive_eof(&mut self) {
        self.phase = Phase::Ended;
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due, on the caller's clock; `None`
    /// for never.
    ///
    /// Returns [`Duration::ZERO`], which means at once, if a deadline has yet to be set. Only
    /// [`handle_timeout`](Self::handle_timeout) can do that.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.phase.due()
    }

    /// Advances this half to the time `now`, which is counted as in
    /// [`WebSocket::handle_timeout`](crate::WebSocket::handle_timeout). Pings the peer if that is
    /// due, or gives up on it. `heard` is the result of
    /// [`Inbound::take_heard`](crate::Inbound::take_heard), or `true` if the peer has shown in another
    /// way that it is alive ([`WebSocket::note_alive`](crate::WebSocket::note_alive)).
    ///
    /// # Errors
    /// [`ProtocolError::KeepaliveTimeout`] if the peer is dead, and [`ProtocolError::CloseTimeout`]
    /// if it did not answer a close frame in time. Pass the error to [`fail`](Self::fail), which
    /// reports the first to the peer, in case it is alive after all.
    pub fn handle_timeout(
        &mut self,
        now: Duration,
        heard: bool,
        out: &mut impl Output,
    ) -> Result<(), ProtocolError> {
        self.poll_pong(out);
        let unsent = out.unsent_bytes();
        match &mut self.phase {
            Phase::Open(keepalive) => match keepalive.tick(now, heard, unsent, self.ping_timing) {
                Tick::Nothing => Ok(()),
                Tick::Ping => {
                    if self.pongs.is_over_mark(unsent) {
                        keepalive.ping_skipped(unsent);
                    } else {
                        self.ping_number = self.ping_number.wrapping_add(1);
                        self.writer.write(OpCode::Ping, &self.ping_number.to_be_bytes(), out);
                        keepalive.ping_written(self.ping_number);
                    }
                    Ok(())
                }
                Tick::Dead => Err(ProtocolError::KeepaliveTimeout),
            },
            Phase::CloseSent(timer) => {
                if timer.has_expired(now, unsent, self.close_timeout) {
                    self.phase = Phase::Ended;
                    return Err(ProtocolError::CloseTimeout);
                }
                Ok(())
            }
            Phase::Closed(timer) => {
                if timer.has_expired(now, unsent, self.close_timeout) {
                    self.phase = Phase::Ended;
                }
                Ok(())
            }
            Phase::Ended => Ok(()),
        }
    }

    /// Appends the pong that was held back, if any, once no more than [`Config::pong_mark`] is
    /// unsent. Call this after output has been sent. A [`WebSocket`](crate::WebSocket) does so in
    /// `receive` and `handle_timeout`.
    pub fn poll_pong(&mut self, out: &mut impl Output) {
        if self.pongs.is_held() && !self.pongs.is_over_mark(out.unsent_bytes()) {
            self.write_held_pong(out);
        }
    }

    /// Returns whether the transport's write side should be shut down once the output has been
    /// sent.
    ///
    /// The server closes TCP first, so that TIME_WAIT is held by the server, and the client's port
    /// is free at once. The client waits for that, until the close timeout at the latest (RFC 6455
    /// §7.1.1).
    #[must_use]
    pub const fn wants_shutdown(&self) -> bool {
        match self.phase {
            Phase::Open(_) | Phase::CloseSent(_) => false,
            Phase::Closed(_) => matches!(self.role(), Role::Server),
            Phase::Ended => true,
        }
    }

    /// Returns whether to keep reading the transport, if only to see it end.
    #[must_use]
    pub const fn wants_read(&self) -> bool {
        !matches!(self.phase, Phase::Ended)
    }

    /// Returns the state of the connection.
    #[must_use]
    pub const fn state(&self) -> State {
        self.phase.state()
    }

    const fn ensure_open(&self) -> Result<(), SendError> {
        if self.is_open() { Ok(()) } else { Err(SendError::Closed) }
    }

    const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    fn control(
        &mut self,
        opcode: OpCode,
        payload: &[u8],
        out: &mut impl Output,
    ) -> Result<(), SendError> {
        self.ensure_open()?;
        if payload.len() > MAX_CONTROL {
            return Err(SendError::ControlTooLong(payload.len()));
        }
        self.writer.write(opcode, payload, out);
        Ok(())
    }

    /// Makes sure that the keepalive's next pings differ from a ping of the application. Otherwise,
    /// the pong to the application's ping, which may still be on its way, would be taken for the
    /// answer to the keepalive's.
    ///
    /// Numbers wrap around, so the half of all numbers that precede the current one count as used.
    fn skip_number(&mut self, payload: &[u8]) {
        if let Ok(bytes) = payload.try_into() {
            let used = u32::from_be_bytes(bytes);
            if used.wrapping_sub(self.ping_number) <= u32::MAX / 2 {
                self.ping_number = used;
            }
        }
    }

    fn write_pong(&mut self, payload: &[u8], out: &mut impl Output) {
        let before = out.unsent_bytes();
        if self.pongs.hold_back(payload, before) {
            return;
        }
        self.writer.write(OpCode::Pong, payload, out);
        self.pongs.count(before, out.unsent_bytes());
    }

    #[cold]
    fn write_held_pong(&mut self, out: &mut impl Output) {
        if let Some(payload) = self.pongs.take_held()
            && self.is_open()
        {
            self.write_pong(&payload, out);
        }
    }
}
