//! [`Registry`]: who is connected to a server; how it counts them, and how it says goodbye.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_listener::Event as Notice;
use prism_core::CloseCode;
use slab::Slab;

use crate::{connection::Connection, wait::wait_until};

/// Everybody who is connected or in a handshake.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    inner: Mutex<Inner>,
    /// Somebody has left.
    left: Notice,
    /// The server shuts down.
    closing: Notice,
}

#[derive(Debug, Default)]
struct Inner {
    /// `None` for those still in a handshake.
    seats: Slab<Option<Connection>>,
    closing: bool,
}

/// A place in the registry, given up when dropped.
pub(crate) struct Seat {
    registry: Arc<Registry>,
    key: usize,
}

impl Registry {
    /// Takes a seat when fewer than `most` are taken.
    pub(crate) async fn seat(self: &Arc<Self>, most: usize) -> Seat {
        self.until_at_most(most.saturating_sub(1)).await;
        let key = self.lock().seats.insert(None);
        Seat { registry: self.clone(), key }
    }

    /// Returns when no more than `count` are left.
    pub(crate) async fn until_at_most(&self, count: usize) {
        wait_until(&self.left, || self.len() <= count).await;
    }

    /// Gives handshakes up and closes every connection; how many connections that are.
    pub(crate) fn close_all(&self) -> usize {
        let mut inner = self.lock();
        inner.closing = true;
        let connections: Vec<_> = inner.connections().cloned().collect();
        drop(inner);
        self.closing.notify(usize::MAX);
        connections.iter().for_each(close);
        connections.len()
    }

    /// Ends what has not closed; how many that were.
    pub(crate) fn cut_all(&self) -> usize {
        let connections: Vec<_> = self.lock().connections().cloned().collect();
        connections.iter().for_each(|connection| connection.outbox().cut());
        connections.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().seats.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.seats.iter().filter_map(|(_, connection)| connection.as_ref())
    }
}

impl Seat {
    /// Returns when the server shuts down.
    pub(crate) async fn closing(&self) {
        wait_until(&self.registry.closing, || self.registry.lock().closing).await;
    }

    /// The handshake is done.
    pub(crate) fn sit(&self, connection: &Connection) {
        let mut inner = self.registry.lock();
        inner.seats[self.key] = Some(connection.clone());
        let closing = inner.closing;
        drop(inner);
        if closing {
            close(connection);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.registry.lock().seats.remove(self.key);
        self.registry.left.notify(usize::MAX);
    }
}

fn close(connection: &Connection) {
    // One that is closing already needs no more.
    let _ = connection.close(CloseCode::GOING_AWAY, "the server is shutting down");
}
