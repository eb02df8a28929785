//! [`GradualClose`]: closes the connections of a server that shuts down, not all at the same instant.

use std::time::Duration;

use crate::{
    connection::Connection,
    runtime::{Runtime, timeout::until},
    server::registry::{Registry, send_going_away},
};

/// In how many steps the connections are closed.
const STEPS: u32 = 100;

/// How many connections are closed in a step at least: so few peers are no burden, wherever they connect next.
const MIN_PER_STEP: usize = 64;

/// The connections that are still to be closed. When this is dropped, they are closed at once.
pub(crate) struct GradualClose {
    open: Vec<Connection>,
}

impl GradualClose {
    pub(crate) const fn new(open: Vec<Connection>) -> Self {
        Self { open }
    }

    /// Closes all connections, in equal steps over `spread`; the first step is now. Returns as soon as the registry
    /// is empty.
    ///
    /// Not all at once, because each peer that is told to go connects somewhere else at once.
    pub(crate) async fn run(
        mut self,
        runtime: &impl Runtime,
        registry: &Registry,
        spread: Duration,
    ) {
        let (began, pause) = (runtime.now(), spread / STEPS);
        if pause.is_zero() {
            return; // and so close all
        }
        let step = self.open.len().div_ceil(STEPS as usize).max(MIN_PER_STEP);
        for number in 1.. {
            let kept = self.open.len().saturating_sub(step);
            self.open.drain(kept..).for_each(|connection| send_going_away(&connection));
            if self.open.is_empty() {
                return;
            }
            let next = began.saturating_add(pause.saturating_mul(number));
            if until(runtime, next, registry.until_fewer_than(1)).await.is_some() {
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
