//! [`Registry`]: the connections of a server, and how each of them ended. Their timers are in
//! [`timers`](crate::server::timers).

use std::sync::{Mutex, MutexGuard, PoisonError};

use prism_core::CloseCode;
use slab::Slab;

use crate::{
    connection::Connection,
    outbox::state::Cut,
    runtime::notice::Notice,
    server::stats::{ServerStats, Shutdown},
    session::moment::Moment,
};

/// The connections of a server, those in their handshake included.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    inner: Mutex<Inner>,
    /// A slot has been given up.
    left: Notice,
    /// The timers have to be looked at earlier than planned, or never again.
    pub(super) timers: Notice,
    stats: ServerStats,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) entries: Slab<Entry>,
    /// How many of the entries have a connection.
    open: usize,
    /// When the timers have to be looked at.
    pub(super) due: Moment,
    /// How the connections have ended since the server began to shut down.
    closing: Option<Shutdown>,
    /// No further connection will be accepted.
    pub(super) last: bool,
}

#[derive(Debug)]
pub(super) struct Entry {
    /// `None` during the handshake.
    pub(super) connection: Option<Connection>,
    /// When the timer fires; the end of time for never.
    pub(super) due: Moment,
}

impl Registry {
    pub(crate) fn new(stats: ServerStats) -> Self {
        Self { stats, ..Self::default() }
    }

    /// Adds an entry, and returns its key.
    pub(crate) fn insert(&self) -> usize {
        self.lock().entries.insert(Entry { connection: None, due: Moment::END })
    }

    /// Notes that a handshake is done. The connection is closed at once if the server is shutting down.
    pub(crate) fn opened(&self, key: usize, connection: &Connection) {
        let mut inner = self.lock();
        inner.entries[key].connection = Some(connection.clone());
        inner.open += 1;
        self.stats.opened();
        let closing = inner.closing.is_some();
        drop(inner);
        if closing {
            send_going_away(connection);
        }
    }

    /// Notes that a connection has ended, well or not.
    pub(crate) fn closed(&self, key: usize, well: bool) {
        let mut inner = self.lock();
        let connection = inner.entries[key].connection.take();
        inner.count_end(well);
        drop(inner);
        connection.iter().for_each(|connection| self.count_closed(connection));
    }

    /// Removes an entry.
    pub(crate) fn remove(&self, key: usize) {
        let mut inner = self.lock();
        let entry = inner.entries.remove(key);
        if entry.connection.is_some() {
            // Its task was dropped.
            inner.count_end(false);
        }
        let last = inner.last;
        drop(inner);
        entry.connection.iter().for_each(|connection| self.count_closed(connection));
        drop(entry);
        self.left.notify(usize::MAX);
        if last {
            self.timers.notify(1);
        }
    }

    /// Declares that no further connection will be accepted, so that the timers' task ends when this is empty.
    pub(crate) fn expect_no_more(&self) {
        self.lock().last = true;
        self.timers.notify(1);
    }

    /// Returns when fewer than `count` connections are open.
    pub(crate) async fn until_fewer_open_than(&self, count: usize) {
        self.until(|| self.lock().open < count).await;
    }

    /// Returns when fewer than `count` entries are left, or no entry.
    pub(crate) async fn until_fewer_than(&self, count: usize) {
        self.until(|| self.len() < count.max(1)).await;
    }

    /// Returns when `done` returns true. It is asked whenever an entry has been removed.
    pub(crate) async fn until(&self, done: impl Fn() -> bool) {
        self.left.wait_until(done).await;
    }

    /// Returns the open connections. Those that are opened later are closed at once.
    pub(crate) fn begin_shutdown(&self) -> Vec<Connection> {
        let mut inner = self.lock();
        inner.closing = Some(Shutdown::default());
        inner.connections().cloned().collect()
    }

    /// Ends the connections that are still open. Returns how all have ended since the shutdown began.
    pub(crate) fn cut_all(&self) -> Shutdown {
        let inner = self.lock();
        let connections: Vec<_> = inner.connections().cloned().collect();
        let ended = inner.closing.unwrap_or_default();
        drop(inner);
        connections.iter().for_each(|connection| connection.outbox().cut(Cut::Shutdown));
        Shutdown { cut: connections.len(), ..ended }
    }

    /// Returns the number of entries: open connections, handshakes, and one for the next to be accepted.
    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    fn count_closed(&self, connection: &Connection) {
        self.stats.closed(connection.outbox().is_stuck());
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes a connection of a server that shuts down.
pub(crate) fn send_going_away(connection: &Connection) {
    connection.close(CloseCode::GOING_AWAY, "the server is shutting down");
}

impl Default for Inner {
    fn default() -> Self {
        Self { entries: Slab::new(), open: 0, due: Moment::END, closing: None, last: false }
    }
}

impl Inner {
    /// Counts a connection that has ended, well or not.
    const fn count_end(&mut self, well: bool) {
        self.open -= 1;
        match &mut self.closing {
            Some(ended) if well => ended.closed += 1,
            Some(ended) => ended.failed += 1,
            None => {}
        }
    }

    fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.entries.iter().filter_map(|(_, entry)| entry.connection.as_ref())
    }
}
