//! [`Compression`]: how a connection compresses what it sends (RFC 7692).
//!
//! A message is compressed before the outbox is locked, because that may take milliseconds, and the connection's task
//! needs the outbox to read, to answer pings and to close. So a message enters the outbox in three steps:
//!
//! ```text
//!   outbox: is there room? ──► compress, with the codecs of the thread ──► outbox: is there still room? append
//! ```
//!
//! With context takeover, messages have to enter the outbox in the order in which they were compressed, because each
//! may refer to those before it. So senders of that connection hold a lock of their own in the last two steps.
//! Nothing but sending takes that lock.

use std::sync::{Arc, LockResult, TryLockError};

use prism_core::{
    Message, PreparedMessage, Role,
    deflate::{Codecs, Compressor, Deflate, DeflateParams, WindowBits},
};

use crate::{
    connection::codecs,
    error::TrySendError,
    outbox::{
        Outbox,
        queue::MIN_SHARED,
        repeats,
        send::{AfterSend, Room, WhenFull},
        source::{Payload, Source},
        sync::{Mutex, MutexGuard},
    },
    runtime::wakeups::hold_wakeups,
};

/// The compression of what a connection sends.
pub(crate) struct Compression {
    params: DeflateParams,
    role: Role,
    form: CompressedForm,
    compressor: Takeover,
}

/// Whether messages refer to earlier ones.
enum Takeover {
    /// They do not, so any number of threads can compress at the same time, for any number of connections.
    Never(Compressor),
    /// They may. The lock is held until the message is in the outbox.
    Agreed(Mutex<Compressor>),
}

/// The form in which a connection needs the messages that are sent to many connections. For `prism-rooms`.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct CompressedForm {
    deflate: Arc<Deflate>,
    window: WindowBits,
}

impl Compression {
    pub(crate) fn new(params: DeflateParams, role: Role, compressor: Compressor) -> Self {
        let form = CompressedForm {
            deflate: compressor.deflate().clone(),
            window: compressor.window_bits(),
        };
        let compressor = if compressor.takes_over() {
            Takeover::Agreed(Mutex::new(compressor))
        } else {
            Takeover::Never(compressor)
        };
        Self { params, role, form, compressor }
    }

    /// Returns what a server agrees on with a client that does not ask for anything in particular, such as a browser.
    pub(crate) fn usual(deflate: &Arc<Deflate>) -> Option<Self> {
        const OFFER: &[u8] = b"permessage-deflate; client_max_window_bits";
        let params = deflate.accept_offer([OFFER])?.params();
        let compressor = Compressor::new(deflate.clone(), params, Role::Server);
        Some(Self::new(params, Role::Server, compressor))
    }

    pub(crate) const fn params(&self) -> DeflateParams {
        self.params
    }

    pub(crate) const fn form(&self) -> &CompressedForm {
        &self.form
    }

    /// Returns whether other connections that have agreed on the same can share this.
    pub(crate) const fn is_shareable(&self) -> bool {
        matches!(self.compressor, Takeover::Never(_))
    }

    /// Compresses a message, and sends it; or sends it as it is, if it should not be compressed. See [`Outbox::send`]
    /// for the rest.
    pub(crate) fn send(
        &self,
        outbox: &Outbox,
        message: &mut Source<'_>,
        when_full: WhenFull,
    ) -> Result<AfterSend, TrySendError> {
        if message.is_plain() {
            return outbox.send(message, when_full);
        }
        let Some(room) = outbox.find_room(when_full)? else { return Ok(AfterSend::Nothing) };
        let compressor = match &self.compressor {
            Takeover::Never(compressor) => {
                let sending = SendingAlone { compressor, role: self.role, outbox, room, when_full };
                return codecs::with(|codecs| sending.send(message, codecs));
            }
            Takeover::Agreed(compressor) => compressor,
        };
        // Dropping what an outbox has released may run application code, which may send on this connection. So that
        // waits until the lock is released, after which this is dropped.
        let _held = hold_wakeups();
        let mut compressor = match compressor.try_lock() {
            // This may be one of many connections that are sent the message, and the others do not wait for this one.
            // What is not compressed needs no place among what is.
            Err(TryLockError::WouldBlock) if matches!(message, Source::Prepared(_)) => {
                return outbox.send(message, when_full);
            }
            Err(TryLockError::WouldBlock) => usable(compressor.lock()),
            Err(TryLockError::Poisoned(poisoned)) => usable(Err(poisoned)),
            Ok(compressor) => compressor,
        };
        if room.is_droppable {
            // For good: the peer has to have received whatever a message refers to.
            compressor.end_takeover();
        }
        codecs::with(|codecs| {
            if !compressor.takes_over() {
                let compressor = &*compressor;
                let sending = SendingAlone { compressor, role: self.role, outbox, room, when_full };
                return sending.send(message, codecs);
            }
            let compressed = match message {
                Source::Prepared(prepared) | Source::PlainPrepared(prepared) => {
                    compressor.compress_prepared(prepared, codecs)
                }
                Source::Payload(payload) => compressor.compress(payload.as_message(), codecs),
            };
            match compressed {
                Some(compressed) => outbox.send_compressed(compressed, when_full),
                None => outbox.send(message, when_full),
            }
        })
    }
}

/// A message on its way into an outbox that refers to no other message.
struct SendingAlone<'a> {
    compressor: &'a Compressor,
    role: Role,
    outbox: &'a Outbox,
    room: Room,
    when_full: WhenFull,
}

impl SendingAlone<'_> {
    fn send(
        &self,
        message: &mut Source<'_>,
        codecs: &mut Codecs,
    ) -> Result<AfterSend, TrySendError> {
        let payload = match message {
            Source::Prepared(prepared) | Source::PlainPrepared(prepared) => {
                return self.send_prepared(prepared, codecs);
            }
            Source::Payload(payload) => payload,
        };
        if is_long_enough(self.compressor, payload.as_message())
            && let Some(prepared) = self.prepare(payload)
        {
            return self.send_prepared(&prepared, codecs);
        }
        match self.compressor.compress_alone(payload.as_message(), codecs) {
            Some(compressed) => self.outbox.send_compressed(compressed, self.when_full),
            None => self.outbox.send(message, self.when_full),
        }
    }

    fn send_prepared(
        &self,
        message: &PreparedMessage,
        codecs: &mut Codecs,
    ) -> Result<AfterSend, TrySendError> {
        match self.compressor.compress_prepared_alone(message, codecs) {
            Some(compressed) => self.outbox.send_compressed(compressed, self.when_full),
            None => self.outbox.send(&mut Source::Prepared(message), self.when_full),
        }
    }

    /// Prepares a message that has to be a frame of its own, to be droppable, or that several connections are sent in
    /// a row, so that it is compressed once for all of them.
    fn prepare(&self, payload: &Payload<'_>) -> Option<PreparedMessage> {
        let message = payload.as_message();
        let shared = match self.role {
            Role::Server if message.as_bytes().len() >= MIN_SHARED => {
                repeats::share(message, self.room.outbox)
            }
            Role::Server | Role::Client => None,
        };
        shared.or_else(|| self.room.is_droppable.then(|| PreparedMessage::new(message)))
    }
}

/// Returns the compressor. If its engine has panicked, nobody knows what that has taken in, so messages no longer refer
/// to earlier ones.
fn usable(locked: LockResult<MutexGuard<'_, Compressor>>) -> MutexGuard<'_, Compressor> {
    locked.unwrap_or_else(|poisoned| {
        let mut compressor = poisoned.into_inner();
        compressor.end_takeover();
        compressor
    })
}

fn is_long_enough(compressor: &Compressor, message: Message<'_>) -> bool {
    message.as_bytes().len() >= compressor.deflate().threshold
}

impl CompressedForm {
    /// Returns the window for which messages are compressed. Forms with the same window are the same, for messages that
    /// are long enough for both.
    #[must_use]
    pub const fn window(&self) -> WindowBits {
        self.window
    }

    /// Returns the length in bytes of the shortest message that is compressed.
    #[must_use]
    pub fn threshold(&self) -> usize {
        self.deflate.threshold
    }

    /// Compresses a message, unless it has this form already. Sending it does not compress it again.
    pub fn prepare(&self, message: &PreparedMessage) {
        codecs::with(|codecs| message.compress(&self.deflate, self.window, codecs));
    }
}
