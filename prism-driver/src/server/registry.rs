//! [`Registry`]: the table of a server's connections. Their timers are in [`timers`](crate::server::timers).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slab::Slab;

use crate::{
    connection::Connection,
    outbox::state::Cut,
    runtime::notice::Notice,
    server::{
        address_limit::AddressLimit,
        stats::{
            ServerStats, Shutdown,
            ends::{EndKind, FailureKind},
            opened::HttpVersion,
        },
    },
    session::moment::Moment,
};

/// The connections of a server, including those in their handshake.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    inner: Mutex<Inner>,
    /// An entry was removed.
    removed: Notice,
    /// The task of the timers has to wake earlier than planned, or to end.
    pub(super) timers: Notice,
    stats: ServerStats,
    /// Counts the connections of each address, if that is limited.
    address_limit: Option<Arc<AddressLimit>>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) entries: Slab<Entry>,
    /// How many entries have a connection.
    open: usize,
    /// When the task of the timers has to look for due timers.
    pub(super) next_scan: Moment,
    /// During a shutdown: how connections have ended since it began.
    shutdown: Option<Shutdown>,
    /// Whether the connections have been cut.
    is_cut: bool,
    /// Whether no further connection will be accepted.
    pub(super) is_final: bool,
}

/// How far a shutdown is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// There is no shutdown.
    Running,
    /// Connections are being closed.
    Closing,
    /// Connections have been cut.
    Cut,
}

#[derive(Debug)]
pub(super) struct Entry {
    /// `None` during the handshake.
    pub(super) connection: Option<Connection>,
    /// When the timer fires; [`Moment::END`] if it is not set.
    pub(super) due: Moment,
}

impl Registry {
    pub(crate) fn new(stats: ServerStats, address_limit: Option<Arc<AddressLimit>>) -> Self {
        Self { stats, address_limit, ..Self::default() }
    }

    /// Adds an entry, and returns its key.
    pub(crate) fn insert(&self) -> usize {
        self.lock().entries.insert(Entry::PENDING)
    }

    /// Adds an entry, and returns its key, unless there are as many as `limit`. A `limit` of zero counts as one.
    pub(crate) fn try_insert(&self, limit: usize) -> Option<usize> {
        let mut inner = self.lock();
        (inner.entries.len() < limit.max(1)).then(|| inner.entries.insert(Entry::PENDING))
    }

    /// Records that a handshake has succeeded. Returns whether the connection has to be closed at once, or cut.
    #[must_use]
    pub(crate) fn opened(
        &self,
        key: usize,
        connection: &Connection,
        version: HttpVersion,
    ) -> Stage {
        let mut inner = self.lock();
        inner.entries[key].connection = Some(connection.clone());
        inner.open += 1;
        self.stats.opened(version);
        match inner.shutdown {
            _ if inner.is_cut => Stage::Cut,
            Some(_) => Stage::Closing,
            None => Stage::Running,
        }
    }

    /// Records that a connection has ended.
    pub(crate) fn closed(&self, key: usize, end: EndKind) {
        let mut inner = self.lock();
        let connection = inner.entries[key].connection.take();
        inner.count_end(end.is_clean());
        drop(inner);
        connection.iter().for_each(|connection| self.count_closed(connection, end));
    }

    /// Removes an entry.
    pub(crate) fn remove(&self, key: usize) {
        let mut inner = self.lock();
        let entry = inner.entries.remove(key);
        if entry.connection.is_some() {
            // The connection's task was dropped before the connection ended.
            inner.count_end(false);
        }
        let is_final = inner.is_final;
        drop(inner);
        let end = EndKind::Failed(FailureKind::TaskDropped);
        entry.connection.iter().for_each(|connection| self.count_closed(connection, end));
        drop(entry);
        self.removed.notify(usize::MAX);
        if is_final {
            self.timers.notify(1);
        }
    }

    /// Declares that no further connection will be accepted. The task of the timers then ends when the registry is
    /// empty.
    pub(crate) fn expect_no_more(&self) {
        self.lock().is_final = true;
        self.timers.notify(1);
    }

    /// Waits until fewer than `count` connections are open.
    pub(crate) async fn until_fewer_open_than(&self, count: usize) {
        self.until(|| self.lock().open < count).await;
    }

    /// Waits until fewer than `count` entries are left. A `count` of zero counts as one.
    pub(crate) async fn until_fewer_than(&self, count: usize) {
        self.until(|| self.len() < count.max(1)).await;
    }

    /// Waits until `done` returns true. `done` is called at once, and then whenever an entry has been removed.
    pub(crate) async fn until(&self, done: impl Fn() -> bool) {
        self.removed.wait_until(done).await;
    }

    /// Begins a shutdown, and returns the open connections. Connections that open later are closed at once.
    pub(crate) fn begin_shutdown(&self) -> Vec<Connection> {
        let mut inner = self.lock();
        inner.shutdown = Some(Shutdown::default());
        inner.connections().cloned().collect()
    }

    /// Cuts the connections that are still open, and those that open later. Returns how all connections have ended
    /// since the shutdown began.
    pub(crate) fn cut_all(&self) -> Shutdown {
        let mut inner = self.lock();
        inner.is_cut = true;
        let connections: Vec<_> = inner.connections().cloned().collect();
        let ended = inner.shutdown.unwrap_or_default();
        drop(inner);
        connections.iter().for_each(|connection| connection.outbox().cut(Cut::Shutdown));
        Shutdown { cut: connections.len(), ..ended }
    }

    /// Returns the number of entries: open connections, handshakes, and one for the next connection to be accepted.
    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    fn count_closed(&self, connection: &Connection, end: EndKind) {
        self.stats.closed(connection.outbox().is_stuck(), end);
        if let (Some(limit), Some(addr)) = (&self.address_limit, connection.peer_addr()) {
            limit.leave(addr.ip());
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// A connection in its handshake.
    const PENDING: Self = Self { connection: None, due: Moment::END };
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            entries: Slab::new(),
            open: 0,
            next_scan: Moment::END,
            shutdown: None,
            is_cut: false,
            is_final: false,
        }
    }
}

impl Inner {
    /// Counts a connection that has ended, cleanly or not.
    const fn count_end(&mut self, cleanly: bool) {
        self.open -= 1;
        match &mut self.shutdown {
            Some(ended) if cleanly => ended.closed += 1,
            Some(ended) => ended.failed += 1,
            None => {}
        }
    }

    fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.entries.iter().filter_map(|(_, entry)| entry.connection.as_ref())
    }
}
