//! [`Connection`]: the handle that everybody has.

use std::{
    borrow::Cow,
    fmt,
    net::SocketAddr,
    ops::Deref,
    sync::{Arc, Weak},
};

use prism_core::{CloseCode, Headers, Message, PreparedMessage, SendError};

use crate::{
    connection::{
        id::ConnectionId,
        request::RequestInfo,
        send::{Sending, WaitOrder},
        shared::Shared,
    },
    error::TrySendError,
    outbox::{
        Outbox, WhenFull,
        budget::Budget,
        state::{Cut, Outgoing},
    },
};

pub(crate) mod batch;
pub(crate) mod id;
pub(crate) mod peer_addr;
pub(crate) mod request;
pub(crate) mod send;
pub(crate) mod shared;

/// A connection's address, in the sense of the actor model: clone it, store it, send to it from
/// any task or thread, for as long as you like. It does not keep the connection open.
///
/// ```no_run
/// # async fn example(connection: prism_driver::Connection) -> Result<(), prism_driver::SendError> {
/// connection.send("hello").await?;
/// let other = connection.clone();
/// assert_eq!(other.id(), connection.id());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

impl Connection {
    pub(crate) fn new(
        peer_addr: Option<SocketAddr>,
        request: Arc<RequestInfo>,
        outbox: Outbox,
    ) -> Self {
        Self { shared: Shared::new(peer_addr, request, outbox) }
    }

    /// Its name, unique across machines.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.shared.id.global()
    }

    /// Returns the peer's address, without an IPv6 flow label; `None` on a transport that has none.
    /// An IPv4 peer has an IPv4 address, on a listener for IPv6 as well. Behind a proxy the peer is
    /// the proxy: see [`header`](Self::header).
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.shared.peer_addr.into()
    }

    /// Returns the path it was opened on, without the query, in its one [normal
    /// spelling](crate::normalize_path), which [authorisation](crate::Server::authorize) has seen as
    /// well.
    #[must_use]
    pub fn path(&self) -> &str {
        self.shared.request.path()
    }

    /// Returns the query behind the path, as it was sent. Take it apart, then decode its parts by
    /// [`percent_decode`](crate::percent_decode).
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.shared.request.query()
    }

    /// Returns a parameter of the route, decoded: with the route `/rooms/{room}`, a connection to
    /// `/rooms/caf%C3%A9` has the `room` `café`.
    ///
    /// It is text without control characters, does not begin with `/`, `\` or a drive such as `C:/`, and
    /// has no segments `.` or `..` between those: a request with any of that was refused with 400.
    /// `{room}` may have a `/` inside, if the client wrote `%2F`; in `{*rest}` each `/` was one of the
    /// path and there is no `\`, because there `%2F` and `%5C` are refused.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.shared.request.param(name)
    }

    /// The sub-protocol that was agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.shared.request.subprotocol()
    }

    /// Returns a header of the opening request (or, for a handler that a client runs, of the
    /// answer). Several lines of it are joined with `", "`, those of `Cookie` with `"; "`; those of
    /// `Set-Cookie` cannot be taken apart again then, so use [`header_all`](Self::header_all). What is
    /// not UTF-8 is replaced by U+FFFD.
    ///
    /// Only until [`on_connect`](crate::Handler::on_connect) has run: then the headers are dropped. A
    /// [`Socket`](crate::Socket::header) keeps the answer's instead.
    ///
    /// Proxies append to what the client has sent. Of `X-Forwarded-For` only so many elements count,
    /// from the end, as there are proxies of yours:
    ///
    /// ```no_run
    /// # use prism_driver::Connection;
    /// /// The client's address, as our one proxy has seen it.
    /// fn client(connection: &Connection) -> Option<String> {
    ///     let seen = connection.header("X-Forwarded-For")?;
    ///     seen.rsplit(',').next().map(|last| last.trim().to_owned())
    /// }
    /// ```
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.outbox().in_headers(|headers| headers.joined(name).map(Cow::into_owned))?
    }

    /// Returns the value of each line of a header, in their order; otherwise as
    /// [`header`](Self::header).
    #[must_use]
    pub fn header_all(&self, name: &str) -> Vec<String> {
        let all = |headers: Headers<'_>| headers.all_text(name).map(Cow::into_owned).collect();
        self.outbox().in_headers(all).unwrap_or_default()
    }

    /// Sends a message, after waiting for room in the outbox.
    ///
    /// When this returns, the message is in the outbox, behind what was sent before and ahead of
    /// what is sent later; it will be written before any close frame.
    ///
    /// It leaves by itself: from within a handler, when the handler waits or is done, together with
    /// all else that it has sent until then; from elsewhere, when the connection's task has its turn.
    /// A large one does not wait for that. A handler that blocks its thread (`block_in_place`, `block_on`)
    /// keeps all that it has sent until it returns, or until a [`flush`](Self::flush).
    ///
    /// Cancel-safe: dropped while it waits, it has sent nothing.
    ///
    /// If the handler wants slow peers to [miss messages](crate::Handler::when_slow), this never waits,
    /// and a message that was accepted may still be missed.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is closing or over, also if that happens while this
    /// waits.
    pub fn send<'m>(&self, message: impl Into<Message<'m>>) -> Sending<'_, 'm> {
        Sending::new(&self.shared, Outgoing::Message(message.into()), WaitOrder::InTurn)
    }

    /// Sends a message if there is room for it now.
    ///
    /// A loop that sends the same message to several connections need not prepare it. From 256 bytes on,
    /// whatever those connections do not take at once they share, from the second on: one copy for all of
    /// them, as with [`try_send_prepared`](Self::try_send_prepared). It is noticed by the place and the
    /// length of the message, if it is the same memory each time, and no other message of that size is sent
    /// between; the bytes are compared before they are shared. The same is true of [`send`](Self::send). A
    /// client's connections share nothing, because each masks what it sends.
    ///
    /// ```no_run
    /// # use prism_driver::Connection;
    /// fn publish(to: &[Connection], text: &str) {
    ///     for connection in to {
    ///         let _ = connection.try_send(text); // whoever is full or gone misses it
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`TrySendError::Full`] if as many bytes as the high-water mark are waiting already.
    pub fn try_send<'m>(&self, message: impl Into<Message<'m>>) -> Result<(), TrySendError> {
        send::hand_over(&self.shared, Outgoing::Message(message.into()), WhenFull::Fail)
    }

    /// Sends a message that many connections get, as [`send`](Self::send) does: its bytes are shared, not
    /// copied, unless it is small (a frame of less than 256 bytes).
    ///
    /// A loop over [`try_send`](Self::try_send) shares by itself what lies in one place. Prepare a message
    /// if it is sent again later, to connections that get other messages between, or from several threads.
    ///
    /// ```no_run
    /// # use prism_driver::{Connection, PreparedMessage};
    /// fn publish(to: &[Connection], text: &str) {
    ///     let news = PreparedMessage::new(text);
    ///     for connection in to {
    ///         let _ = connection.try_send_prepared(&news); // whoever is full or gone misses it
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub const fn send_prepared<'m>(&self, message: &'m PreparedMessage) -> Sending<'_, 'm> {
        Sending::new(&self.shared, Outgoing::Prepared(message), WaitOrder::InTurn)
    }

    /// Sends a message that many connections get, as [`try_send`](Self::try_send) does; see
    /// [`send_prepared`](Self::send_prepared) for what is shared.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    pub fn try_send_prepared(&self, message: &PreparedMessage) -> Result<(), TrySendError> {
        send::hand_over(&self.shared, Outgoing::Prepared(message), WhenFull::Fail)
    }

    /// Returns when all that was accepted up to now has been written to the transport, whatever is
    /// sent later. Seldom needed: what was accepted leaves by itself. To be sure that the peer has it,
    /// [`close`](Self::close), and wait for the [end](Self::closed), best outside of the handler.
    ///
    /// What the transport takes at once is written by this call. The rest is the connection's task to
    /// write: a handler that blocks its thread on this waits in vain if it is its own connection's, and
    /// the peer does not read.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection was over before that.
    pub async fn flush(&self) -> Result<(), SendError> {
        self.outbox().flush().await
    }

    /// Sends a ping of at most 125 bytes. (The keepalive pings by itself.)
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), or the payload is too long.
    pub fn ping(&self, payload: &[u8]) -> Result<(), TrySendError> {
        send::ping(&self.shared, payload)
    }

    /// Closes the connection: what was accepted is still sent, then the close frame, then nothing.
    /// The handler hears no more messages, and `on_disconnect` when the peer has agreed or the
    /// close timeout has passed. Returns whether this call was the one that closed: `false` if the
    /// connection is closing already, or over.
    ///
    /// A reason of more than 123 bytes is cut at the end of a character. With
    /// [`CloseCode::NO_STATUS`] none is sent (RFC 6455 §5.5.1).
    pub fn close(&self, code: CloseCode, reason: &str) -> bool {
        self.outbox().close(code, reason)
    }

    /// Ends the connection at once: what was accepted and not written is lost, no close frame is sent,
    /// and nothing is waited for. The handler hears no more messages, and `on_disconnect` with
    /// [`Failure::Aborted`](crate::Failure::Aborted) when it is done with what it does; the hooks of
    /// [`on_end`](Self::on_end) have run when this returns, unless the connection was ending already; so hold
    /// no lock that they need. The peer sees its connection end, or reset (1006). If it is over for the handler, its reason stays what
    /// it was, but what is still to be written, the answer to a close frame perhaps, is lost.
    ///
    /// For peers that have lost their claim to a good ending: [`close`](Self::close) waits for their
    /// answer, and while they read slowly for longer than that.
    ///
    /// ```no_run
    /// # use prism_driver::{CloseCode, Connection};
    /// fn ban(connection: &Connection) {
    ///     connection.close(CloseCode::POLICY_VIOLATION, "banned");
    ///     if connection.buffered() > 1024 {
    ///         connection.abort(); // what it does not read should not wait here
    ///     }
    /// }
    /// ```
    pub fn abort(&self) {
        self.outbox().cut(Cut::Abort);
    }

    /// How many bytes are waiting to be sent.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.outbox().buffered()
    }

    /// Whether as many bytes as the [high-water mark](crate::Options::high_water_mark) are waiting, so
    /// that a [`send`](Self::send) would wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.outbox().is_full()
    }

    /// How many messages the peer has missed, because it did not keep up: those that
    /// [`try_send`](Self::try_send) has refused as [full](TrySendError::Full), and those that were
    /// dropped as the handler [wanted](crate::Handler::when_slow).
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.outbox().missed()
    }

    /// Whether messages can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.outbox().is_open()
    }

    /// Returns when the connection is over. Cancel-safe.
    ///
    /// A handler may wait for this after [`close`](Self::close), but while it does nothing of the peer's
    /// is read, its answer neither: it waits for the whole [close
    /// timeout](prism_core::Config::close_timeout). What the peer had sent by then still decides the
    /// reason that `on_disconnect` hears.
    ///
    /// In a handler of a connection that nobody has closed it waits for as long as the peer stays, since
    /// the peer's close frame is not read either. A hook of [`on_end`](Self::on_end) that blocks its thread
    /// until this returns never returns.
    pub async fn closed(&self) {
        self.outbox().ended().await;
    }

    /// Runs `hook`, once, when the connection is over, before `on_disconnect`: also after a panic of
    /// the handler, and if the connection's task is dropped. At once if it is over already.
    ///
    /// For what must not outlive the connection, such as its place in a list. It runs in whatever
    /// task or thread ends the connection, so it should be quick; a panic in it has no effect. It can
    /// not be taken back: leave one for a connection, not one for each thing that you do with it.
    pub fn on_end(&self, hook: impl FnOnce() + Send + 'static) {
        self.outbox().on_end(hook);
    }

    /// Counts what is unsent in a budget, from now on until nothing is unsent. To be called when the transport takes
    /// no more.
    pub(crate) fn count_in(&self, budget: &Arc<Budget>) {
        self.outbox().count_in(budget, || {
            let shared: Weak<Shared> = Arc::downgrade(&self.shared);
            shared
        });
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.shared.outbox
    }
}

/// The connection in the hands of whoever runs it. When this is dropped, early or not, the
/// connection is over, and its transport gone.
pub(crate) struct Owned(Connection);

impl Owned {
    pub(crate) const fn new(connection: Connection) -> Self {
        Self(connection)
    }
}

impl Deref for Owned {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.outbox().give_up();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id())
            .field("peer_addr", &self.peer_addr())
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
