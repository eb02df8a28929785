//! [`Family`]: the counters as metrics with names, units and labels, in whatever form they are published.

use std::{borrow::Cow, time::Duration};

use crate::server::stats::{Counts, ends::Ends, round_trips::RoundTrips};

/// The metrics that share a name. The terms are those of [OpenMetrics](crate::Counts::to_openmetrics).
pub(super) struct Family {
    /// The name, which ends with the unit if there is one.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) unit: Option<&'static str>,
    pub(super) help: &'static str,
    pub(super) samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The value of one metric.
pub(super) struct Sample {
    /// What follows the name of the family.
    pub(super) suffix: &'static str,
    pub(super) labels: Vec<(&'static str, Cow<'static, str>)>,
    pub(super) value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Count(u64),
    Seconds(Duration),
}

/// Returns all metrics.
pub(super) fn families(counts: &Counts) -> Vec<Family> {
    let Counts { received, sent, .. } = counts;
    vec![
        counter("prism_accepted", "Transports that were accepted.", counts.accepted),
        gauge("prism_handshakes_pending", "Transports in their handshake.", counts.in_handshake),
        handshakes(counts),
        counter(
            "prism_replies_incomplete",
            "Pages and refusals that were not sent completely.",
            counts.incomplete,
        ),
        opened(counts),
        gauge("prism_connections_open", "Connections that are open.", counts.open),
        gauge(
            "prism_connections_stuck",
            "Open connections whose transport is gone, and whose handler still runs.",
            counts.stuck,
        ),
        ends(counts),
        counter(
            "prism_connections_evicted",
            "Connections that were aborted because the server buffered too much.",
            counts.evicted,
        ),
        counter("prism_received_messages", "Messages received.", received.messages),
        bytes(counter("prism_received_bytes", "Bytes received.", received.bytes)),
        counter("prism_sent_messages", "Messages sent.", sent.messages),
        bytes(counter("prism_sent_bytes", "Bytes sent.", sent.bytes)),
        counter("prism_missed_messages", "Messages that slow peers have missed.", counts.missed),
        bytes(gauge(
            "prism_buffered_bytes",
            "Memory that holds data for peers that do not keep up.",
            counts.buffered,
        )),
        counter("prism_panics", "Panics of handlers.", counts.panics),
        round_trips(&counts.round_trips),
    ]
}

fn counter(name: &'static str, help: &'static str, count: u64) -> Family {
    counters(name, help, [Sample::new("_total", [], count)])
}

fn counters(
    name: &'static str,
    help: &'static str,
    samples: impl IntoIterator<Item = Sample>,
) -> Family {
    let samples = samples.into_iter().collect();
    Family { name, kind: Kind::Counter, unit: None, help, samples }
}

fn gauge(name: &'static str, help: &'static str, count: u64) -> Family {
    let samples = vec![Sample::new("", [], count)];
    Family { name, kind: Kind::Gauge, unit: None, help, samples }
}

fn bytes(family: Family) -> Family {
    Family { unit: Some("bytes"), ..family }
}

/// Each accepted transport whose handshake is over is counted for one result.
fn handshakes(counts: &Counts) -> Family {
    let accepted = [("opened", counts.opened.total()), ("page", counts.pages)];
    let results = accepted.into_iter().chain(counts.refused.by_reason());
    counters(
        "prism_handshakes",
        "Handshakes that are over, by result.",
        results.map(|(result, count)| Sample::new("_total", [("result", result)], count)),
    )
}

fn opened(counts: &Counts) -> Family {
    let versions = counts.opened.by_version();
    counters(
        "prism_connections_opened",
        "Connections that were opened, by the version of HTTP.",
        versions.map(|(version, count)| Sample::new("_total", [("http", version)], count)),
    )
}

fn ends(counts: &Counts) -> Family {
    let Ends { by_peer, by_us, failed } = &counts.ends;
    let sample = |by, (how, count)| Sample::new("_total", [("by", by), ("how", how)], count);
    let by_peer = by_peer.by_class().map(|class| sample("peer", class));
    let by_us = by_us.by_class().map(|class| sample("us", class));
    let failed = failed.by_kind().map(|kind| sample("failure", kind));
    counters(
        "prism_connections_ended",
        "Connections that have ended, by the side that closed them and the class of the code, or by the failure.",
        by_peer.into_iter().chain(by_us).chain(failed),
    )
}

fn round_trips(round_trips: &RoundTrips) -> Family {
    let limits = RoundTrips::LIMITS.map(|limit| Cow::from(format!("{:?}", limit.as_secs_f64())));
    let limits = limits.into_iter().chain(["+Inf".into()]);
    let mut total = 0;
    let mut samples: Vec<_> = limits
        .zip(round_trips.buckets)
        .map(|(limit, count)| {
            total += count;
            Sample { suffix: "_bucket", labels: vec![("le", limit)], value: Value::Count(total) }
        })
        .collect();
    samples.push(Sample::new("_count", [], total));
    let sum = Value::Seconds(round_trips.sum);
    samples.push(Sample { suffix: "_sum", labels: Vec::new(), value: sum });
    Family {
        name: "prism_ping_round_trip_seconds",
        kind: Kind::Histogram,
        unit: Some("seconds"),
        help: "How long peers took to answer the pings of the keepalive.",
        samples,
    }
}

impl Sample {
    fn new<const N: usize>(
        suffix: &'static str,
        labels: [(&'static str, &'static str); N],
        count: u64,
    ) -> Self {
        let labels = labels.map(|(name, value)| (name, value.into())).into();
        Self { suffix, labels, value: Value::Count(count) }
    }
}
