//! How a message enters the send queue: as a copy, as a frame that other connections share, or as the sender's own
//! bytes. A large message may be written without entering it.

use prism_core::{Message, PreparedMessage, Role, SendError, deflate::Compressed};

use crate::{
    buffer_pool,
    options::when_slow::WhenSlow,
    outbox::{
        queue::{MIN_SHARED, frame::FrameBytes},
        repeats,
        source::{LARGE_PAYLOAD, Payload, Source},
        state::OutboxState,
    },
};

impl OutboxState {
    /// Sends a message. A large one is written at once, as far as the transport takes it.
    #[inline(always)] // A broadcast calls this for each of its messages.
    pub(crate) fn enqueue(&mut self, message: &mut Source<'_>) -> Result<(), SendError> {
        match message {
            message if self.when_slow == WhenSlow::DropOldest => self.enqueue_droppable(message),
            Source::Payload(payload) if payload.as_message().as_bytes().len() < MIN_SHARED => {
                self.enqueue_copy(payload.as_message())
            }
            Source::Payload(payload) => self.enqueue_long(payload),
            Source::Prepared(message) | Source::PlainPrepared(message) => {
                self.encode(|outbound, out| outbound.send_prepared(message, out))
            }
        }
    }

    /// Sends a copy of a message. If it is long, others probably follow by reference, so this is the only connection of
    /// many that needs a large buffer.
    #[inline(never)] // A copy of its code would keep `enqueue_short` from being inlined.
    fn enqueue_copy(&mut self, message: Message<'_>) -> Result<(), SendError> {
        if message.as_bytes().len() >= MIN_SHARED {
            self.queue.get_or_insert_with(buffer_pool::take_send);
        }
        self.encode(|outbound, out| outbound.send(message, out))
    }

    /// Sends a message that is too short to be shared.
    #[inline(always)] // A call would make an echo 4 % slower.
    pub(crate) fn enqueue_short(&mut self, message: Message<'_>) -> Result<(), SendError> {
        if self.when_slow == WhenSlow::DropOldest {
            return self.enqueue_droppable(&mut Source::borrowed(message));
        }
        self.encode(|outbound, out| outbound.send(message, out))
    }

    /// Sends a message that has been compressed.
    pub(crate) fn enqueue_compressed(&mut self, message: Compressed<'_>) -> Result<(), SendError> {
        let may_drop = self.when_slow == WhenSlow::DropOldest;
        self.encode(|outbound, out| match message.takes_over() {
            // Whatever a message refers to must not be dropped.
            true => outbound.send_compressed(message, &mut out.undroppable()),
            false if may_drop => outbound.send_compressed(message, &mut out.droppable()),
            false => outbound.send_compressed(message, out),
        })
    }

    #[inline(never)]
    fn enqueue_droppable(&mut self, message: &mut Source<'_>) -> Result<(), SendError> {
        let encoded;
        let message = match message {
            Source::Prepared(message) | Source::PlainPrepared(message) => message,
            Source::Payload(payload) => {
                if let Some(kept) = self.take(payload) {
                    self.encode(|_, out| out.push(kept));
                    return Ok(());
                }
                let message = payload.as_message();
                encoded = self.share(message).unwrap_or_else(|| PreparedMessage::new(message));
                &encoded
            }
        };
        self.encode(|outbound, out| outbound.send_prepared(message, &mut out.droppable()))
    }

    /// Sends a message that is long enough to be shared.
    #[inline(never)]
    fn enqueue_long(&mut self, payload: &mut Payload<'_>) -> Result<(), SendError> {
        let message = payload.as_message();
        // If something waits already, the owner may be waiting for the transport, too.
        let at_once = message.as_bytes().len() >= LARGE_PAYLOAD && self.is_idle();
        if at_once && self.encode(|outbound, out| outbound.send_header(message, out))? {
            self.write_payload_for_owner(payload);
            return Ok(());
        }
        if let Some(kept) = self.take(payload) {
            self.encode(|_, out| out.push(kept));
            return Ok(());
        }
        let message = payload.as_message();
        match self.share(message) {
            Some(shared) => self.encode(|outbound, out| outbound.send_prepared(&shared, out)),
            None => self.enqueue_copy(message),
        }
    }

    /// Takes a message from its sender, as a frame for the queue. Returns `None` if it has to be encoded instead: it is
    /// only borrowed, a client masks it, or the connection is not open, which the encoder reports.
    fn take(&self, payload: &mut Payload<'_>) -> Option<FrameBytes> {
        let is_sent_as_it_is = self.is_open() && self.outbound.role() == Role::Server;
        if is_sent_as_it_is { payload.take() } else { None }
    }

    /// Returns the shared form of a message that other connections get as well.
    pub(in crate::outbox) fn share(&self, message: Message<'_>) -> Option<PreparedMessage> {
        match self.outbound.role() {
            Role::Server if message.as_bytes().len() >= MIN_SHARED => {
                repeats::share(message, self.number())
            }
            // A short message is not worth it, and a client masks with a key of its own.
            Role::Server | Role::Client => None,
        }
    }
}
