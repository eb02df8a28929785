//! [`Reconnect`]: a client that opens another connection when one has ended.
//!
//! ```text
//!      ┌──────────────────────────── after a delay ────────────────────────────┐
//!      ▼                                                                       │ yes
//!   before_each ──► connect ──► on_connect ... on_disconnect ──► may another attempt succeed?
//!      │               │                                               ▲       │ no
//!      └───────────────┴────────────────── failed ─────────────────────┘       ▼
//!                                                                          giving up
//! ```
//!
//! `run` and `next` differ only in what they do with a connection. Where they are is in the [`Phase`], not in a future,
//! so that a `next` which is dropped loses nothing.

use std::{error::Error, fmt, mem, pin::Pin, time::Duration};

use crate::{
    client::{
        Client,
        reconnect::{
            backoff::{Attempts, Backoff},
            ended::Ended,
            handle::ReconnectHandle,
            hooks::{Hooks, Retry, unprepared},
            lent_handler::{LentHandler, Loan, Returned},
            retry_after::retry_after,
        },
    },
    connection::Connection,
    handler::connection_handler::ConnectionHandler,
    runtime::{Network, random::random_bytes},
    session::{Session, rate_limit::Unlimited},
    socket::{Inbox, Socket},
};

pub(crate) mod backoff;
mod callback;
pub(crate) mod ended;
pub(crate) mod handle;
pub(crate) mod hooks;
mod lent_handler;
mod retry_after;

/// A client that opens another connection when one has ended, as long as [another attempt may
/// succeed](Ended::is_transient).
///
/// A single handler serves all connections, one after the other:
///
/// ```no_run
/// # use prism_driver::{Client, ConnectError, Connection, ConnectionHandler, Disconnect, Message, Network, Reconnect};
/// #[derive(Default)]
/// struct Feed {
///     /// The number of the last update: it lives on over all connections.
///     last: u64,
/// }
///
/// impl ConnectionHandler for Feed {
///     async fn on_connect(&mut self, connection: &Connection) {
///         let _ = connection.send(format!("subscribe after {}", self.last)).await;
///     }
///
///     async fn on_message(&mut self, _: &Connection, message: Message<'_>) {
///         self.last += 1;
///         println!("{message:?}");
///     }
///
///     async fn on_disconnect(&mut self, _: &Connection, reason: Disconnect) {
///         println!("an outage begins: {reason}");
///     }
/// }
///
/// async fn follow<N: Network + Default>() -> Result<(), ConnectError> {
///     let reconnect = Reconnect::new(Client::<N>::new("ws://feed.example/v1")?)
///         .on_retry(|retry| println!("attempt {} in {:?}", retry.attempt, retry.delay));
///     let reason = reconnect.run(Feed::default()).await;
///     println!("gave up: {reason}");
///     Ok(())
/// }
/// ```
///
/// Instead of [running](Self::run) a handler, you can ask for the [`next`](Self::next) [`Socket`]. To send from
/// elsewhere, and to close for good, take a [`handle`](Self::handle).
///
/// Nothing is sent again by itself: `on_connect` has to restore what the server knew of the last connection.
/// [The guide to reconnecting](crate::docs::reconnecting) explains what an outage looks like, and what is lost.
///
/// # When it waits
///
/// The first attempt begins at once. After that, [`Backoff`] says how long to wait. A refusal with `Retry-After`, a
/// number of seconds or a date, by the server or by the proxy, extends the delay by that long, but by no more than
/// [`Backoff::most`].
pub struct Reconnect<N> {
    client: Client<N>,
    attempts: Attempts,
    handle: ReconnectHandle,
    hooks: Hooks<N>,
    phase: Phase<N>,
}

enum Phase<N> {
    /// The next attempt is due at this time.
    Waiting {
        until: Duration,
    },
    Connecting(Pin<Box<dyn Future<Output = Result<Opened<N>, Ended>> + Send>>),
    /// [`Reconnect::next`] has returned a socket, whose connection has not ended yet.
    Connected(Loan<Inbox>),
    /// There will be no other connection, for this reason, which [`Reconnect::run`] returns.
    Over(Ended),
}

/// A connection that has been opened, and the client whose settings it has.
type Opened<N> = (Client<N>, Session);

impl<N: Network> Reconnect<N> {
    /// Creates a client that connects as the given one does, again and again.
    #[must_use]
    pub fn new(client: Client<N>) -> Self {
        Self {
            client,
            attempts: Attempts::new(Backoff::default()),
            handle: ReconnectHandle::new(),
            hooks: Hooks::new(),
            phase: Phase::Waiting { until: Duration::ZERO },
        }
    }

    /// Sets how long to wait between attempts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.attempts = Attempts::new(backoff);
        self
    }

    /// Calls a function before each attempt, for example to add fresh credentials. It receives the client that was
    /// given to [`new`](Self::new), without what it added for earlier attempts, and returns the client to connect with.
    ///
    /// If it fails, so does the attempt. A [`ConnectError`](crate::ConnectError), such as that of [`Client::header`],
    /// counts like any failure to connect, and may be final. After another error, there is a next attempt.
    /// [`retry_if`](Self::retry_if) can decide otherwise: the error is in [`Ended::BeforeEach`]. There is no limit on
    /// the function's time.
    ///
    /// ```no_run
    /// # use prism_driver::{Client, Network, Reconnect};
    /// # async fn fresh_token() -> String { String::new() }
    /// # fn example<N: Network>(client: Client<N>) {
    /// let reconnect = Reconnect::new(client).before_each(async |client| {
    ///     client.header("Authorization", &format!("Bearer {}", fresh_token().await))
    /// });
    /// # }
    /// ```
    #[must_use]
    pub fn before_each<F, E>(
        mut self,
        mut prepare: impl FnMut(Client<N>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Client<N>, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.hooks.before_each = Box::new(move |client| {
            let prepared = prepare(client);
            Box::pin(async move { prepared.await.map_err(unprepared) })
        });
        self
    }

    /// Decides whether to go on after an end. By default, [`Ended::is_transient`] decides. It is not asked about a
    /// close through the [handle](ReconnectHandle::close), which is always final.
    ///
    /// ```no_run
    /// # use prism_driver::{Client, Network, Reconnect};
    /// # fn example<N: Network>(client: Client<N>) {
    /// /// From 4000 on, codes belong to the application.
    /// const SERVER_MOVED: u16 = 4001;
    ///
    /// let reconnect = Reconnect::new(client)
    ///     .retry_if(|ended| ended.is_transient() || ended.close_code() == Some(SERVER_MOVED));
    /// # }
    /// ```
    #[must_use]
    pub fn retry_if(mut self, decide: impl FnMut(&Ended) -> bool + Send + 'static) -> Self {
        self.hooks.retry_if = Box::new(decide);
        self
    }

    /// Calls a function before each delay, for example to log it.
    #[must_use]
    pub fn on_retry(mut self, on_retry: impl FnMut(&Retry<'_>) + Send + 'static) -> Self {
        self.hooks.on_retry = Box::new(on_retry);
        self
    }

    /// Calls a function once, when there will be no other connection, with what ended last. [`run`](Self::run) returns
    /// the same.
    #[must_use]
    pub fn on_giving_up(mut self, on_giving_up: impl FnMut(&Ended) + Send + 'static) -> Self {
        self.hooks.on_giving_up = Box::new(on_giving_up);
        self
    }

    /// Returns a handle, to send over whichever connection there is, and to close for good.
    #[must_use]
    pub fn handle(&self) -> ReconnectHandle {
        self.handle.clone()
    }

    /// Runs the handler on each connection, one after the other. Returns what ended last, when there will be no other
    /// connection.
    ///
    /// [The contract](crate#the-contract) holds for each connection: its `on_connect` runs first, and its
    /// `on_disconnect` last, before the next connection is opened. The handler lives on in between, with its fields:
    /// there is no new one for each connection.
    ///
    /// The connections live in this future, as in [`Client::run`]. To end it, [close](ReconnectHandle::close) it by the
    /// handle. If the future is dropped instead, a running call of the handler is dropped before it completes,
    /// `on_disconnect` does not run, and the server gets no close frame.
    pub async fn run(mut self, handler: impl ConnectionHandler) -> Ended {
        let mut handler = handler;
        while let Some((client, session)) = self.open().await {
            let (lent, loan) = self.lend(handler, &session.connection);
            session.run(client.timer(), Unlimited, lent, |_, _| ()).await;
            let returned = loan.end().await;
            handler = self.connection_ended(returned);
        }
        let Phase::Over(ended) = mem::replace(&mut self.phase, Phase::Over(Ended::Closed(None)))
        else {
            unreachable!("`open` returns `None` only when it is over");
        };
        ended
    }

    /// Waits for the next connection, and returns it as a [`Socket`]; `None` if there will be no other. The delays and
    /// the reasons to give up are those of [`run`](Self::run).
    ///
    /// ```no_run
    /// # use prism_driver::{Network, Reconnect};
    /// # async fn example<N: Network>(mut reconnect: Reconnect<N>) {
    /// while let Some(socket) = reconnect.next().await {
    ///     let _ = socket.send("subscribe").await; // if it fails, so does `recv`
    ///     while let Ok(message) = socket.recv().await {
    ///         println!("{message:?}");
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// First waits for the end of the connection that it returned last. To close that connection, or to drop its socket
    /// while it is open, is a close by this side, and thus final by default.
    ///
    /// Cancel-safe: an attempt in progress is kept, and the next call goes on with it. Between calls, it does not go
    /// on, and its timeouts are noticed only in the next call. If this is dropped, the last socket stays open.
    pub async fn next(&mut self) -> Option<Socket> {
        let (client, session) = self.open().await?;
        let connection = Connection::clone(&session.connection);
        let (socket, inbox) = Socket::new(connection);
        let (lent, loan) = self.lend(inbox, &session.connection);
        self.phase = Phase::Connected(loan);
        client.runtime.spawn(session.run(client.timer(), Unlimited, lent, |_, _| ()));
        Some(socket)
    }

    /// Waits for the next connection. Returns `None` if there will be no other. Cancel-safe.
    async fn open(&mut self) -> Option<Opened<N>> {
        loop {
            match &mut self.phase {
                Phase::Waiting { until } => {
                    let runtime = &self.client.runtime;
                    let delay = until.saturating_sub(runtime.now());
                    let waiting = async {
                        if !delay.is_zero() {
                            runtime.sleep(delay).await;
                        }
                    };
                    match self.handle.unless_over(waiting).await {
                        Some(()) => self.begin_attempt(),
                        None => self.give_up(Ended::Closed(None)),
                    }
                }
                Phase::Connecting(attempt) => match self.handle.unless_over(attempt).await {
                    Some(Ok(opened)) => {
                        self.phase = Phase::Waiting { until: Duration::ZERO };
                        return Some(opened);
                    }
                    Some(Err(ended)) => self.end(ended, 0),
                    None => self.give_up(Ended::Closed(None)),
                },
                Phase::Connected(loan) => {
                    let returned = loan.end().await;
                    drop(self.connection_ended(returned));
                }
                Phase::Over(_) => return None,
            }
        }
    }

    fn begin_attempt(&mut self) {
        let prepared = (self.hooks.before_each)(self.client.clone());
        let prepared = self.handle.callback(prepared);
        self.phase = Phase::Connecting(Box::pin(async move {
            let client = prepared.await?;
            let session = client.dial().await.map_err(Ended::Attempt)?;
            Ok((client, session))
        }));
    }

    /// Lends a handler to a connection.
    fn lend<H: ConnectionHandler>(
        &self,
        handler: H,
        connection: &Connection,
    ) -> (LentHandler<H, N>, Loan<H>) {
        let (runtime, handle) = (self.client.runtime.clone(), self.handle.clone());
        LentHandler::new(handler, connection, runtime, handle)
    }

    /// Goes on after the end of a connection, or gives up. Returns the handler.
    fn connection_ended<H>(&mut self, returned: Returned<H>) -> H {
        let Returned { handler, life, unwritten } = returned;
        self.attempts.ended_after(life.span);
        self.handle.add_unwritten(unwritten);
        self.end(life.ended, unwritten);
        handler
    }

    /// Goes on after an end, or gives up. `unwritten` is how many bytes the connection that has ended had not written.
    fn end(&mut self, ended: Ended, unwritten: u64) {
        if self.handle.is_over() {
            return self.give_up(ended.closed());
        }
        if !(self.hooks.retry_if)(&ended) {
            return self.give_up(ended);
        }
        let asked = ended.refusal().and_then(retry_after);
        let delay = self.attempts.next_delay(u64::from_ne_bytes(random_bytes()), asked);
        self.phase = Phase::Waiting { until: self.client.runtime.now().saturating_add(delay) };
        let attempt = self.attempts.failed();
        (self.hooks.on_retry)(&Retry { attempt, delay, reason: &ended, unwritten });
    }

    fn give_up(&mut self, ended: Ended) {
        self.handle.end();
        (self.hooks.on_giving_up)(&ended);
        self.phase = Phase::Over(ended);
    }
}

/// Tells the handles that there will be no other connection.
impl<N> Drop for Reconnect<N> {
    fn drop(&mut self) {
        self.handle.end();
    }
}

impl<N> fmt::Debug for Reconnect<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect").field("attempts", &self.attempts).finish_non_exhaustive()
    }
}
