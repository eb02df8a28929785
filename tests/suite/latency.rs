//! What the keepalive's pings measure, and the pongs of the application's own pings.

use std::{
    sync::mpsc::{Sender, channel},
    time::{Duration, Instant},
};

use super::support::{
    TIMEOUT, block_on,
    handlers::{Echo, Recorder, recorder},
    kinds::on_both_kinds,
    server::serve,
    wait_until,
};
use crate::prism::{Connection, Handler, Message, Options};

/// Waits until the keepalive of a connection that was opened after `began` has measured, and asserts
/// that the result is plausible.
fn assert_measured(connection: &Connection, began: Instant) {
    wait_until("a pong has arrived", || connection.latency().is_some());
    let latency = connection.latency().expect("measured");
    for round_trip in [latency.last, latency.smoothed] {
        assert!((Duration::from_micros(1)..began.elapsed()).contains(&round_trip), "{latency:?}");
    }
}

#[test]
fn the_keepalive_measures_the_latency_on_both_sides() {
    let options = Options::default().ping_interval(Some(Duration::from_millis(20)));
    let (recorder, events) = recorder();
    let server = serve(|server| server.options(options.clone()).websocket("/", recorder));
    let began = Instant::now();
    let socket = block_on(server.client("/").options(options).connect()).expect("a connection");
    assert_measured(&events.connected(), began);
    assert_measured(socket.connection(), began);
}

/// Reports the payloads of pongs.
struct Pongs {
    recorder: Recorder,
    payloads: Sender<Vec<u8>>,
}

impl Handler for Pongs {
    async fn on_connect(&self, connection: &Connection) {
        self.recorder.on_connect(connection).await;
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}

    async fn on_pong(&self, _: &Connection, payload: &[u8]) {
        self.payloads.send(payload.to_vec()).expect("the scenario waits");
    }
}

#[test]
fn a_handler_gets_the_pongs_of_its_own_pings_only() {
    on_both_kinds(|kind| {
        let options = Options::default().ping_interval(Some(Duration::from_millis(5)));
        let (recorder, events) = recorder();
        let (payloads, pongs) = channel();
        let handler = Pongs { recorder, payloads };
        let server = serve(|server| {
            server.options(options).websocket("/", kind.route(handler)).websocket("/echo", Echo)
        });
        let began = Instant::now();
        let socket = block_on(server.connect("/"));
        let connection = events.connected();
        for number in 0..100_u32 {
            connection.ping(&number.to_be_bytes()).expect("room");
            let payload = pongs.recv_timeout(TIMEOUT).expect("its pong");
            assert_eq!(payload, number.to_be_bytes());
        }
        assert_measured(&connection, began);
        assert!(pongs.try_recv().is_err(), "the keepalive's pongs are not reported");
        drop(socket);
    });
}
