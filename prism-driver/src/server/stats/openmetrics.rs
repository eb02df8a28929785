//! The counters as text in the format of OpenMetrics 1.0, which Prometheus and others read.

use std::fmt;

use prism_core::Reply;

use crate::server::stats::{
    Counts, ServerStats,
    families::{Family, Kind, Sample, Value, families},
};

impl ServerStats {
    /// Returns the counters as a page for Prometheus: [`Counts::to_openmetrics`] with its [content
    /// type](Counts::OPENMETRICS_TYPE).
    ///
    /// Serve it on an address that only your monitoring can reach:
    ///
    /// ```no_run
    /// # use prism_driver::{Handler, Network, Server};
    /// # async fn example<N: Network + Default>(server: Server<N>) -> std::io::Result<()> {
    /// let stats = server.stats();
    /// let monitor = Server::<N>::bind("127.0.0.1:9090").await?;
    /// monitor.get("/metrics", move |_| stats.openmetrics()).serve().await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn openmetrics(&self) -> Reply {
        let page = Reply::new(200).body(Counts::OPENMETRICS_TYPE, self.counts().to_openmetrics());
        page.unwrap_or_else(|_| unreachable!("the content type is a valid header"))
    }
}

impl Counts {
    /// The content type of [`to_openmetrics`](Self::to_openmetrics).
    pub const OPENMETRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Returns the counters as text in the format of OpenMetrics, for a web framework to serve. Without one, see
    /// [`ServerStats::openmetrics`].
    ///
    /// [Observability](crate::docs::observability) lists the metrics.
    ///
    /// ```
    /// # use prism_driver::Counts;
    /// let text = Counts::default().to_openmetrics();
    /// assert!(text.contains("\nprism_connections_open 0\n"));
    /// assert!(text.ends_with("# EOF\n"));
    /// ```
    #[must_use]
    pub fn to_openmetrics(&self) -> String {
        families(self).iter().map(Family::to_string).chain(["# EOF\n".into()]).collect()
    }
}

/// The text of a family. Names, labels and help texts are constants without characters that would have to be escaped.
impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, unit, help, samples } = self;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        writeln!(f, "# TYPE {name} {kind}")?;
        if let Some(unit) = unit {
            writeln!(f, "# UNIT {name} {unit}")?;
        }
        writeln!(f, "# HELP {name} {help}")?;
        for Sample { suffix, labels, value } in samples {
            write!(f, "{name}{suffix}")?;
            for (index, (label, value)) in labels.iter().enumerate() {
                write!(f, "{}{label}=\"{value}\"", if index == 0 { '{' } else { ',' })?;
            }
            f.write_str(if labels.is_empty() { " " } else { "} " })?;
            match value {
                Value::Count(count) => writeln!(f, "{count}")?,
                Value::Seconds(span) => writeln!(f, "{:?}", span.as_secs_f64())?,
            }
        }
        Ok(())
    }
}
