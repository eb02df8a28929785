//! Publishing the counters through the facade of the crate `metrics`.

use metrics::{Label, counter, gauge};

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
    /// is a counter. The facade has no histogram that could be set, so the parts of the histogram are separate counters,
    /// and its `_sum` is a gauge.
    ///
    /// Several servers that publish have to differ in a label, or each overwrites the numbers of the others: pass it in
    /// `labels`, which are added to each metric.
    ///
    /// ```no_run
    /// # use prism_driver::{Network, Runtime, Server};
    /// # async fn example<N: Network>(server: Server<N>, runtime: N) {
    /// let stats = server.stats();
    /// let publishing = runtime.clone();
    /// runtime.spawn(async move {
    ///     loop {
    ///         stats.publish(&[("server", "chat")]);
    ///         publishing.sleep(std::time::Duration::from_secs(10)).await;
    ///     }
    /// });
    /// server.serve().await;
    /// # }
    /// ```
    pub fn publish(&self, labels: &[(&'static str, &'static str)]) {
        for Family { name, kind, samples, .. } in families(&self.counts()) {
            for Sample { suffix, labels: own, value } in samples {
                let own = own.into_iter().map(|(name, value)| Label::new(name, value));
                let all = labels.iter().map(Label::from).chain(own).collect::<Vec<_>>();
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
