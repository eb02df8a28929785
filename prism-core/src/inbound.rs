//! [`Inbound`]: from the peer to us. Finds frames, checks and unmasks them, joins fragments, and
//! lends events.
//!
//! ```text
//!              header of a data frame
//!            ┌───────────────────────► Data ──┐ payload unmasked and joined as it arrives;
//!   ► Header ┤                                │ the last of a message gives Event::Message
//!      ▲     └───────────────────────► Control┤ whole payload gives Event::Ping, Pong, Close
//!      │        of a control frame            │
//!      └──────────────────────────────────────┘       a Close, or any error, ends it: Ended
//! ```
//!
//! An event borrows the input and nothing else, so the caller may send while it holds one. That
//! needs no callback, no queue of events and no copy. A borrow that is made in a loop and returned
//! from it would last for the whole loop. So the search for an event loops over plain values, and
//! the borrow is made once, after it.
//!
//! Each byte is unmasked once, when it arrives. A message that was sent as one frame is borrowed in
//! place, and fragments are joined by moving each over the headers before it. A compressed message is
//! decompressed when it is complete.

mod compressed;

use alloc::boxed::Box;

use crate::{
    buffer::RecvBuffer,
    close_frame::CloseFrame,
    config::Config,
    deflate::{Decompressor, max_compressed},
    error::ProtocolError,
    frame::{
        header::{Header, OpCode},
        mask::apply_mask,
        utf8,
    },
    message::{Event, Kind, Message},
    state::Role,
};

/// The receiving half of a connection.
///
/// It answers nothing itself: pass each event to [`Outbound::answer`](crate::Outbound::answer), and
/// an error to [`Outbound::fail`](crate::Outbound::fail), as a [`WebSocket`](crate::WebSocket)
/// does. The halves are for programs in which one task reads while others send: the reading task
/// owns the `Inbound`, and all tasks share the `Outbound`, behind a lock.
#[derive(Debug)]
pub struct Inbound {
    role: Role,
    max_message_size: usize,
    max_empty_fragments: u16,
    stage: Stage,
    /// The message whose first fragment has arrived, but not its last.
    fragmented: Option<Opening>,
    empty_fragments: u16,
    heard: bool,
    /// If the peer may compress. Boxed, because most connections have none.
    decompressor: Option<Box<Decompressor>>,
}

/// The part of a frame that the next bytes belong to.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Header,
    Data(DataFrame),
    Control(Header),
    Ended(Result<(), ProtocolError>),
}

/// A data frame whose payload is arriving.
#[derive(Clone, Copy, Debug)]
struct DataFrame {
    opening: Opening,
    fin: bool,
    /// The key, rotated to the next byte.
    mask: Option<[u8; 4]>,
    remaining: usize,
}

/// What the first frame says about its message.
#[derive(Clone, Copy, Debug)]
struct Opening {
    kind: Kind,
    compressed: bool,
}

/// A message that has arrived completely, in one frame.
struct WholeMessage {
    kind: Kind,
    /// The length of its header.
    header: usize,
    mask: Option<[u8; 4]>,
    len: usize,
}

/// An event that is ready to be lent. It borrows nothing.
enum Ready {
    Message(Opening),
    Control(Header),
}

impl Inbound {
    /// Creates the receiving half for a `role`, after its handshake.
    #[must_use]
    pub const fn new(role: Role, config: &Config) -> Self {
        Self {
            role,
            max_message_size: config.max_message_size,
            max_empty_fragments: config.max_empty_fragments,
            stage: Stage::Header,
            fragmented: None,
            empty_fragments: 0,
            heard: false,
            decompressor: None,
        }
    }

    /// Returns the next event in `input`; `None` if more bytes are needed, or while
    /// [`pause_after`](RecvBuffer::pause_after) makes this method pause.
    ///
    /// After the peer's close frame, all further input is discarded (RFC 6455 §1.4), and the result
    /// is `None`.
    ///
    /// # Errors
    /// If the peer broke the protocol. Every later call returns the same error.
    pub fn receive<'b>(
        &mut self,
        input: &'b mut RecvBuffer,
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        self.heard |= input.has_news();
        match self.whole_message(input) {
            Some(whole) => whole.lend(input).map(Some).inspect_err(|error| self.end(Err(*error))),
            None => self.receive_in_stages(input),
        }
    }

    // Not inlined, so that the compiler keeps the values that every message needs in registers.
    #[inline(never)]
    fn receive_in_stages<'b>(
        &mut self,
        input: &'b mut RecvBuffer,
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        let ready = self.advance(input);
        input.look();
        let event = match ready {
            Ok(None) => return Ok(None),
            Ok(Some(Ready::Message(Opening { kind, compressed: false }))) => {
                kind.message(input.lend_message())
            }
            Ok(Some(Ready::Message(Opening { kind, compressed: true }))) => {
                self.lend_compressed(kind, input)
            }
            Ok(Some(Ready::Control(header))) => self.lend_control(header, input),
            Err(error) => Err(error),
        };
        event.map(Some).inspect_err(|error| self.end(Err(*error)))
    }

    /// Tells this half that the transport has reached its end or has failed. First call
    /// [`receive`](Self::receive) until it needs more bytes: events that are still in the buffer
    /// are lost.
    ///
    /// # Errors
    /// [`ProtocolError::UnexpectedEof`] if no close frame had arrived, or the error that ended the
    /// connection earlier.
    pub const fn receive_eof(&mut self) -> Result<(), ProtocolError> {
        if let Stage::Ended(result) = self.stage {
            return result;
        }
        self.end(Err(ProtocolError::UnexpectedEof));
        Err(ProtocolError::UnexpectedEof)
    }

    /// Returns whether [`receive`](Self::receive) has seen new bytes since the last call to this
    /// method. Pass the result to [`Outbound::handle_timeout`](crate::Outbound::handle_timeout):
    /// any byte shows that the peer is alive. So first receive what has arrived.
    pub const fn take_heard(&mut self) -> bool {
        core::mem::replace(&mut self.heard, false)
    }

    /// Counts as a received byte.
    pub(crate) const fn note_alive(&mut self) {
        self.heard = true;
    }

    /// Ends the receiving side with the result of every later `receive`.
    pub(crate) const fn end(&mut self, result: Result<(), ProtocolError>) {
        self.stage = Stage::Ended(result);
    }

    /// Recognizes a message that has arrived completely, in one valid frame, and is not compressed, as nearly all are.
    /// It passes through no stage. Everything else is left to [`advance`](Self::advance).
    #[inline(always)] // Its result stays in registers.
    fn whole_message(&self, input: &RecvBuffer) -> Option<WholeMessage> {
        if !matches!(self.stage, Stage::Header) || self.fragmented.is_some() || input.is_paused() {
            return None;
        }
        let unparsed = input.unparsed();
        let (kind, len, rest) = Header::parse_whole_message(unparsed, self.expects_mask())?;
        let (mask, rest) = match self.expects_mask() {
            true => rest.split_first_chunk().map(|(key, rest)| (Some(*key), rest))?,
            false => (None, rest),
        };
        let header = unparsed.len() - rest.len();
        (len <= self.max_message_size.min(rest.len())).then_some(WholeMessage {
            kind,
            header,
            mask,
            len,
        })
    }

    fn advance(&mut self, input: &mut RecvBuffer) -> Result<Option<Ready>, ProtocolError> {
        while !input.is_paused() {
            let mut frame = match self.stage {
                Stage::Header => match self.read_header(input)? {
                    Some(Stage::Data(frame)) => frame,
                    Some(stage) => {
                        self.stage = stage;
                        continue;
                    }
                    None => return Ok(None),
                },
                Stage::Data(frame) => frame,
                Stage::Control(header) => {
                    if (input.unparsed_len() as u64) < header.len {
                        return Ok(None);
                    }
                    self.stage = Stage::Header;
                    return Ok(Some(Ready::Control(header)));
                }
                Stage::Ended(result) => return Self::discard(input, result),
            };
            let finished = frame.take_payload(input);
            // The lengths of further fragments are unknown.
            input.set_missing(if frame.fin { frame.remaining } else { 0 });
            if finished {
                self.stage = Stage::Header;
                if frame.fin {
                    return Ok(Some(Ready::Message(frame.opening)));
                }
            }
            if let Opening { kind: Kind::Text, compressed: false } = frame.opening {
                self.check_text(input)?;
            }
            if !finished {
                self.stage = Stage::Data(frame);
                return Ok(None);
            }
            input.count_fragment();
        }
        // It is paused, but what has ended needs no further turn.
        match self.stage {
            Stage::Ended(result) => Self::discard(input, result),
            _ => Ok(None),
        }
    }

    /// Discards what arrives after the end, and repeats its result.
    #[cold]
    fn discard(
        input: &mut RecvBuffer,
        result: Result<(), ProtocolError>,
    ) -> Result<Option<Ready>, ProtocolError> {
        input.clear();
        result.map(|()| None)
    }

    /// Parses a header, if it has arrived completely, and checks it before any of its payload is
    /// looked at.
    fn read_header(&mut self, input: &mut RecvBuffer) -> Result<Option<Stage>, ProtocolError> {
        let Some((header, len)) = Header::parse(input.unparsed())? else { return Ok(None) };
        let stage = self.check_header(&header, input.message().len())?;
        input.skip(len);
        Ok(Some(stage))
    }

    fn check_header(&mut self, header: &Header, joined: usize) -> Result<Stage, ProtocolError> {
        // RFC 7692 §6.1: "An endpoint MUST NOT set the "Per-Message Compressed" bit of control frames
        // and non-first fragments of a data message."
        let may_be_compressed =
            self.decompressor.is_some() && matches!(header.opcode, OpCode::Text | OpCode::Binary);
        if header.rsv1 && !may_be_compressed {
            return Err(ProtocolError::ReservedBits);
        }
        match (self.expects_mask(), header.mask) {
            (true, None) => return Err(ProtocolError::UnmaskedFrame),
            (false, Some(_)) => return Err(ProtocolError::MaskedFrame),
            _ => {}
        }
        let opened = |kind| Opening { kind, compressed: header.rsv1 };
        let opening = match (header.opcode, self.fragmented) {
            (OpCode::Close | OpCode::Ping | OpCode::Pong, _) => return Ok(Stage::Control(*header)),
            (OpCode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (OpCode::Continuation, Some(opening)) => opening,
            (_, Some(_)) => return Err(ProtocolError::InterleavedMessage),
            (OpCode::Text, None) => opened(Kind::Text),
            (OpCode::Binary, None) => opened(Kind::Binary),
        };
        let limit = self.max_message_size;
        let most = if opening.compressed { max_compressed(limit) } else { limit };
        let room = most.saturating_sub(joined);
        let remaining = match usize::try_from(header.len) {
            Ok(len) if len <= room => len,
            _ => return Err(ProtocolError::MessageTooBig(limit)),
        };
        self.fragmented = (!header.fin).then_some(opening);
        self.count_empty(header)?;
        Ok(Stage::Data(DataFrame { opening, fin: header.fin, mask: header.mask, remaining }))
    }

    /// Returns whether the peer has to mask its frames: a client masks all, a server none (§5.1).
    const fn expects_mask(&self) -> bool {
        matches!(self.role, Role::Server)
    }

    const fn count_empty(&mut self, header: &Header) -> Result<(), ProtocolError> {
        if header.fin || header.len > 0 {
            self.empty_fragments = 0;
            return Ok(());
        }
        if self.empty_fragments >= self.max_empty_fragments {
            return Err(ProtocolError::TooManyEmptyFragments);
        }
        self.empty_fragments += 1;
        Ok(())
    }

    /// Checks the unfinished text received so far, so that invalid text fails at its first wrong
    /// byte.
    fn check_text(&self, input: &mut RecvBuffer) -> Result<(), ProtocolError> {
        let valid = utf8::valid_prefix(input.unchecked());
        input.checked(valid.map_err(|_| ProtocolError::InvalidUtf8)?);
        Ok(())
    }

    fn lend_control<'b>(
        &mut self,
        header: Header,
        input: &'b mut RecvBuffer,
    ) -> Result<Event<'b>, ProtocolError> {
        // `Header::parse` refuses control frames of more than 125 bytes.
        let payload = input.lend(header.len as usize);
        if let Some(key) = header.mask {
            apply_mask(payload, key);
        }
        match header.opcode {
            OpCode::Ping => Ok(Event::Ping(payload)),
            OpCode::Pong => Ok(Event::Pong(payload)),
            _ => {
                let frame = CloseFrame::parse(payload)?;
                self.end(Ok(()));
                Ok(Event::Close(frame))
            }
        }
    }
}

impl WholeMessage {
    fn lend(self, input: &mut RecvBuffer) -> Result<Event<'_>, ProtocolError> {
        let payload = input.lend_whole(self.header, self.len);
        if let Some(key) = self.mask {
            apply_mask(payload, key);
        }
        self.kind.message(payload)
    }
}

impl Kind {
    /// Makes an event of a message. Checks text that arrived in one piece for the first time, and
    /// text that arrived in several for the second; [`utf8`] says why.
    fn message(self, payload: &[u8]) -> Result<Event<'_>, ProtocolError> {
        Ok(Event::Message(match self {
            Self::Text => {
                Message::Text(utf8::text(payload).map_err(|_| ProtocolError::InvalidUtf8)?)
            }
            Self::Binary => Message::Binary(payload),
        }))
    }
}

impl DataFrame {
    /// Unmasks and joins the payload that has arrived. Returns whether that completes it.
    fn take_payload(&mut self, input: &mut RecvBuffer) -> bool {
        let payload = input.unparsed_mut();
        let count = payload.len().min(self.remaining);
        if let Some(key) = self.mask {
            self.mask = Some(apply_mask(&mut payload[..count], key));
        }
        input.join(count);
        self.remaining -= count;
        self.remaining == 0
    }
}
