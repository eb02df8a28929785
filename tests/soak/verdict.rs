//! The rules that must hold after a run.

use std::{sync::Arc, time::Duration};

use crate::{Plan, metrics::Metrics, tally::Tally};

/// The observations of a run.
pub(crate) struct Run {
    /// The metrics before the first client.
    pub(crate) before: Metrics,
    /// The metrics of every second.
    pub(crate) samples: Vec<(Duration, Metrics)>,
    /// The metrics after the last client.
    pub(crate) after: Metrics,
    /// How many clients did not finish.
    pub(crate) left_over: usize,
    pub(crate) tally: Arc<Tally>,
}

/// The growth of the server's memory that is allowed, in percent and in bytes. The bytes matter
/// where the memory is small, because threads keep buffers for reuse.
const GROWTH: (usize, usize) = (10, 4 << 20);

/// After this time, every kind of event has occurred.
const FIRST_MINUTE: Duration = Duration::from_secs(60);

/// Returns the rules that were broken. `stopped` is the output of the server's shutdown.
pub(crate) fn broken_rules(plan: &Plan, run: &Run, stopped: Result<String, String>) -> Vec<String> {
    let Run { before, samples, after, left_over, tally } = run;
    let mut broken = tally.failures();
    let mut rule = |holds: bool, otherwise: String| {
        if !holds {
            broken.push(otherwise);
        }
    };
    rule(*left_over == 0, format!("{left_over} clients did not finish"));
    let most = samples.iter().map(|(_, metrics)| metrics.handled()).max().unwrap_or(0);
    let enough = plan.connections * 3 / 4;
    rule(
        most >= enough,
        format!("expected {enough} concurrent connections, but there were at most {most}"),
    );
    rule(after.panics == 0, format!("{} panics", after.panics));
    let balanced = after.handled() == 0;
    rule(
        balanced,
        format!("on_connect ran {}, on_disconnect {}", after.connected, after.disconnected),
    );
    let returned = after.is_as_before(before);
    rule(returned, format!("the server has not returned to its initial state: {before}"));
    for (what, [early, late], settled) in memory(plan.span, samples) {
        println!("memory {what}: {} KiB early, {} KiB late", early >> 10, late >> 10);
        let (percent, bytes) = GROWTH;
        let flat = late <= early + (early * percent / 100).max(bytes);
        rule(flat || !settled, format!("memory {what} has grown from {early} to {late} bytes"));
    }
    match stopped {
        Ok(last) => println!("{last}"),
        Err(what) => rule(false, format!("the server did not exit cleanly: {what}")),
    }
    broken
}

/// Returns medians of the server's memory, early and late, and whether the run was long enough to
/// compare them. A maximum would only reflect the busiest second.
///
/// The heap in use settles within a minute. The resident memory follows the busiest moments so far,
/// and takes longer.
fn memory(
    span: Duration,
    samples: &[(Duration, Metrics)],
) -> [(&'static str, [usize; 2], bool); 2] {
    let median = |of: fn(&Metrics) -> usize, from: Duration, to: Duration| {
        let then = samples.iter().filter(|(at, _)| (from..to).contains(at));
        let mut then: Vec<usize> = then.map(|(_, metrics)| of(metrics)).collect();
        then.sort_unstable();
        then.get(then.len() / 2).copied().unwrap_or(0)
    };
    let (half, minute) = (span / 2, FIRST_MINUTE.min(span / 2));
    let in_use = |from, to| median(|metrics| metrics.heap, from, to);
    let resident = |from, to| median(|metrics| metrics.resident, from, to);
    let quarter = span / 4;
    [
        ("in use", [in_use(minute / 2, minute), in_use(half, Duration::MAX)], true),
        (
            "resident",
            [resident(quarter, half), resident(half + quarter, Duration::MAX)],
            quarter >= FIRST_MINUTE * 5 / 2,
        ),
    ]
}
