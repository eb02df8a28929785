//! [`SharedMessage`]: a message to several connections, compressed while no lock is held.

use std::sync::atomic::{AtomicU8, Ordering};

use prism_driver::{CompressedForm, PreparedMessage, WindowBits};

use crate::sync::assert_no_lock_is_held;

/// A message to several connections, and the forms in which it has been compressed.
///
/// Sending a message compresses it, unless it has the form that the connection needs. That may take milliseconds, and
/// runs the application's [`Engine`](prism_driver::Engine). So code that sends under a lock first asks
/// whether the message [lacks](Self::lacks) that form.
#[derive(Debug)]
pub(crate) struct SharedMessage {
    message: PreparedMessage,
    /// A bit for each window for which the message has been compressed.
    windows: AtomicU8,
}

impl SharedMessage {
    pub(crate) const fn new(message: PreparedMessage) -> Self {
        Self { message, windows: AtomicU8::new(0) }
    }

    /// Returns the message. Sending it compresses nothing for connections whose form it does not
    /// [lack](Self::lacks).
    pub(crate) const fn to_send(&self) -> &PreparedMessage {
        &self.message
    }

    /// Returns whether the message has to be compressed before it is sent in this form.
    pub(crate) fn lacks(&self, form: &CompressedForm) -> bool {
        self.message.payload().len() >= form.threshold()
            && self.windows.load(Ordering::Acquire) & bit(form) == 0
    }

    /// Compresses the message in a form that it lacks. The caller must hold no lock.
    pub(crate) fn compress(&self, form: &CompressedForm) {
        assert_no_lock_is_held();
        form.prepare(&self.message);
        self.windows.fetch_or(bit(form), Ordering::Release);
    }
}

const fn bit(form: &CompressedForm) -> u8 {
    1 << (form.window().get() - WindowBits::MIN.get())
}
