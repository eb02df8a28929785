//! The counters as text in the format of OpenMetrics 1.0, which Prometheus and others read.

use std::fmt::{self, Write};

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
        Reply::new(200)
            .body(Counts::OPENMETRICS_TYPE, self.counts().to_openmetrics())
            .expect("a constant content type, which is valid")
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
        let mut text = String::new();
        for family in families(self) {
            write_family(&mut text, &family).expect("a string takes everything");
        }
        text + "# EOF\n"
    }
}

/// Names, labels and help texts are constants without characters that would have to be escaped.
fn write_family(text: &mut String, family: &Family) -> fmt::Result {
    let Family { name, kind, unit, help, samples } = family;
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    writeln!(text, "# TYPE {name} {kind}")?;
    if let Some(unit) = unit {
        writeln!(text, "# UNIT {name} {unit}")?;
    }
    writeln!(text, "# HELP {name} {help}")?;
    for Sample { suffix, labels, value } in samples {
        write!(text, "{name}{suffix}")?;
        for (index, (label, value)) in labels.iter().enumerate() {
            write!(text, "{}{label}=\"{value}\"", if index == 0 { '{' } else { ',' })?;
        }
        text.push_str(if labels.is_empty() { " " } else { "} " });
        match value {
            Value::Count(count) => writeln!(text, "{count}")?,
            Value::Seconds(span) => writeln!(text, "{:?}", span.as_secs_f64())?,
        }
    }
    Ok(())
}
