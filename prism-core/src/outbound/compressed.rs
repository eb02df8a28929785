//! Sending what a [`Compressor`](crate::deflate::Compressor) has compressed (RFC 7692 §6.1).

use crate::{
    deflate::Compressed, error::SendError, outbound::Outbound, output::Output, state::Role,
};

impl Outbound {
    /// Appends a compressed message to `out`. The next messages may refer to it.
    ///
    /// Call this in the order in which the messages were compressed, and keep what is in `out`: the
    /// peer cannot read the next messages without this one. A prepared message is passed to
    /// [`Output::append`], as in [`send_prepared`](Self::send_prepared).
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is no longer open.
    pub fn send_compressed(
        &mut self,
        message: Compressed<'_>,
        out: &mut impl Output,
    ) -> Result<(), SendError> {
        self.ensure_open()?;
        match message.prepared() {
            Some(form) if self.role() == Role::Server => out.append(form),
            _ => self.writer.write_compressed(message.opcode(), message.payload(), out),
        }
        message.commit();
        Ok(())
    }

    /// Appends only the frame header of a compressed message to `out`. The caller then sends the
    /// payload that is returned, directly after it, without a copy in `out`.
    ///
    /// On a client, which has to mask the payload, this appends the whole frame and returns `None`, so
    /// that there is nothing else to send.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is no longer open.
    pub fn send_compressed_header<'c>(
        &mut self,
        message: Compressed<'c>,
        out: &mut impl Output,
    ) -> Result<Option<&'c [u8]>, SendError> {
        self.ensure_open()?;
        let (opcode, payload) = (message.opcode(), message.payload());
        let follows = self.writer.write_compressed_header(opcode, payload.len(), out);
        if !follows {
            self.writer.write_compressed(opcode, payload, out);
        }
        message.commit();
        Ok(follows.then_some(payload))
    }
}
