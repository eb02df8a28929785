//! Publishing a server's counters through the facade of the crate `metrics`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString,
    Unit, with_local_recorder,
};
use prism_driver::{Reply, Runtime};
use prism_test::Sim;

use crate::common::{http::read_to_end, net::Net, s, site::send};

/// The name and the unit of a metric.
type Description = (String, Option<Unit>);

/// Keeps the latest value of each metric, and all descriptions.
#[derive(Clone, Default)]
struct Latest {
    values: Arc<Mutex<BTreeMap<String, f64>>>,
    described: Arc<Mutex<Vec<Description>>>,
}

struct Named(Latest, String);

impl Named {
    fn set(&self, value: f64) {
        self.0.values.lock().unwrap().insert(self.1.clone(), value);
    }
}

impl CounterFn for Named {
    fn increment(&self, _: u64) {
        panic!("the counters are absolute");
    }

    fn absolute(&self, value: u64) {
        self.set(value as f64);
    }
}

impl GaugeFn for Named {
    fn increment(&self, _: f64) {
        panic!("the gauges are absolute");
    }

    fn decrement(&self, _: f64) {
        panic!("the gauges are absolute");
    }

    fn set(&self, value: f64) {
        Self::set(self, value);
    }
}

impl Latest {
    fn named(&self, key: &Key) -> Arc<Named> {
        let labels: String =
            key.labels().map(|label| format!(" {}={}", label.key(), label.value())).collect();
        Arc::new(Named(self.clone(), format!("{}{labels}", key.name())))
    }

    fn get(&self, name: &str) -> Option<f64> {
        self.values.lock().unwrap().get(name).copied()
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>, help: &str) {
        assert!(help.ends_with('.'), "{help}");
        self.described.lock().unwrap().push((name.as_str().to_owned(), unit));
    }
}

impl Recorder for Latest {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, unit, &help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, unit, &help);
    }

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        panic!("a histogram cannot be set");
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.named(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.named(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("a histogram cannot be set");
    }
}

#[test]
fn a_recorder_gets_the_counters_only_when_they_are_published() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    let latest = Latest::default();
    with_local_recorder(&latest.clone(), || {
        let stats = net.serve(|server| server.get("/page", |_| Reply::new(204)));
        sim.run(async {
            for _ in 0..2 {
                let (mut io, _) = send(&net, "GET /page HTTP/1.1\r\nHost: a\r\n\r\n").await;
                read_to_end(&mut io).await;
            }
            sim.sleep(s(10)).await;
        });
        assert!(latest.values.lock().unwrap().is_empty(), "nothing is published yet");
        stats.publish(&[("server", "site")]);
    });
    assert_eq!(latest.get("prism_accepted_total server=site"), Some(2.0));
    assert_eq!(latest.get("prism_handshakes_total server=site result=page"), Some(2.0));
    assert_eq!(latest.get("prism_connections_open server=site"), Some(0.0));
    let bucket = "prism_ping_round_trip_seconds_bucket server=site le=+Inf";
    assert_eq!(latest.get(bucket), Some(0.0));
    assert_eq!(latest.get("prism_ping_round_trip_seconds_sum server=site"), Some(0.0));
}

#[test]
fn the_first_publication_describes_each_metric_once() {
    let (sim, latest) = (Sim::default(), Latest::default());
    with_local_recorder(&latest.clone(), || {
        let stats = Net::new(&sim).serve(|server| server);
        for shard in [String::from("0"), String::from("1")] {
            stats.publish(&[("shard", &shard)]);
        }
    });
    assert_eq!(latest.get("prism_accepted_total shard=1"), Some(0.0));
    let described = latest.described.lock().unwrap();
    let mut names: Vec<_> = described.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let values = latest.values.lock().unwrap();
    let mut published: Vec<_> =
        values.keys().map(|key| key.split_once(' ').expect("it has a label").0).collect();
    published.dedup();
    assert_eq!(names, published);
    for (name, unit) in [
        ("prism_sent_bytes_total", Some(Unit::Bytes)),
        ("prism_buffered_bytes", Some(Unit::Bytes)),
        ("prism_ping_round_trip_seconds_sum", Some(Unit::Seconds)),
        ("prism_ping_round_trip_seconds_count", None),
        ("prism_connections_open", None),
    ] {
        assert!(described.contains(&(name.to_owned(), unit)), "{name}: {described:?}");
    }
}

#[test]
#[should_panic = "the label `by` is Prism's own"]
fn a_label_cannot_replace_one_of_prism() {
    Net::new(&Sim::default()).serve(|server| server).publish(&[("by", "me")]);
}
