//! The timers of a server's connections. They share one timer of the runtime, because one for each connection would
//! take a tenth of an idle connection's memory. (A connection that is served alone, and a client's, has
//! [its own](crate::session::deadline::OwnTimer).)
//!
//! A task scans all timers when the first is due. Timers that become due soon after a scan wait for each other, so one
//! scan fires many of them.

use std::time::Duration;

use crate::{
    runtime::{Runtime, timeout::until},
    server::registry::Registry,
    session::moment::Moment,
};

/// The minimum time between two scans of the timers. A timer that is set for earlier than the next scan still fires on
/// time.
const SCAN_INTERVAL: Duration = Duration::from_millis(25);

impl Registry {
    /// Sets the timer of an entry, replacing its previous time.
    pub(crate) fn set_timer(&self, key: usize, due: Moment) {
        let mut inner = self.lock();
        inner.entries[key].due = due;
        if due < inner.next_scan {
            inner.next_scan = due;
            drop(inner);
            self.timers.notify(1);
        }
    }

    /// Fires the timers when they are due. Returns when the registry is empty and [no further
    /// connection](Self::expect_no_more) will be accepted.
    pub(crate) async fn run_timers(&self, runtime: &impl Runtime) {
        while let Some(due) = self.next_scan() {
            let changed = self.timers.wait_until(|| self.next_scan().is_none_or(|it| it < due));
            if until(runtime, due.into(), changed).await.is_none() {
                self.fire_due(runtime.now());
            }
        }
    }

    /// Returns when the timers have to be scanned; `None` if never again.
    fn next_scan(&self) -> Option<Moment> {
        let inner = self.lock();
        if inner.is_final && inner.entries.is_empty() { None } else { Some(inner.next_scan) }
    }

    /// Fires all timers that are due. A scan of all entries is fast enough: it only compares times.
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
        inner.next_scan = next.max(now.saturating_add(SCAN_INTERVAL).into());
        drop(inner);
        fired.iter().for_each(|connection| connection.outbox().fire_timer());
    }
}
