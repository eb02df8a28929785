//! Publishing the counters through the facade of the crate `metrics`.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use metrics::{KeyName, Label, Recorder, SharedString, Unit, counter, gauge, with_recorder};

use crate::server::stats::{
    ServerStats,
    families::{Family, Kind, Sample, Value, families},
};

impl ServerStats {
    /// Passes the counters, as they are now, to the [recorder](https://docs.rs/metrics) of the crate `metrics` (0.24)
    /// that the application has installed. Without one, this does nothing.
    ///
    /// Call it when the numbers are to be exported, for example every ten seconds. Nothing else in Prism touches the
    /// recorder. The names and labels are those of [`openmetrics`](Self::openmetrics): a name ends with `_total` if it
    /// is a counter. The facade has no histogram that could be set, so the parts of the histogram are separate
    /// counters, and its `_sum` is a gauge. The first call also passes the units and the help texts, so install the
    /// recorder before it.
    ///
    /// Several servers that publish have to differ in a label, or each overwrites the numbers of the others: pass it in
    /// `labels`, which are added to each metric.
    ///
    /// # Panics
    ///
    /// If one of the labels is named `by`, `how`, `http`, `le` or `result`, as Prism's own are.
    ///
    /// ```no_run
    /// # use prism_driver::{Network, Runtime, Server};
    /// # async fn example<N: Network>(server: Server<N>, runtime: N, shard: usize) {
    /// let stats = server.stats();
    /// let publishing = runtime.clone();
    /// runtime.spawn(async move {
    ///     let shard = shard.to_string();
    ///     loop {
    ///         stats.publish(&[("server", "chat"), ("shard", &shard)]);
    ///         publishing.sleep(std::time::Duration::from_secs(10)).await;
    ///     }
    /// });
    /// server.serve().await;
    /// # }
    /// ```
    pub fn publish(&self, labels: &[(&str, &str)]) {
        let families = families(&self.counts());
        let own = families.iter().flat_map(|it| &it.samples).flat_map(|it| &it.labels);
        for (own, _) in own {
            assert!(labels.iter().all(|(name, _)| name != own), "the label `{own}` is Prism's own");
        }
        if !self.counters.is_described.swap(true, Relaxed) {
            with_recorder(|recorder| families.iter().for_each(|it| describe(it, recorder)));
        }
        let shared = |text: &str| SharedString::from(Arc::<str>::from(text));
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| Label::new(shared(name), shared(value))).collect();
        for Family { name, kind, samples, .. } in families {
            for Sample { suffix, labels: own, value } in samples {
                let own = own.into_iter().map(|(name, value)| Label::new(name, value));
                let all = labels.iter().cloned().chain(own).collect::<Vec<_>>();
                let name = format!("{name}{suffix}");
                match (kind, value) {
                    (Kind::Counter | Kind::Histogram, Value::Count(count)) => {
                        counter!(name, all).absolute(count);
                    }
                    (Kind::Gauge, Value::Count(count)) => gauge!(name, all).set(count as f64),
                    (_, Value::Seconds(span)) => gauge!(name, all).set(span.as_secs_f64()),
                }
            }
        }
    }
}

/// Passes the unit and the help text of each metric of a family to the recorder.
fn describe(family: &Family, recorder: &dyn Recorder) {
    let Family { name, kind, unit, help, samples } = family;
    let mut described = None;
    for Sample { suffix, value, .. } in samples {
        // Samples of the same name follow each other.
        if described.replace(*suffix) == Some(*suffix) {
            continue;
        }
        let unit = unit.and_then(Unit::from_string);
        let (name, help) = (KeyName::from(format!("{name}{suffix}")), SharedString::from(*help));
        match (kind, value) {
            // The unit of a histogram is that of its sum.
            (Kind::Histogram, Value::Count(_)) => recorder.describe_counter(name, None, help),
            (Kind::Counter, Value::Count(_)) => recorder.describe_counter(name, unit, help),
            (Kind::Gauge, _) | (_, Value::Seconds(_)) => {
                recorder.describe_gauge(name, unit, help);
            }
        }
    }
}
