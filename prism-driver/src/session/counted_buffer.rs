//! [`CountedBuffer`]: a receive buffer that remembers what has been received but not counted yet.

use std::ops::{Deref, DerefMut};

use prism_core::RecvBuffer;

use crate::server::stats::traffic::Traffic;

/// A receive buffer and what has been received into it since that was last counted. The counts are here, and not in the
/// session, because a session that waits has no buffer.
pub(crate) struct CountedBuffer {
    buffer: RecvBuffer,
    pub(crate) uncounted: Traffic,
}

impl CountedBuffer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { buffer: RecvBuffer::with_capacity(bytes), uncounted: Traffic::default() }
    }
}

impl Deref for CountedBuffer {
    type Target = RecvBuffer;

    fn deref(&self) -> &RecvBuffer {
        &self.buffer
    }
}

impl DerefMut for CountedBuffer {
    fn deref_mut(&mut self) -> &mut RecvBuffer {
        &mut self.buffer
    }
}
