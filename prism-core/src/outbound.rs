//! [`Outbound`]: us to peer. Encodes and masks, answers pings, and carries out the close handshake.
//!
//! ```text
//!             close()                    the peer's Close
//!      Open ───────────► CloseSent ──────────────────────► Closed ──► (client: wait for the
//!       │                                                    ▲         server to end TCP)
//!       ├── the peer's Close, echoed ────────────────────────┤
//!       └── fail(): Close with the error's code ─────────────┘
//! ```

use alloc::string::ToString;
use core::time::Duration;

use crate::{
    close_code::CloseCode,
    close_frame::CloseFrame,
    close_timer::CloseTimer,
    config::Config,
    deadline::Span,
    error::{ProtocolError, SendError},
    frame::{
        header::{Header, OpCode},
        mask::{MaskKeys, apply_mask},
    },
    keepalive::{Keepalive, PingTiming, Tick},
    message::{Event, Message},
    output::Output,
    pongs::Pongs,
    prepared::PreparedMessage,
    state::State,
};

/// The longest payload of a control frame (RFC 6455 §5.5).
const MAX_CONTROL: usize = 125;

/// The sending half of a connection; see [`Inbound`](crate::Inbound) for why there are halves.
///
/// Output is always appended to the caller's [`Output`], a [`BytesMut`](bytes::BytesMut) mostly; what
/// the caller has sent it takes out at the front ([`advance`](bytes::Buf::advance)).
#[derive(Debug)]
pub struct Outbound {
    /// A client's keys. A server sends in the clear.
    keys: Option<MaskKeys>,
    phase: Phase,
    ping_timing: PingTiming,
    close_timeout: Span,
    /// How many pings have been sent.
    pings: u32,
    pongs: Pongs,
}

/// How far the close handshake has come (RFC 6455 §7.1).
#[derive(Debug)]
enum Phase {
    Open(Keepalive),
    /// Our close frame is in the output, the peer's has not come.
    CloseSent(CloseTimer),
    /// Both are through, or the connection has failed: only TCP is left to end.
    Closed(CloseTimer),
    /// TCP has ended, or has been waited for long enough.
    Ended,
}

impl Outbound {
    /// The sending half of a server, after its handshake.
    #[must_use]
    pub const fn server(config: &Config) -> Self {
        Self::new(None, config)
    }

    /// The sending half of a client, after its handshake.
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
            keys,
            phase: Phase::Open(Keepalive::new(pings)),
            ping_timing: PingTiming::new(interval, config.pong_timeout),
            close_timeout: Span::new(config.close_timeout),
            pings: 0,
            pongs: Pongs::new(config.pong_mark),
        }
    }

    /// Appends a message to `out`.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is not open any more.
    pub fn send(&mut self, message: Message<'_>, out: &mut impl Output) -> Result<(), SendError> {
        self.ensure_open()?;
        self.write(OpCode::of(message), message.as_bytes(), out);
        Ok(())
    }

    /// Appends the head of a message to `out`, for a caller that sends the payload right behind it
    /// from where it lies. `false`, and nothing is appended, on a client: it has to mask what it
    /// sends, so [`send`](Self::send) it.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is not open any more.
    pub fn send_header(
        &self,
        message: Message<'_>,
        out: &mut impl Output,
    ) -> Result<bool, SendError> {
        self.ensure_open()?;
        if self.keys.is_some() {
            return Ok(false);
        }
        Header::whole(OpCode::of(message), None, message.as_bytes().len()).encode(out.buffer());
        Ok(true)
    }

    /// Appends a message that is encoded already: its own bytes, on a server. A client masks them
    /// with a new key, and so copies them.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is not open any more.
    pub fn send_prepared(
        &mut self,
        message: &PreparedMessage,
        out: &mut impl Output,
    ) -> Result<(), SendError> {
        self.ensure_open()?;
        if self.keys.is_some() {
            self.write(message.opcode(), message.payload(), out);
        } else {
            out.append(message);
        }
        Ok(())
    }

    /// Appends a ping to `out`. Its answer is an [`Event::Pong`] with the same payload.
    ///
    /// # Errors
    /// If the connection is not open, or the payload is longer than 125 bytes.
    pub fn ping(&mut self, payload: &[u8], out: &mut impl Output) -> Result<(), SendError> {
        self.control(OpCode::Ping, payload, out)
    }

    /// Appends an unasked pong to `out`: a heartbeat that wants no answer (RFC 6455 §5.5.3).
    ///
    /// # Errors
    /// If the connection is not open, or the payload is longer than 125 bytes.
    pub fn pong(&mut self, payload: &[u8], out: &mut impl Output) -> Result<(), SendError> {
        self.control(OpCode::Pong, payload, out)
    }

    /// Begins the close handshake: appends a close frame, behind which nothing is ever sent. Returns
    /// whether this call was the one that closed: `false` if the connection is not open any more.
    ///
    /// A reason of more than 123 bytes is cut at the end of a character; with
    /// [`CloseCode::NO_STATUS`] there is no room for one, and none is sent (RFC 6455 §5.5.1).
    pub fn close(&mut self, code: CloseCode, reason: &str, out: &mut impl Output) -> bool {
        let is_open = self.is_open();
        if is_open {
            self.write_close(CloseFrame::new(code, reason), out);
            self.phase = Phase::CloseSent(CloseTimer::new());
        }
        is_open
    }

    /// Answers what was received: a ping with a pong, a close frame with its echo.
    pub fn answer(&mut self, event: &Event<'_>, out: &mut impl Output) {
        match *event {
            Event::Ping(payload) if self.is_open() => self.write_pong(payload, out),
            Event::Close(frame) => {
                if self.is_open() {
                    // §5.5.1: the answer to a close frame echoes it.
                    self.write_close(frame, out);
                }
                self.finish();
            }
            _ => {}
        }
    }

    /// Fails the connection for what the peer did (RFC 6455 §7.1.7): tells it, if it can be told.
    pub fn fail(&mut self, error: ProtocolError, out: &mut impl Output) {
        match error.close_code() {
            Some(code) => self.abort(code, &error.to_string(), out),
            None => self.finish(),
        }
    }

    /// Fails the connection for a reason of ours: appends a close frame, and does not wait for the
    /// answer to it. A reason of more than 123 bytes is cut.
    pub fn abort(&mut self, code: CloseCode, reason: &str, out: &mut impl Output) {
        if self.is_open() {
            self.write_close(CloseFrame::new(code, reason), out);
        }
        self.finish();
    }

    /// Says that the transport takes no more bytes, because a write has failed. Nothing can be sent
    /// any more, and what is in the output is lost. The peer may have sent something before its
    /// side failed, a close frame even: that is still [wanted](Self::wants_read), for as long as the
    /// close timeout.
    pub fn handle_write_error(&mut self) {
        if let Phase::Open(_) = self.phase {
            self.phase = Phase::Closed(CloseTimer::new());
        }
    }

    /// Says that the transport has ended.
    pub const fn receive_eof(&mut self) {
        self.phase = Phase::Ended;
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, on the caller's clock.
    ///
    /// [`Duration::ZERO`], that is at once, if a deadline has been set since the last call of it;
    /// that call starts the deadline's clock.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Open(keepalive) => keepalive.due(),
            Phase::CloseSent(timer) | Phase::Closed(timer) => timer.due(),
            Phase::Ended => None,
        }
    }

    /// Says what time it is: a duration since any moment, the same one each time, and less than 584
    /// years ago. Pings, or gives up. `heard`: whether anything was received since the last call.
    ///
    /// # Errors
    /// [`ProtocolError::KeepaliveTimeout`] if the peer is dead, [`ProtocolError::CloseTimeout`] if
    /// it did not finish closing. Hand it to [`fail`](Self::fail), which tells the peer.
    pub fn handle_timeout(
        &mut self,
        now: Duration,
        heard: bool,
        out: &mut impl Output,
    ) -> Result<(), ProtocolError> {
        self.poll_pong(out);
        let unsent = out.unsent();
        match &mut self.phase {
            Phase::Open(keepalive) => match keepalive.tick(now, heard, self.ping_timing) {
                Tick::Nothing => Ok(()),
                Tick::Ping => {
                    self.pings = self.pings.wrapping_add(1);
                    // Where so much is unsent that the peer can not be reading, a ping adds
                    // nothing; that it is silent will show all the same.
                    if !self.pongs.is_over_mark(unsent) {
                        self.write(OpCode::Ping, &self.pings.to_be_bytes(), out);
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

    /// Appends the pong that was held back while too much was unsent. To be called when output has
    /// left; [`WebSocket`](crate::WebSocket) does it whenever bytes or the time come in.
    pub fn poll_pong(&mut self, out: &mut impl Output) {
        if self.pongs.is_held() && !self.pongs.is_over_mark(out.unsent()) {
            self.write_held_pong(out);
        }
    }

    /// Whether the transport's write side should be shut down once the output has been sent.
    ///
    /// The server ends TCP first, so that the client's port is free at once; the client waits for
    /// it, but not for ever (RFC 6455 §7.1.1).
    #[must_use]
    pub const fn wants_shutdown(&self) -> bool {
        match self.phase {
            Phase::Open(_) | Phase::CloseSent(_) => false,
            Phase::Closed(_) => self.keys.is_none(),
            Phase::Ended => true,
        }
    }

    /// Whether the peer's bytes, or its end of the transport, are still waited for.
    #[must_use]
    pub const fn wants_read(&self) -> bool {
        !matches!(self.phase, Phase::Ended)
    }

    /// How far the connection's life has come.
    #[must_use]
    pub const fn state(&self) -> State {
        match self.phase {
            Phase::Open(_) => State::Open,
            Phase::CloseSent(_) | Phase::Closed(_) => State::Closing,
            Phase::Ended => State::Closed,
        }
    }

    const fn ensure_open(&self) -> Result<(), SendError> {
        if self.is_open() { Ok(()) } else { Err(SendError::Closed) }
    }

    const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// The close handshake is over, well or not; only TCP is left to end. Its deadline is set once,
    /// however often the peer is found at fault after that.
    fn finish(&mut self) {
        match self.phase {
            Phase::Open(_) => self.phase = Phase::Closed(CloseTimer::new()),
            Phase::CloseSent(timer) => self.phase = Phase::Closed(timer.restarted()),
            Phase::Closed(_) | Phase::Ended => {}
        }
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
        self.write(opcode, payload, out);
        Ok(())
    }

    fn write_pong(&mut self, payload: &[u8], out: &mut impl Output) {
        let before = out.unsent();
        if self.pongs.hold_back(payload, before) {
            return;
        }
        self.write(OpCode::Pong, payload, out);
        self.pongs.count(before, out.unsent());
    }

    fn write_held_pong(&mut self, out: &mut impl Output) {
        if let Some(payload) = self.pongs.take_held()
            && self.is_open()
        {
            self.write_pong(&payload, out);
        }
    }

    fn write_close(&mut self, frame: CloseFrame<'_>, out: &mut impl Output) {
        let mut payload = [0; MAX_CONTROL];
        let mut len = 0;
        if frame.code != CloseCode::NO_STATUS {
            len = 2 + frame.reason.len();
            payload[..2].copy_from_slice(&u16::from(frame.code).to_be_bytes());
            payload[2..len].copy_from_slice(frame.reason.as_bytes());
        }
        self.write(OpCode::Close, &payload[..len], out);
    }

    /// Every frame we send is whole; fragments would gain nothing, for the message is at hand.
    fn write(&mut self, opcode: OpCode, payload: &[u8], out: &mut impl Output) {
        let mask = self.keys.as_mut().map(MaskKeys::next_key);
        let header = Header::whole(opcode, mask, payload.len());
        out.reserve(Header::MAX_LEN + payload.len());
        let out = out.buffer();
        header.encode(out);
        let begin = out.len();
        out.extend_from_slice(payload);
        if let Some(key) = mask {
            apply_mask(&mut out[begin..], key);
        }
    }
}
