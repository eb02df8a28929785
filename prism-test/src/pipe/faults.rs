//! [`Faults`]: what happens to the bytes in a pipe.

use std::{
    fmt, io,
    sync::{Arc, Mutex},
};

use super::{
    close_filter::CloseFilter,
    lane::{Lane, change, lock},
};

/// Controls a [`pipe`](crate::pipe()) from the outside: how much passes, and how it fails.
///
/// A clone controls the same pipe. Everything takes effect at once, and wakes the ends that wait.
#[derive(Clone)]
pub struct Faults {
    to_server: Arc<Mutex<Lane>>,
    to_client: Arc<Mutex<Lane>>,
}

impl Faults {
    pub(super) const fn new(to_server: Arc<Mutex<Lane>>, to_client: Arc<Mutex<Lane>>) -> Self {
        Self { to_server, to_client }
    }

    /// Returns the direction in which the server reads and the client writes.
    pub fn to_server(&self) -> Direction<'_> {
        Direction { lane: &self.to_server, back: &self.to_client }
    }

    /// Returns the direction in which the client reads and the server writes.
    pub fn to_client(&self) -> Direction<'_> {
        Direction { lane: &self.to_client, back: &self.to_server }
    }

    /// Stops all bytes, in both directions, until [`resume`](Self::resume): a peer that is lost.
    ///
    /// Neither end hears of it, nor of what the other end does: if one closes or drops its end, the other learns it
    /// only after [`resume`](Self::resume).
    pub fn stall(&self) {
        self.both(|direction| direction.stall());
    }

    /// Ends the effect of [`stall`](Self::stall).
    pub fn resume(&self) {
        self.both(|direction| direction.resume());
    }

    /// Resets the connection: the bytes in the pipe are destroyed, and both ends fail with
    /// [`ConnectionReset`](io::ErrorKind::ConnectionReset).
    pub fn reset(&self) {
        self.both(|direction| {
            change(direction.lane, |lane| {
                lane.bytes.clear();
                lane.broken = Some(io::ErrorKind::ConnectionReset);
            });
        });
    }

    /// Sets how many bytes a read or write moves at most.
    pub fn set_piece(&self, bytes: usize) {
        self.both(|direction| change(direction.lane, |lane| lane.piece = bytes));
    }

    /// Makes both ends buffer what is written until it is flushed, as TLS and buffered writers do.
    pub fn hold_until_flushed(&self) {
        self.both(|direction| {
            change(direction.lane, |lane| {
                lane.held.get_or_insert_default();
            });
        });
    }

    /// Returns whether the server has closed its write side or dropped its end.
    pub fn closed_by_server(&self) -> bool {
        lock(&self.to_client).closed
    }

    /// Returns whether the server has dropped its end.
    pub fn dropped_by_server(&self) -> bool {
        lock(&self.to_server).deserted
    }

    /// Returns whether the client has dropped its end.
    pub fn dropped_by_client(&self) -> bool {
        lock(&self.to_client).deserted
    }

    fn both(&self, change: impl Fn(Direction<'_>)) {
        change(self.to_server());
        change(self.to_client());
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (to_server, to_client) = (self.to_server().unread(), self.to_client().unread());
        f.debug_struct("Faults")
            .field("unread_by_server", &to_server)
            .field("unread_by_client", &to_client)
            .finish_non_exhaustive()
    }
}

/// One direction of a [`pipe`](crate::pipe()): one end writes, and the other reads.
///
/// [`Faults`] has an overview. What a method sets replaces what it has set before.
#[derive(Clone, Copy)]
pub struct Direction<'a> {
    lane: &'a Mutex<Lane>,
    /// The other direction.
    back: &'a Mutex<Lane>,
}

impl Direction<'_> {
    /// Stops the bytes in this direction until [`resume`](Self::resume): reads and writes wait.
    ///
    /// To the writer, this is a peer that does not read. What is in the pipe stays there, and the reader hears neither
    /// of a reset nor of the end of the stream. Errors that a test sets, with [`fail`](Self::fail) and so on, take
    /// effect.
    pub fn stall(self) {
        change(self.lane, |lane| lane.stalled = true);
    }

    /// Ends the effect of [`stall`](Self::stall).
    pub fn resume(self) {
        change(self.lane, |lane| lane.stalled = false);
        lock(self.back).wake(); // a reset that was held back ends the writes in the other direction
    }

    /// Loses the next close frame. The writer does not notice, and the end of the stream passes: to the reader, the
    /// connection ends without a closing handshake (RFC 6455 §7.1.5, code 1006).
    ///
    /// Call it when the opening handshake is done, and no frame has been written in part.
    pub fn lose_close_frame(self) {
        change(self.lane, |lane| lane.loses_close = Some(CloseFilter::Start));
    }

    /// Sets how many bytes the pipe holds before the writer has to wait. With 0, nothing more can be written, but what
    /// is in the pipe can be read. The default is 1 MiB.
    pub fn set_capacity(self, bytes: usize) {
        change(self.lane, |lane| lane.capacity = bytes);
    }

    /// Sets how many more bytes can be written, however fast the reader is; [`usize::MAX`] removes the limit.
    pub fn allow(self, bytes: usize) {
        change(self.lane, |lane| lane.allowance = bytes);
    }

    /// Inserts bytes that the writer has not written.
    pub fn insert(self, bytes: &[u8]) {
        change(self.lane, |lane| lane.bytes.extend(bytes));
    }

    /// Makes the reads and writes in this direction fail from now on. The other direction is not affected.
    pub fn fail(self, error: io::ErrorKind) {
        change(self.lane, |lane| lane.broken = Some(error));
    }

    /// Makes the writes in this direction fail after this many more bytes, and the reads when these bytes have been
    /// read.
    pub fn fail_after(self, bytes: usize, error: io::ErrorKind) {
        change(self.lane, |lane| lane.breaks_after = Some((bytes, error)));
    }

    /// Makes only the next write fail: the error is reported once.
    pub fn fail_next_write(self, error: io::ErrorKind) {
        change(self.lane, |lane| lane.fails_once = Some(error));
    }

    /// Makes the flushes of the writer fail from now on.
    pub fn fail_flush(self, error: io::ErrorKind) {
        change(self.lane, |lane| lane.flush_fails = Some(error));
    }

    /// Makes the writer's attempt to close its side fail.
    pub fn fail_close(self, error: io::ErrorKind) {
        change(self.lane, |lane| lane.close_fails = Some(error));
    }

    /// Makes the writer's attempt to close its side never finish.
    pub fn block_close(self) {
        change(self.lane, |lane| lane.close_blocks = true);
    }

    /// Makes the reader's end return `Pending` once after each read that did not fill its buffer, as sockets do that
    /// ask the reactor for readiness first.
    pub fn delay_readiness(self) {
        change(self.lane, |lane| lane.delays_readiness = Some(false));
    }

    /// Returns how many writes there were.
    pub fn writes(self) -> usize {
        lock(self.lane).writes
    }

    /// Returns how many bytes are in the pipe: those that were written and not read yet.
    pub fn unread(self) -> usize {
        lock(self.lane).bytes.len()
    }
}
