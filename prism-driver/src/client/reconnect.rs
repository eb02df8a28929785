//! [`Reconnect`]: a client that opens another connection when one has ended.
//!
//! ```text
//!                      ┌───────────── may succeed later, after a delay ─────────────┐
//!                      ▼                                                            │
//!   before_each ──► connect ──► connection: on_connect ... on_disconnect ──► worth another?
//!                      │                                                            │ no
//!                      └── will never succeed ──────────────────────────────────────┴──► GaveUp
//! ```

use std::{fmt, time::Duration};

use crate::{
    client::{
        Client,
        reconnect::{
            backoff::Attempts,
            verdict::{asked_delay, is_worth_another, may_succeed_later},
        },
    },
    error::{Disconnect, connect::ConnectError},
    handler::connection_handler::ConnectionHandler,
    runtime::{Network, random::random_bytes},
    session::rate_limit::Unlimited,
};

pub(crate) mod backoff;
pub(crate) mod link;
mod verdict;

pub use self::{backoff::Backoff, link::Link};

/// A client that opens another connection when one has ended, until that makes no sense any more.
///
/// ```no_run
/// # use prism_driver::{Client, ConnectError, Handler, Network, Reconnect};
/// async fn follow<N: Network + Default>(feed: impl Handler + Clone) -> Result<(), ConnectError> {
///     let client = Client::<N>::new("ws://feed.example/v1")?;
///     let reason = Reconnect::new(client).run(|| feed.clone()).await;
///     println!("{reason}");
///     Ok(())
/// }
/// ```
///
/// Each connection is one of its own: its handler hears `on_connect`, where it can subscribe again, and `on_disconnect`.
/// Nothing is sent again by itself.
///
/// # When it gives up
///
/// An attempt is repeated if the server cannot be reached, does not answer in time, or refuses with 408, 425, 429, 500,
/// 502, 503 or 504. A connection is replaced if it fails, or if the server closes it with 1001, 1006, 1011, 1012, 1013
/// or 1014. Everything else is final: another status, an address or certificate that is wrong, another close code, or a
/// close by this side. [`judge`](Self::judge) changes that.
pub struct Reconnect<N> {
    client: Client<N>,
    attempts: Attempts,
    link: Link,
    on_retry: Option<Box<dyn FnMut(&Retry<'_>) + Send>>,
    judge: Option<Box<dyn FnMut(&Ended) -> Option<bool> + Send>>,
}

/// What a [`Reconnect`] is about to do, for [`on_retry`](Reconnect::on_retry).
#[derive(Debug)]
#[non_exhaustive]
pub struct Retry<'a> {
    /// The number of the attempt since the last connection that lived, from 1.
    pub attempt: u32,
    /// How long it waits before that.
    pub delay: Duration,
    /// What has ended.
    pub reason: &'a Ended,
}

/// What ended: an attempt to connect, or a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended {
    /// No connection could be opened.
    Attempt(ConnectError),
    /// A connection has ended.
    Connection(Disconnect),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempt(error) => fmt::Display::fmt(error, f),
            Self::Connection(reason) => fmt::Display::fmt(reason, f),
        }
    }
}

impl<N: Network> Reconnect<N> {
    /// Creates a client that connects as this one does, again and again.
    #[must_use]
    pub fn new(client: Client<N>) -> Self {
        Self {
            client,
            attempts: Attempts::new(Backoff::default()),
            link: Link::new(),
            on_retry: None,
            judge: None,
        }
    }

    /// Sets how long to wait between attempts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.attempts = Attempts::new(backoff);
        self
    }

    /// Returns a handle to send with over whichever connection there is.
    #[must_use]
    pub fn link(&self) -> Link {
        self.link.clone()
    }

    /// Calls a function before each delay, for instance to log it.
    #[must_use]
    pub fn on_retry(mut self, on_retry: impl FnMut(&Retry<'_>) + Send + 'static) -> Self {
        self.on_retry = Some(Box::new(on_retry));
        self
    }

    /// Decides which ends are final: `judge` returns `Some(true)` to go on, `Some(false)` to give up, and `None` to do
    /// what is usual. An earlier call is replaced.
    #[must_use]
    pub fn judge(mut self, judge: impl FnMut(&Ended) -> Option<bool> + Send + 'static) -> Self {
        self.judge = Some(Box::new(judge));
        self
    }

    /// Runs a new handler on each connection. Returns what ended at last, when there is no point in another attempt.
    ///
    /// The connection lives in this future, as in [`Client::run`].
    pub async fn run<H: ConnectionHandler>(mut self, mut handler: impl FnMut() -> H) -> Ended {
        let runtime = self.client.runtime.clone();
        loop {
            let ended = match self.client.dial().await {
                Err(error) => Ended::Attempt(error),
                Ok(session) => {
                    let opened_at = runtime.now();
                    self.link.connect((*session.connection).clone());
                    let timer = self.client.timer();
                    let reason = session.run(timer, Unlimited, handler(), |_, reason| reason).await;
                    self.link.disconnect();
                    self.attempts.ended_after(runtime.now().saturating_sub(opened_at));
                    Ended::Connection(reason)
                }
            };
            if !self.goes_on_after(&ended) {
                self.link.end();
                return ended;
            }
            let delay = self.delay_after(&ended);
            runtime.sleep(delay).await;
        }
    }

    fn goes_on_after(&mut self, ended: &Ended) -> bool {
        let judged = self.judge.as_mut().and_then(|judge| judge(ended));
        judged.unwrap_or_else(|| match ended {
            Ended::Attempt(error) => may_succeed_later(error),
            Ended::Connection(reason) => is_worth_another(reason),
        })
    }

    fn delay_after(&mut self, ended: &Ended) -> Duration {
        let asked = match ended {
            Ended::Attempt(error) => asked_delay(error),
            Ended::Connection(_) => None,
        };
        let delay = self.attempts.next_delay(u64::from_ne_bytes(random_bytes()), asked);
        if let Some(on_retry) = &mut self.on_retry {
            on_retry(&Retry { attempt: self.attempts.failed(), delay, reason: ended });
        }
        delay
    }
}

/// Tells the handles that there will be no other connection.
impl<N> Drop for Reconnect<N> {
    fn drop(&mut self) {
        self.link.end();
    }
}

impl<N> fmt::Debug for Reconnect<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect").field("attempts", &self.attempts).finish_non_exhaustive()
    }
}
