//! [`Farewell`]: telling the connections of a server that shuts down, not all at the same instant.

use std::time::Duration;

use prism_core::CloseCode;

use crate::{
    connection::Connection,
    runtime::{Runtime, until},
    server::registry::Registry,
};

/// In how many steps they are told.
const STEPS: u32 = 100;

/// How many are told in a step at least: so few make no rush, wherever they go next.
const AT_ONCE: usize = 64;

/// Who has not been told yet. When this is dropped, they are told at once.
pub(crate) struct Farewell {
    untold: Vec<Connection>,
}

impl Farewell {
    pub(crate) const fn to(everybody: Vec<Connection>) -> Self {
        Self { untold: everybody }
    }

    /// How many are still to be told.
    pub(crate) const fn len(&self) -> usize {
        self.untold.len()
    }

    /// Tells all of them, in equal steps over `spread`; the first step is now. Returns as soon as
    /// nobody is left in the registry.
    pub(crate) async fn say(
        mut self,
        runtime: &impl Runtime,
        registry: &Registry,
        spread: Duration,
    ) {
        let (began, pause) = (runtime.now(), spread / STEPS);
        if pause.is_zero() {
            return; // and so tells all
        }
        let step = self.len().div_ceil(STEPS as usize).max(AT_ONCE);
        for number in 1.. {
            self.untold.drain(self.len().saturating_sub(step)..).for_each(|one| tell(&one));
            if self.untold.is_empty() {
                return;
            }
            let next = began.saturating_add(pause.saturating_mul(number));
            if until(runtime, next, registry.until_fewer_than(1)).await.is_some() {
                return;
            }
        }
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        self.untold.iter().for_each(tell);
    }
}

/// Closes a connection of a server that shuts down.
pub(crate) fn tell(connection: &Connection) {
    connection.close(CloseCode::GOING_AWAY, "the server is shutting down");
}
