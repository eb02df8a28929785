//! What must hold.

use std::{sync::Arc, time::Duration};

use crate::{Plan, figures::Figures, tally::Tally};

/// What there was to see.
pub(crate) struct Run {
    /// Before anybody came.
    pub(crate) before: Figures,
    /// Each second.
    pub(crate) looks: Vec<(Duration, Figures)>,
    /// When all had gone.
    pub(crate) after: Figures,
    /// How many did not come to their end.
    pub(crate) left_over: usize,
    pub(crate) tally: Arc<Tally>,
}

/// By how much the server's memory may grow, in percent; and in bytes, which matters where it is small:
/// threads keep buffers for reuse.
const GROWTH: (usize, usize) = (10, 4 << 20);

/// After this everything has happened that there is.
const FIRST_MINUTE: Duration = Duration::from_secs(60);

/// The rules that were broken. `stopped`: what the server said when it was told to stop.
pub(crate) fn judge(plan: &Plan, run: &Run, stopped: Result<String, String>) -> Vec<String> {
    let Run { before, looks, after, left_over, tally } = run;
    let mut broken = tally.complaints();
    let mut rule = |holds: bool, otherwise: String| {
        if !holds {
            broken.push(otherwise);
        }
    };
    rule(*left_over == 0, format!("{left_over} clients did not come to their end"));
    let most = looks.iter().map(|(_, figures)| figures.handled()).max().unwrap_or(0);
    let enough = plan.connections * 3 / 4;
    rule(most >= enough, format!("no more than {most} were connected, that is no load"));
    rule(after.panics == 0, format!("{} panics", after.panics));
    let gone = after.handled() == 0;
    rule(gone, format!("on_connect ran {}, on_disconnect {}", after.connected, after.disconnected));
    let returned = after.is_as_before(before);
    rule(returned, format!("the server has not come back to what it was: {before}"));
    for (what, [early, late], settled) in memory(plan.span, looks) {
        println!("memory {what}: {} KiB, and later {} KiB", early >> 10, late >> 10);
        let (percent, bytes) = GROWTH;
        let flat = late <= early + (early * percent / 100).max(bytes);
        rule(flat || !settled, format!("memory {what} has grown from {early} to {late} bytes"));
    }
    match stopped {
        Ok(last) => println!("{last}"),
        Err(what) => rule(false, format!("the server did not end well: {what}")),
    }
    broken
}

/// Medians of the server's memory, early and late, and whether early was late enough to judge by. (The
/// most would tell of the busiest second only.)
///
/// What is in use is settled within a minute. What the process holds follows the busiest moments that
/// there have been, and needs longer.
fn memory(span: Duration, looks: &[(Duration, Figures)]) -> [(&'static str, [usize; 2], bool); 2] {
    let median = |of: fn(&Figures) -> usize, from: Duration, to: Duration| {
        let then = looks.iter().filter(|(at, _)| (from..to).contains(at));
        let mut then: Vec<usize> = then.map(|(_, figures)| of(figures)).collect();
        then.sort_unstable();
        then.get(then.len() / 2).copied().unwrap_or(0)
    };
    let (half, minute) = (span / 2, FIRST_MINUTE.min(span / 2));
    let in_use = |from, to| median(|figures| figures.heap, from, to);
    let resident = |from, to| median(|figures| figures.resident, from, to);
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
