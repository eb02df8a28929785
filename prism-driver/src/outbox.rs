//! [`Outbox`]: one lock around a connection's sending half and its unsent bytes.
//!
//! Whoever sends encodes straight into the connection's output: one copy, no queue of messages, and
//! the bytes are counted exactly. The task that owns the connection is woken only if it sleeps, and
//! writes all that has gathered at once.

use std::{
    io,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use event_listener::Event as Notice;
use futures_io::AsyncWrite;
use prism_core::{CloseCode, Event, Message, Outbound, ProtocolError, SendError, State};

use crate::{connection::TrySendError, handler::Failure, pool, wait::wait_until};

#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<Inner>,
    /// There is room again, or never will be: for those who wait for it in turn.
    room: Notice,
    /// Bytes have left, or never will: for everybody else who waits.
    progress: Notice,
    /// We have closed, or the connection is over.
    turned: Notice,
    high_water_mark: usize,
}

#[derive(Debug)]
struct Inner {
    outbound: Outbound,
    unsent: BytesMut,
    /// How many bytes have been written.
    written: u64,
    /// The task that owns the connection, while it sleeps.
    owner: Option<Waker>,
    /// How we closed, if we did so first.
    closed_with: Option<(CloseCode, Box<str>)>,
    cut: bool,
    ended: bool,
    /// How many bytes were unsent when the transport went.
    lost: u64,
}

impl Outbox {
    /// `unsent`: what is to be sent before any message, that is, the handshake.
    pub(crate) const fn new(outbound: Outbound, unsent: BytesMut, high_water_mark: usize) -> Self {
        let inner = Inner {
            outbound,
            unsent,
            written: 0,
            owner: None,
            closed_with: None,
            cut: false,
            ended: false,
            lost: 0,
        };
        Self {
            state: Mutex::new(inner),
            room: Notice::new(),
            progress: Notice::new(),
            turned: Notice::new(),
            // At zero there would never be room.
            high_water_mark: if high_water_mark == 0 { 1 } else { high_water_mark },
        }
    }

    // ---- whoever sends

    /// Sends now, or says why not.
    pub(crate) fn try_send(&self, message: Message<'_>) -> Result<(), TrySendError> {
        self.within_mark(|outbound, unsent| outbound.send(message, unsent))
    }

    pub(crate) fn try_ping(&self, payload: &[u8]) -> Result<(), TrySendError> {
        self.within_mark(|outbound, unsent| outbound.ping(payload, unsent))
    }

    /// Sends when there is room. Dropped while it waits, it has sent nothing.
    pub(crate) async fn send(&self, message: Message<'_>) -> Result<(), SendError> {
        let waited = self.send_when_told(message, &self.room).await?;
        // Room is given to one waiter at a time, in turn; each passes on what it left.
        if waited && !self.is_full() {
            self.room.notify(1);
        }
        Ok(())
    }

    /// As [`send`](Self::send), for a future that may lie unpolled for long, as a sink's does: in
    /// the queue it would keep the room from everybody behind it.
    pub(crate) async fn send_out_of_turn(&self, message: Message<'_>) -> Result<(), SendError> {
        self.send_when_told(message, &self.progress).await.map(drop)
    }

    /// Sends when there is room; whether it had to wait for the notice.
    async fn send_when_told(&self, message: Message<'_>, room: &Notice) -> Result<bool, SendError> {
        let mut waited = false;
        loop {
            match self.try_send(message) {
                Ok(()) => return Ok(waited),
                Err(TrySendError::Refused(error)) => return Err(error),
                Err(TrySendError::Full) => {}
            }
            wait_until(room, || !self.is_full()).await;
            waited = true;
        }
    }

    /// Begins the close handshake, mark or no mark.
    pub(crate) fn close(&self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.append(|inner| {
            inner.write(|outbound, out| outbound.close(code, reason, out))?;
            inner.closed_with = Some((code, reason.into()));
            Ok(())
        })?;
        for notice in [&self.room, &self.progress, &self.turned] {
            notice.notify(usize::MAX);
        }
        Ok(())
    }

    /// Returns when what is unsent now has been written, whatever comes after it.
    pub(crate) async fn flush(&self) -> Result<(), SendError> {
        let end = {
            let inner = self.lock();
            inner.written + inner.lost + inner.unsent.len() as u64
        };
        let done = || self.lock().written >= end;
        wait_until(&self.progress, || done() || self.lock().lost > 0).await;
        if done() { Ok(()) } else { Err(SendError::Closed) }
    }

    /// Ends the connection without any more ado.
    pub(crate) fn cut(&self) {
        let mut inner = self.lock();
        inner.cut = true;
        wake_owner(inner);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.lock().outbound.state() == State::Open
    }

    /// How many bytes are waiting to be sent.
    pub(crate) fn buffered(&self) -> usize {
        self.lock().unsent.len()
    }

    /// Returns when we have closed the connection.
    pub(crate) async fn closed_by_us(&self) {
        wait_until(&self.turned, || self.lock().closed_with.is_some()).await;
    }

    /// Returns when the connection is over.
    pub(crate) async fn ended(&self) {
        wait_until(&self.turned, || self.lock().ended).await;
    }

    // ---- the task that owns the connection

    /// The owner is awake: senders need not wake it.
    pub(crate) fn awake(&self) {
        self.lock().owner = None;
    }

    /// Writes what is unsent; ready when nothing is.
    pub(crate) fn poll_flush(
        &self,
        io: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> (Flushed, Poll<io::Result<()>>) {
        let mut flushed = Flushed::Nothing;
        let mut inner = self.lock();
        while !inner.unsent.is_empty() {
            match Pin::new(&mut *io).poll_write(cx, &inner.unsent) {
                Poll::Pending => return (flushed, Poll::Pending),
                Poll::Ready(Ok(0)) => {
                    return (flushed, Poll::Ready(Err(io::ErrorKind::WriteZero.into())));
                }
                Poll::Ready(Err(error)) => return (flushed, Poll::Ready(Err(error))),
                Poll::Ready(Ok(count)) => {
                    flushed = Flushed::Something;
                    inner.sent(count);
                    self.progress.notify(usize::MAX);
                    if inner.unsent.len() < self.high_water_mark {
                        self.room.notify(1);
                    }
                }
            }
        }
        drop(inner);
        (flushed, Poll::Ready(Ok(())))
    }

    /// The owner has flushed, and would sleep until it is woken or a deadline passes.
    pub(crate) fn rest(&self, cx: &Context<'_>, write_blocked: bool) -> Result<Rest, Failure> {
        let mut inner = self.lock();
        if inner.cut {
            return Err(Failure::CutOff);
        }
        if !inner.unsent.is_empty() && !write_blocked {
            return Ok(Rest::NotYet);
        }
        inner.owner = Some(cx.waker().clone());
        Ok(Rest::Until(inner.outbound.poll_timeout()))
    }

    /// Answers an event of the peer. The code and reason that we closed with, if we did so first.
    pub(crate) fn answer(&self, event: &Event<'_>) -> Option<(CloseCode, String)> {
        let mut inner = self.lock();
        inner.write(|outbound, out| outbound.answer(event, out));
        inner.closed_with.as_ref().map(|(code, reason)| (*code, reason.to_string()))
    }

    /// We can not go on: closes without waiting for the peer's answer.
    pub(crate) fn abort(&self, code: CloseCode, reason: &str) {
        self.lock().write(|outbound, out| outbound.abort(code, reason, out));
    }

    /// The peer broke the protocol.
    pub(crate) fn fail(&self, error: ProtocolError) {
        self.lock().write(|outbound, out| outbound.fail(error, out));
    }

    /// The transport has ended.
    pub(crate) fn receive_eof(&self) {
        self.lock().outbound.receive_eof();
    }

    /// Does what is due at `now`.
    pub(crate) fn handle_timeout(&self, now: Duration, heard: bool) -> Result<(), ProtocolError> {
        self.lock().write(|outbound, out| outbound.handle_timeout(now, heard, out))
    }

    /// What the protocol wants done with the transport.
    pub(crate) fn wants(&self) -> Wants {
        let outbound = &self.lock().outbound;
        Wants { read: outbound.wants_read(), shutdown: outbound.wants_shutdown() }
    }

    /// The connection is over: whoever waits learns it, and nothing more is accepted. What was
    /// accepted can still be flushed, unless the transport is gone.
    pub(crate) fn end(&self, transport_gone: bool) {
        let mut inner = self.lock();
        inner.ended = true;
        if transport_gone {
            inner.outbound.receive_eof();
            inner.lost += inner.unsent.len() as u64;
            inner.unsent = BytesMut::new();
        }
        drop(inner);
        for notice in [&self.room, &self.progress, &self.turned] {
            notice.notify(usize::MAX);
        }
    }

    fn within_mark(
        &self,
        write: impl FnOnce(&mut Outbound, &mut BytesMut) -> Result<(), SendError>,
    ) -> Result<(), TrySendError> {
        self.append(|inner| {
            if inner.is_full(self.high_water_mark) {
                return Err(TrySendError::Full);
            }
            inner.write(write).map_err(TrySendError::Refused)
        })
    }

    /// Does something that the owner has to know of, unless it fails, and wakes it if it sleeps.
    fn append<E>(&self, change: impl FnOnce(&mut Inner) -> Result<(), E>) -> Result<(), E> {
        let mut inner = self.lock();
        change(&mut inner)?;
        wake_owner(inner);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.lock().is_full(self.high_water_mark)
    }

    /// Nothing in here panics half-way through a change, so a poisoned lock is as good as another.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake_owner(mut inner: MutexGuard<'_, Inner>) {
    let owner = inner.owner.take();
    drop(inner);
    if let Some(owner) = owner {
        owner.wake();
    }
}

impl Inner {
    /// Lets the sending half write. An idle connection has no memory for output: it is lent some.
    fn write<T>(&mut self, write: impl FnOnce(&mut Outbound, &mut BytesMut) -> T) -> T {
        if self.unsent.capacity() == 0 {
            self.unsent = pool::take_send();
        }
        let result = write(&mut self.outbound, &mut self.unsent);
        self.return_memory();
        result
    }

    /// Whether a sender has to wait. (Once it is closing, a sender learns that instead.)
    fn is_full(&self, high_water_mark: usize) -> bool {
        self.unsent.len() >= high_water_mark && self.outbound.state() == State::Open
    }

    fn sent(&mut self, count: usize) {
        self.unsent.advance(count);
        self.written += count as u64;
        self.outbound.poll_pong(&mut self.unsent);
        self.return_memory();
    }

    fn return_memory(&mut self) {
        if self.unsent.is_empty() {
            pool::put_send(std::mem::take(&mut self.unsent));
        }
    }
}

/// Whether a flush made progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    Nothing,
    Something,
}

/// Whether the owner may sleep.
#[derive(Debug)]
pub(crate) enum Rest {
    /// Something has come since it flushed.
    NotYet,
    /// Until it is woken, or this time.
    Until(Option<Duration>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Wants {
    pub(crate) read: bool,
    pub(crate) shutdown: bool,
}
