//! [`Connection`]: the handle to a connection.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Weak},
};

use prism_core::{CloseCode, Latency, SendError};

use crate::{
    connection::{
        id::ConnectionId,
        outgoing::Outgoing,
        request_info::RequestInfo,
        send::{Sending, WaitOrder},
        shared::Shared,
    },
    error::TrySendError,
    options::when_slow::WhenSlow,
    outbox::{Outbox, budget::Budget, send::WhenFull, state::Cut},
};

pub(crate) mod batch;
pub(crate) mod codecs;
pub(crate) mod compression;
pub(crate) mod id;
pub(crate) mod outgoing;
pub(crate) mod owned;
pub(crate) mod peer_addr;
mod request;
pub(crate) mod request_info;
pub(crate) mod send;
pub(crate) mod shared;

/// A handle to a connection, for sending messages and for closing. It is cheap to clone, and all clones refer to the
/// same connection.
///
/// Keep handles wherever you like, and use them from any task or thread. A handle does not keep the connection open:
/// once the connection is closing or over, sending fails with [`SendError::Closed`].
///
/// ```no_run
/// # use prism_driver::{Connection, SendError};
/// async fn greet(connection: &Connection) -> Result<(), SendError> {
///     connection.send("hello").await?; // waits for room
///
///     let later = connection.clone(); // for another task, or for a map of your users
///     assert_eq!(later.id(), connection.id());
///     Ok(())
/// }
/// ```
///
/// # Sending
///
/// A message enters the connection's outbox when its `try_send` returns or its `send` is ready. Messages are written in
/// that order, without a call to flush them. If the peer does not keep up, the outbox fills. It is full when it holds
/// as many bytes as the [high-water mark](crate::Options::high_water_mark). Then:
///
/// | method | with a full outbox |
/// |---|---|
/// | [`send`](Self::send) | waits for room |
/// | [`try_send`](Self::try_send) | fails with [`TrySendError::Full`] |
///
/// You can choose [another policy](crate::WhenSlow), such as dropping the oldest messages.
///
/// # Ending
///
/// | method | effect |
/// |---|---|
/// | [`close`](Self::close) | sends what is in the outbox, and then a close frame |
/// | [`abort`](Self::abort) | ends the connection at once, without a close frame |
/// | [`closed`](Self::closed) | waits until the connection is over |
/// | [`on_end`](Self::on_end) | runs a function when the connection is over |
#[derive(Clone)]
#[doc(alias("Sender", "WebSocketSender", "handle"))]
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

    /// Returns the connection's globally unique ID.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.shared.id.global()
    }

    /// Returns the peer's address, without an IPv6 flow label, or `None` on a transport without addresses.
    ///
    /// An IPv4 peer has an IPv4 address, even on an IPv6 listener. Behind a proxy, this is the proxy's address, unless
    /// the server [trusts the proxy](crate::Server::trust_proxies) to name its clients. Then it is the client's address
    /// and port, and the port is 0 if the proxy does not name it.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.shared.peer_addr.into()
    }

    /// Sends a message, after waiting for room in the outbox. Pass text, bytes or a message, as you have it:
    /// [`Outgoing`] lists all forms, and says what is copied.
    ///
    /// When the future is ready, the message is in the outbox, behind everything that was accepted earlier. Unless the
    /// connection fails or is [aborted](Self::abort), it is written before any close frame.
    ///
    /// Messages that a handler sends, to any connection, are written together when it awaits something that is not
    /// ready, or after it has returned (and has handled the messages that had already arrived). Messages sent from
    /// elsewhere are written when the connection's task runs next. A server usually writes a message of 16 KiB or more
    /// immediately. A handler that blocks its thread (`block_in_place`, `block_on`) delays what it has sent until it
    /// returns, unless it awaits [`flush`](Self::flush) before it blocks.
    ///
    /// With a [policy](crate::WhenSlow) other than `Wait`, this never waits, and the peer may miss the message even
    /// though this returns `Ok`. [`when_slow`](Self::when_slow) shows how to find out.
    ///
    /// Cancel-safe: a future that is dropped while it waits has sent nothing.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is closing or over, or if that happens while this waits.
    pub fn send<M: Outgoing>(&self, message: M) -> Sending<'_, M> {
        Sending::new(&self.shared, message, WaitOrder::Queued)
    }

    /// Sends a message in any [form](Outgoing) if the outbox has room for it now. If this fails, a message that was
    /// passed by value is dropped, so pass a reference to a message that you still need then.
    ///
    /// ```no_run
    /// # use prism_driver::Connection;
    /// fn publish(connections: &[Connection], text: &str) {
    ///     for connection in connections {
    ///         let _ = connection.try_send(text); // a full or closed connection misses it
    ///     }
    /// }
    /// ```
    ///
    /// Such a loop needs no [`PreparedMessage`](crate::PreparedMessage). If a message of 256 bytes or more has to wait
    /// in several outboxes, the first has a copy of its own, and all others share one. Prism recognizes the message by
    /// its address and length (and compares the bytes), so pass the same slice each time, on one thread, without
    /// sending another message of 256 bytes or more and without waiting in between. [`send`](Self::send) shares bytes
    /// too, unless it has to wait. A client's connections share nothing, because each masks its frames with keys of its
    /// own.
    ///
    /// [Prepare](Outgoing::prepare) a message if you will send it again later, or send other messages in between, or
    /// send it from several threads. All connections share a prepared message's bytes, unless its frame is shorter than
    /// 256 bytes.
    ///
    /// # Errors
    /// [`TrySendError::Full`] if the outbox is full, or [`TrySendError::Refused`] if the connection is closing or over.
    pub fn try_send(&self, mut message: impl Outgoing) -> Result<(), TrySendError> {
        send::send(&self.shared, &mut message, WhenFull::Fail)
    }

    /// Waits until everything now in the outbox has been written to the transport. Later messages do not prolong this,
    /// unless [`WhenSlow::DropOldest`](crate::WhenSlow::DropOldest) drops earlier ones for them.
    ///
    /// This is rarely needed, and does not show that the peer has received the messages. If a connection that you
    /// [close](Self::close) ends with [`Disconnect::Local`](crate::Disconnect::Local), the peer has normally read all
    /// of them.
    ///
    /// This call writes as much as the transport takes at once, and the connection's task writes the rest. So do not
    /// block a handler's thread on a flush of its own connection: if the transport does not take everything at once,
    /// that never ends.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection ended first.
    pub async fn flush(&self) -> Result<(), SendError> {
        self.outbox().flush().await
    }

    /// Sends a ping with a payload of at most 125 bytes (RFC 6455 §5.5.2), in addition to the
    /// [keepalive's](prism_core::Config::ping_interval). The handler's [`on_pong`](crate::Handler::on_pong) receives
    /// the pong; a [`Socket`](crate::Socket) does not report it. A peer may answer only the latest of several pings. If
    /// more than 32 pings are unanswered, the oldest are forgotten.
    ///
    /// A ping is sent after everything that was accepted earlier, and no [policy](crate::WhenSlow) drops the ping. So
    /// its pong shows that the peer has read everything before it.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), and [`SendError::ControlTooLong`] (as [`TrySendError::Refused`]) if the payload
    /// is longer than 125 bytes. With a full outbox this fails under every policy.
    pub fn ping(&self, payload: &[u8]) -> Result<(), TrySendError> {
        send::finish(&self.shared, self.outbox().try_ping(payload)?);
        Ok(())
    }

    /// Returns the round-trip time to the peer, as the keepalive measures it with each of its
    /// [pings](prism_core::Config::ping_interval); `None` before the first pong, that is, for at least the first 20
    /// seconds by default. Always `None` without a keepalive (`ping_interval(None)`): the pongs that answer the
    /// application's own [pings](Self::ping) do not count.
    ///
    /// This time includes what the ping and its pong spend in queues, here and at the peer. A handler that runs for
    /// long delays the reading of the pong, so the handler's time is included as well.
    #[must_use]
    pub fn latency(&self) -> Option<Latency> {
        self.outbox().latency()
    }

    /// Wakes the connection's handler: [`ConnectionHandler::on_wake`](crate::ConnectionHandler::on_wake) runs soon,
    /// once for all calls until then. Never waits. [`hold_wakeups`](crate::hold_wakeups) delays the waking of the task.
    ///
    /// Does nothing if the connection is closing or over, or if the handler has no `on_wake`: a
    /// [`Handler`](crate::Handler), or that of a [`Socket`](crate::Socket). A message that waits for
    /// its [rate](crate::Options::message_rate) is handled first.
    pub fn wake(&self) {
        self.outbox().wake_handler();
    }

    /// Returns the [policy](crate::WhenSlow) of this connection. A sender that has to know whether its own message was
    /// dropped can choose by it how to send:
    ///
    /// ```no_run
    /// # use prism_driver::{CloseCode, Connection, TrySendError, WhenSlow};
    /// /// Sends an answer, for which the client would otherwise wait in vain.
    /// async fn answer(connection: &Connection, answer: &str) {
    ///     match connection.when_slow() {
    ///         WhenSlow::Wait => _ = connection.send(answer).await, // fails only if the connection is closing
    ///         _ if connection.try_send(answer) == Err(TrySendError::Full) => {
    ///             connection.close(CloseCode::TRY_AGAIN_LATER, "too slow");
    ///         }
    ///         _ => {}
    ///     }
    /// }
    /// ```
    ///
    /// [`missed`](Self::missed) does not tell this: it counts what others send, too.
    #[must_use]
    pub fn when_slow(&self) -> WhenSlow {
        self.outbox().when_slow()
    }

    /// Sets the [policy](crate::WhenSlow) for the messages that are sent from now on. Until this is called, the policy
    /// is that of [`Options::when_slow`](crate::Options::when_slow).
    pub fn set_when_slow(&self, when_slow: WhenSlow) {
        self.outbox().set_when_slow(when_slow);
    }

    /// Starts the close handshake: what is in the outbox is still sent, then a close frame, and nothing after it. Does
    /// not wait; for that, see [`closed`](Self::closed). Returns whether this call closed the connection: `false` if it
    /// was already closing or over.
    ///
    /// The handler receives no more messages. `on_disconnect` runs when the peer has answered, or when its
    /// [time](prism_core::Config::close_timeout) for that is over.
    ///
    /// A reason of more than 123 bytes is truncated at a character boundary. With [`CloseCode::NO_STATUS`] no reason is
    /// sent (RFC 6455 §5.5.1).
    pub fn close(&self, code: CloseCode, reason: &str) -> bool {
        self.outbox().close(code, reason)
    }

    /// Ends the connection at once, without a close frame. What is in the outbox is lost. The peer sees its connection
    /// end or be reset (1006).
    ///
    /// The handler receives no more messages. `on_disconnect` runs with [`Failure::Aborted`](crate::Failure::Aborted)
    /// when the running call of the handler has returned. If the connection is already over, the reason for its end
    /// does not change, but what is still unwritten (such as the answer to a close frame) is lost.
    ///
    /// When this returns, the [`on_end`](Self::on_end) hooks have run, unless another thread is running them at this
    /// moment. So do not hold a lock that they need.
    ///
    /// Prefer [`close`](Self::close) for peers that behave: it gives them time to answer, and more time if they read
    /// slowly.
    ///
    /// ```no_run
    /// # use prism_driver::{CloseCode, Connection};
    /// fn ban(connection: &Connection) {
    ///     connection.close(CloseCode::POLICY_VIOLATION, "banned");
    ///     if connection.buffered() > 1024 {
    ///         connection.abort(); // do not keep what the peer does not read
    ///     }
    /// }
    /// ```
    pub fn abort(&self) {
        self.outbox().cut(Cut::Abort);
    }

    /// Returns how many bytes are waiting to be sent. [Compressed](crate::Options::compression) messages count as they
    /// are sent.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.outbox().buffered()
    }

    /// Returns how many bytes of what was sent have not been written to the transport. While the connection is open,
    /// they are [waiting](Self::buffered). Once it is over, they are lost.
    ///
    /// They are counted as they are sent, with the heads of their frames, and a few may belong to a pong or a close
    /// frame. Zero does not mean that all has arrived: bytes that the transport has taken, which may be megabytes, are
    /// lost as well if the network or the peer fails. With TLS, up to 48 KiB of those are still in this process,
    /// encrypted. Only an answer of the peer shows what has arrived.
    ///
    /// In `on_disconnect`, some of the bytes may still be written, if the peer has closed, or ended its side of the
    /// transport, and still reads.
    #[must_use]
    pub fn unwritten(&self) -> u64 {
        self.outbox().unwritten()
    }

    /// Returns whether the connection is open and its outbox holds at least as many bytes as the [high-water
    /// mark](crate::Options::high_water_mark). Then [`send`](Self::send) waits, unless the connection has another
    /// [policy](crate::WhenSlow).
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.outbox().is_full()
    }

    /// Returns how many messages the peer has missed because it did not keep up. These are the messages that
    /// [`try_send`](Self::try_send) refused as [full](TrySendError::Full), and those that were dropped by the
    /// connection's [policy](crate::WhenSlow).
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.outbox().missed()
    }

    /// Returns whether the connection is neither closing nor over. Its outbox may still be full.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.outbox().is_open()
    }

    /// Waits until the connection is over: closed by both sides, or failed. The [`on_end`](Self::on_end) hooks have run
    /// then, but `on_disconnect` may not have. Cancel-safe.
    ///
    /// # In a handler
    ///
    /// A handler can wait for this after [`close`](Self::close), but always waits for the whole [close
    /// timeout](prism_core::Config::close_timeout), because nothing is read while a handler runs, not even the peer's
    /// answer. What the peer has sent by then still determines the reason that `on_disconnect` receives.
    ///
    /// Without a close, a handler waits for as long as the peer stays, because the peer's close frame is not read
    /// either. An [`on_end`](Self::on_end) hook that blocks its thread on this never returns.
    pub async fn closed(&self) {
        self.outbox().ended().await;
    }

    /// Runs `hook` once, when the connection is over, before `on_disconnect`. It also runs after a panic of the
    /// handler, and if the connection's task is dropped. If the connection is already over, the hook runs before this
    /// returns.
    ///
    /// Use it for what must not outlive the connection, such as its entry in a map. The hook runs in the task or thread
    /// that ends the connection, so it should be quick. A panic in it has no effect. A hook cannot be removed: register
    /// one per connection, not one per operation.
    pub fn on_end(&self, hook: impl FnOnce() + Send + 'static) {
        self.outbox().on_end(hook);
    }

    /// Counts the unsent bytes in a budget until nothing is unsent. To be called when the transport takes no more.
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

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id())
            .field("peer_addr", &self.peer_addr())
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
