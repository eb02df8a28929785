//! [`Registry`]: who is connected to a server; how it counts them, and how it says goodbye.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use slab::Slab;

use crate::{
    connection::Connection,
    outbox::state::Cut,
    runtime::{Runtime, notice::Notice, until},
    server::{
        shutdown::tell,
        stats::{ServerStats, Shutdown},
    },
    session::moment::Moment,
};

/// How long alarms wait for others, so that many of them cost one look at all.
const TOGETHER: Duration = Duration::from_millis(25);

/// Everybody who is connected or in a handshake.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    inner: Mutex<Inner>,
    /// Somebody has left.
    left: Notice,
    /// The watch has to look earlier than it knows, or never again.
    watch: Notice,
    stats: ServerStats,
}

#[derive(Debug)]
struct Inner {
    seats: Slab<Place>,
    /// How many of them have a connection.
    open: usize,
    /// When the alarms have to be looked at.
    due: Moment,
    /// What has become of the connections since the server began to shut down.
    closing: Option<Shutdown>,
    /// Nobody else will come.
    last: bool,
}

#[derive(Debug)]
struct Place {
    /// None while it is still in its handshake.
    connection: Option<Connection>,
    /// When to ring; at the end of time if never.
    alarm: Moment,
}

impl Registry {
    pub(crate) fn new(stats: ServerStats) -> Self {
        Self { stats, ..Self::default() }
    }

    /// Takes a seat.
    pub(crate) fn insert(&self) -> usize {
        self.lock().seats.insert(Place { connection: None, alarm: Moment::END })
    }

    /// The handshake is done.
    pub(crate) fn sit(&self, key: usize, connection: &Connection) {
        let mut inner = self.lock();
        inner.seats[key].connection = Some(connection.clone());
        inner.open += 1;
        self.stats.opened();
        let closing = inner.closing.is_some();
        drop(inner);
        if closing {
            tell(connection);
        }
    }

    /// The connection is over, well or not.
    pub(crate) fn stand(&self, key: usize, well: bool) {
        let mut inner = self.lock();
        let connection = inner.seats[key].connection.take();
        inner.stand(well);
        drop(inner);
        connection.iter().for_each(|connection| self.count_end(connection));
    }

    /// Gives a seat up.
    pub(crate) fn remove(&self, key: usize) {
        let mut inner = self.lock();
        let place = inner.seats.remove(key);
        if place.connection.is_some() {
            // Its task was dropped.
            inner.stand(false);
        }
        let last = inner.last;
        drop(inner);
        place.connection.iter().for_each(|connection| self.count_end(connection));
        drop(place);
        self.left.notify(usize::MAX);
        if last {
            self.watch.notify(1);
        }
    }

    /// Sets the alarm of a seat, in place of what it was set for.
    pub(crate) fn set_alarm(&self, key: usize, alarm: Moment) {
        let mut inner = self.lock();
        inner.seats[key].alarm = alarm;
        if alarm < inner.due {
            inner.due = alarm;
            drop(inner);
            self.watch.notify(1);
        }
    }

    /// Nobody else will come: the watch ends when everybody has left.
    pub(crate) fn expect_nobody(&self) {
        self.lock().last = true;
        self.watch.notify(1);
    }

    /// Returns when fewer than `count` are connected.
    pub(crate) async fn until_fewer_connected_than(&self, count: usize) {
        self.until(|| self.lock().open < count).await;
    }

    /// Returns when fewer than `count` are left, or none.
    pub(crate) async fn until_fewer_than(&self, count: usize) {
        self.until(|| self.len() < count.max(1)).await;
    }

    /// Returns when `done`, which is asked whenever somebody has left.
    pub(crate) async fn until(&self, done: impl Fn() -> bool) {
        self.left.wait_until(done).await;
    }

    /// Rings the alarms, until everybody has left. One timer does for all, and a list of moments,
    /// which is quickly looked through.
    pub(crate) async fn watch(&self, runtime: &impl Runtime) {
        while let Some(due) = self.next_look() {
            let news = self.watch.wait_until(|| self.next_look().is_none_or(|it| it < due));
            if until(runtime, due.into(), news).await.is_none() {
                self.ring(runtime.now());
            }
        }
    }

    /// From now on who comes is closed at once. Those who are here, and are not yet.
    pub(crate) fn begin_closing(&self) -> Vec<Connection> {
        let mut inner = self.lock();
        inner.closing = Some(Shutdown::default());
        inner.connections().cloned().collect()
    }

    /// Ends what has not closed; what has become of all.
    pub(crate) fn cut_all(&self) -> Shutdown {
        let inner = self.lock();
        let connections: Vec<_> = inner.connections().cloned().collect();
        let ended = inner.closing.unwrap_or_default();
        drop(inner);
        connections.iter().for_each(|connection| connection.outbox().cut(Cut::Shutdown));
        Shutdown { cut: connections.len(), ..ended }
    }

    /// How many are connected or in a handshake, or about to be.
    pub(crate) fn len(&self) -> usize {
        self.lock().seats.len()
    }

    /// When the watch has to look at the alarms; `None` if it is over.
    fn next_look(&self) -> Option<Moment> {
        let inner = self.lock();
        if inner.last && inner.seats.is_empty() { None } else { Some(inner.due) }
    }

    /// Rings all alarms that are due.
    fn ring(&self, now: Duration) {
        let mut ringing = Vec::new();
        let mut inner = self.lock();
        let mut next = Moment::END;
        for (_, place) in &mut inner.seats {
            if place.alarm <= now.into() {
                place.alarm = Moment::END;
                ringing.extend(place.connection.clone());
            }
            next = next.min(place.alarm);
        }
        inner.due = next.max(now.saturating_add(TOGETHER).into());
        drop(inner);
        ringing.iter().for_each(|connection| connection.outbox().ring());
    }

    fn count_end(&self, connection: &Connection) {
        self.stats.closed(connection.outbox().is_stuck());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Inner {
    fn default() -> Self {
        Self { seats: Slab::new(), open: 0, due: Moment::END, closing: None, last: false }
    }
}

impl Inner {
    /// Somebody's connection is over, well or not.
    const fn stand(&mut self, well: bool) {
        self.open -= 1;
        match &mut self.closing {
            Some(ended) if well => ended.closed += 1,
            Some(ended) => ended.failed += 1,
            None => {}
        }
    }

    fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.seats.iter().filter_map(|(_, place)| place.connection.as_ref())
    }
}
