//! [`ServerStats`]: what a server has done so far, in numbers.

use std::{
    iter::Sum,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// What a server has done so far, in numbers; see [`Server::stats`](crate::Server::stats). Clones
/// count the same server, for as long as you like. Counting costs nothing but a few additions when a
/// connection comes and goes.
///
/// ```no_run
/// # async fn example(server: prism_driver::Server<impl prism_driver::Network>) {
/// let stats = server.stats();
/// let page = move |_: &prism_driver::Request<'_>| {
///     let counts = stats.counts();
///     prism_driver::Reply::text(200, format!("open {}\naccepted {}\n", counts.open, counts.accepted))
/// };
/// server.get("/metrics", page).serve().await;
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ServerStats {
    tally: Arc<Tally>,
}

/// Numbers that only grow, but for one: what is there now is the difference of two.
#[derive(Debug, Default)]
struct Tally {
    accepted: AtomicU64,
    opened: AtomicU64,
    closed: AtomicU64,
    stuck: AtomicU64,
    unstuck: AtomicU64,
    incomplete: AtomicU64,
    evicted: AtomicU64,
    /// What is there now.
    buffered: AtomicU64,
    unopened: [AtomicU64; Unopened::ALL],
}

/// How it ended with a peer that got no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// It got a page, or what OPTIONS tells, which is all it wanted.
    Page,
    BadRequest,
    Forbidden,
    Unauthorized,
    NotFound,
    TimedOut,
    Evicted,
    Left,
    Failed,
}

impl Unopened {
    const ALL: usize = Self::Failed as usize + 1;
}

/// What [`ServerStats`] have counted, at one moment. A connection that is between two numbers at that
/// moment may be missing or there twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// How many transports were accepted. Each of them is in one of the numbers below, besides
    /// [`incomplete`](Self::incomplete).
    pub accepted: u64,
    /// How many of them are in their handshake now.
    pub in_handshake: u64,
    /// How many connections are open now: a handler has them, or is about to.
    pub open: u64,
    /// How many of these are over but for a handler that has not returned: the transport is gone, and
    /// [`Connection::closed`](crate::Connection::closed) has. Each keeps its place among
    /// [`max_connections`](crate::ServerOptions::max_connections) until its handler returns, so a number that
    /// only grows shows a handler that hangs.
    pub stuck: u64,
    /// How many connections were open, and are not any more, however they ended.
    pub closed: u64,
    /// How many connections were aborted because the server held [too
    /// much](crate::ServerOptions::max_buffered) for peers that did not take it. Once their handlers have
    /// returned they are in the number of [closed](Self::closed) ones as well.
    pub evicted: u64,
    /// How many bytes of memory are held now for peers that do not take what is sent to them; see
    /// [`ServerOptions::max_buffered`](crate::ServerOptions::max_buffered). Zero while every peer keeps up.
    pub buffered: u64,
    /// How many got a page, or the answer to OPTIONS.
    pub pages: u64,
    /// How many of the pages and refusals were not sent whole: the peer took them [too
    /// slowly](crate::Options::min_write_rate) or left, or they had to [make
    /// way](crate::ServerOptions::max_pages), or were cut at the end of a shutdown. They are in the numbers
    /// of pages and refusals as well.
    pub incomplete: u64,
    /// How many got neither, and why.
    pub refused: Refused,
}

/// How many peers a server refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// What they sent was no good request: 400, 405, 426, 431, 505.
    pub bad_request: u64,
    /// Their [origin](crate::Server::origins) is not allowed: 403.
    pub forbidden_origin: u64,
    /// They were not [authorised](crate::Server::authorize), whatever they were answered.
    pub unauthorized: u64,
    /// Nothing is where they asked for something: 404.
    pub not_found: u64,
    /// Their request did not come within the [handshake
    /// timeout](crate::Options::handshake_timeout): 408.
    pub timed_out: u64,
    /// They had to make way for others (see [`ServerOptions::max_handshakes`](crate::ServerOptions::max_handshakes)),
    /// or the server shut down. They got no answer.
    pub evicted: u64,
    /// They left, or the transport failed, before there was a request.
    pub left: u64,
    /// A page or the authorisation panicked: 500.
    pub failed: u64,
}

/// What became of the connections that there were when a server was shut down: each is in one of
/// these numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// How many ended well within the grace time: both sides had closed.
    pub closed: usize,
    /// How many ended otherwise within the grace time ([`Disconnect::Failed`](crate::Disconnect::Failed)): the peer did not
    /// answer the close frame in time, or was gone without an answer, or the handler panicked or aborted it.
    pub failed: usize,
    /// How many had to be cut when the grace time was over.
    pub cut: usize,
}

/// Of several servers, all in all.
impl Sum for Shutdown {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            closed: sum.closed + one.closed,
            failed: sum.failed + one.failed,
            cut: sum.cut + one.cut,
        })
    }
}

impl Refused {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.bad_request
            + self.forbidden_origin
            + self.unauthorized
            + self.not_found
            + self.timed_out
            + self.evicted
            + self.left
            + self.failed
    }
}

impl ServerStats {
    /// The numbers, now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let unopened = |why: Unopened| self.tally.unopened[why as usize].load(Relaxed);
        let refused = Refused {
            bad_request: unopened(Unopened::BadRequest),
            forbidden_origin: unopened(Unopened::Forbidden),
            unauthorized: unopened(Unopened::Unauthorized),
            not_found: unopened(Unopened::NotFound),
            timed_out: unopened(Unopened::TimedOut),
            evicted: unopened(Unopened::Evicted),
            left: unopened(Unopened::Left),
            failed: unopened(Unopened::Failed),
        };
        let pages = unopened(Unopened::Page);
        let unstuck = self.tally.unstuck.load(Relaxed);
        let stuck = self.tally.stuck.load(Relaxed);
        let closed = self.tally.closed.load(Relaxed);
        let opened = self.tally.opened.load(Relaxed);
        let accepted = self.tally.accepted.load(Relaxed);
        let greeted = opened + pages + refused.total();
        Counts {
            accepted,
            // They are read one after the other, and by themselves they have no order.
            in_handshake: accepted.saturating_sub(greeted),
            open: opened.saturating_sub(closed),
            stuck: stuck.saturating_sub(unstuck),
            closed,
            evicted: self.tally.evicted.load(Relaxed),
            buffered: self.buffered(),
            pages,
            incomplete: self.tally.incomplete.load(Relaxed),
            refused,
        }
    }

    pub(crate) fn accepted(&self) {
        self.tally.accepted.fetch_add(1, Relaxed);
    }

    pub(crate) fn opened(&self) {
        self.tally.opened.fetch_add(1, Relaxed);
    }

    /// A connection is over; `stuck`: it was counted as such before.
    pub(crate) fn closed(&self, stuck: bool) {
        if stuck {
            self.tally.unstuck.fetch_add(1, Relaxed);
        }
        self.tally.closed.fetch_add(1, Relaxed);
    }

    pub(crate) fn stuck(&self) {
        self.tally.stuck.fetch_add(1, Relaxed);
    }

    /// A page or a refusal could not be sent whole.
    pub(crate) fn incomplete(&self) {
        self.tally.incomplete.fetch_add(1, Relaxed);
    }

    /// A connection had to be aborted, for what is held in all.
    pub(crate) fn evicted(&self) {
        self.tally.evicted.fetch_add(1, Relaxed);
    }

    /// How many bytes are held for peers that do not take them.
    pub(crate) fn buffered(&self) -> u64 {
        self.tally.buffered.load(Relaxed)
    }

    pub(crate) fn set_buffered(&self, bytes: u64) {
        self.tally.buffered.store(bytes, Relaxed);
    }

    pub(crate) fn unopened(&self, why: Unopened) {
        self.tally.unopened[why as usize].fetch_add(1, Relaxed);
    }
}
