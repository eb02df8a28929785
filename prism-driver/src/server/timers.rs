//! The timers of a server's connections: one timer of the runtime stands for all of them, because one for each would
//! be a tenth of an idle connection's memory.

use std::time::Duration;

use crate::{
    runtime::{Runtime, timeout::until},
    server::registry::Registry,
    session::moment::Moment,
};

/// How long timers that are due wait for others, so that many of them cost one look at all. A timer that is set for
/// earlier than the next look fires exactly.
const COALESCED: Duration = Duration::from_millis(25);

impl Registry {
    /// Sets the timer of an entry, in place of what it was set for.
    pub(crate) fn set_timer(&self, key: usize, due: Moment) {
        let mut inner = self.lock();
        inner.entries[key].due = due;
        if due < inner.due {
            inner.due = due;
            drop(inner);
            self.timers.notify(1);
        }
    }

    /// Fires the timers when they are due. Returns when the registry is empty and [no more
    /// connections](Self::expect_no_more) will come.
    pub(crate) async fn run_timers(&self, runtime: &impl Runtime) {
        while let Some(due) = self.next_look() {
            let news = self.timers.wait_until(|| self.next_look().is_none_or(|it| it < due));
            if until(runtime, due.into(), news).await.is_none() {
                self.fire_due(runtime.now());
            }
        }
    }

    /// Returns when the timers have to be looked at; `None` if never again.
    fn next_look(&self) -> Option<Moment> {
        let inner = self.lock();
        if inner.last && inner.entries.is_empty() { None } else { Some(inner.due) }
    }

    /// Fires all timers that are due. A list of moments is quickly looked through.
    fn fire_due(&self, now: Duration) {
        let mut fired = Vec::new();
        let mut inner = self.lock();
        let mut next = Moment::END;
        for (_, entry) in &mut inner.entries {
            if entry.due <= now.into() {
                entry.due = Moment::END;
                fired.extend(entry.connection.clone());
            }
            next = next.min(entry.due);
        }
        inner.due = next.max(now.saturating_add(COALESCED).into());
        drop(inner);
        fired.iter().for_each(|connection| connection.outbox().fire_timer());
    }
}
