//! [`GradualClose`]: closes the connections of a server step by step during a shutdown.
//!
//! They are not closed all at once, because most peers reconnect immediately, to another server. The
//! [registry](crate::server::registry) counts each connection when it ends, whether or not its step has come.

use std::time::Duration;

use prism_core::CloseCode;

use crate::{
    connection::Connection,
    runtime::{Runtime, timeout::until},
    server::registry::Registry,
};

/// The number of steps in which the connections are closed.
const STEPS: u32 = 100;

/// The minimum number of connections that are closed in a step. So few peers are no burden,
/// even if all of them reconnect at the same time.
const MIN_PER_STEP: usize = 64;

/// The connections that are yet to be closed. When this is dropped, the rest is closed at once.
pub(crate) struct GradualClose {
    open: Vec<Connection>,
}

impl GradualClose {
    pub(crate) const fn new(open: Vec<Connection>) -> Self {
        Self { open }
    }

    /// Closes all connections in equal steps over `spread`, beginning now. Returns early if none is open.
    pub(crate) async fn run(
        mut self,
        runtime: &impl Runtime,
        registry: &Registry,
        spread: Duration,
    ) {
        let (began, pause) = (runtime.now(), spread / STEPS);
        if pause.is_zero() {
            return; // dropping `self` closes all
        }
        let step = self.open.len().div_ceil(STEPS as usize).max(MIN_PER_STEP);
        for number in 1.. {
            let kept = self.open.len().saturating_sub(step);
            self.open.drain(kept..).for_each(|connection| send_going_away(&connection));
            if self.open.is_empty() {
                return;
            }
            let next = began.saturating_add(pause.saturating_mul(number));
            if until(runtime, next, registry.until_fewer_open_than(1)).await.is_some() {
                return;
            }
        }
    }
}

impl Drop for GradualClose {
    fn drop(&mut self) {
        self.open.iter().for_each(send_going_away);
    }
}

/// Closes a connection with 1001, because the server is shutting down.
pub(crate) fn send_going_away(connection: &Connection) {
    connection.close(CloseCode::GOING_AWAY, "the server is shutting down");
}
