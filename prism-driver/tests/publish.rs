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

/// Keeps the latest value of each metric.
#[derive(Clone, Default)]
struct Latest(Arc<Mutex<BTreeMap<String, f64>>>);

struct Named(Latest, String);

impl Named {
    fn set(&self, value: f64) {
        self.0.0.lock().unwrap().insert(self.1.clone(), value);
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
        self.0.lock().unwrap().get(name).copied()
    }
}

impl Recorder for Latest {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

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
        assert!(latest.0.lock().unwrap().is_empty(), "nothing is published yet");
        stats.publish(&[("server", "site")]);
    });
    assert_eq!(latest.get("prism_accepted_total server=site"), Some(2.0));
    assert_eq!(latest.get("prism_handshakes_total server=site result=page"), Some(2.0));
    assert_eq!(latest.get("prism_connections_open server=site"), Some(0.0));
    let bucket = "prism_ping_round_trip_seconds_bucket server=site le=+Inf";
    assert_eq!(latest.get(bucket), Some(0.0));
    assert_eq!(latest.get("prism_ping_round_trip_seconds_sum server=site"), Some(0.0));
}
