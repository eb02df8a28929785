//! [`Seat`]: a connection's place in a server.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    connection::Connection,
    error::Disconnect,
    options::Options,
    runtime::Network,
    server::accept::House,
    session::{deadline::Alarm, moment::Moment, write_progress::WriteLimits},
};

/// A place in the registry, given up when dropped. Its alarm is one of many that the house watches.
pub(crate) struct Seat<N: Network> {
    house: Arc<House<N>>,
    key: usize,
}

impl<N: Network> Seat<N> {
    pub(crate) fn take(house: Arc<House<N>>) -> Self {
        let key = house.registry.insert();
        Self { house, key }
    }

    /// The handshake is done.
    pub(crate) fn sit(&self, connection: &Connection) {
        self.house.registry.sit(self.key, connection);
    }

    /// The connection is over.
    #[expect(clippy::needless_pass_by_value, reason = "nobody else wants it")]
    pub(crate) fn stand(&self, reason: Disconnect) {
        let well = !matches!(reason, Disconnect::Failed(_));
        self.house.registry.stand(self.key, well);
    }

    pub(crate) fn house(&self) -> &House<N> {
        &self.house
    }

    pub(crate) fn network(&self) -> &N {
        &self.house.network
    }

    pub(crate) fn options(&self) -> &Options {
        &self.house.options.connection
    }
}

impl<N: Network> Drop for Seat<N> {
    fn drop(&mut self) {
        self.house.registry.remove(self.key);
    }
}

impl<N: Network> Alarm for Seat<N> {
    fn write_limits(&self) -> WriteLimits {
        self.options().write_limits()
    }

    fn now(&self) -> Duration {
        self.network().now()
    }

    fn set(&mut self, due: Duration) {
        self.house.registry.set_alarm(self.key, due.into());
    }

    fn clear(&mut self) {
        self.house.registry.set_alarm(self.key, Moment::END);
    }

    fn note_stalled(&self, connection: &Connection) {
        connection.count_in(&self.house.budget);
    }

    fn note_stuck(&self, connection: &Connection) {
        if connection.outbox().set_stuck() {
            self.house.stats.stuck();
        }
    }

    fn poll(&mut self, connection: &Connection, _: &mut Context<'_>) -> Poll<()> {
        // The waker is in the outbox: a session leaves it there whenever it sleeps.
        if connection.outbox().take_ring() { Poll::Ready(()) } else { Poll::Pending }
    }
}
