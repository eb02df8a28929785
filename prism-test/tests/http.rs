//! WebSockets under a server of hyper, in memory.

use std::time::Duration;

use prism_driver::{CloseCode, ConnectError, WebSockets};
use prism_test::{Recorded, Recorder, Sim};

/// Starts a server whose WebSockets record what happens.
fn start(sim: &Sim) -> (WebSockets<Sim>, Recorder) {
    let websockets = WebSockets::builder().build_on(sim.clone());
    let recorder = Recorder::new();
    sim.start_http("chat.example", prism_hyper::service(&websockets, recorder.clone()));
    (websockets, recorder)
}

#[test]
fn messages_pass_between_a_client_and_a_service_however_they_are_cut() {
    let sim = Sim::new();
    let (_websockets, recorder) = start(&sim);
    sim.run(async {
        let socket = sim.client("ws://chat.example/").connect().await.unwrap();
        sim.last_connection().unwrap().set_piece(1);
        socket.send("x".repeat(10_000)).await.unwrap();
        assert_eq!(socket.close(CloseCode::NORMAL, "").await.code(), 1000);
    });
    assert_eq!(recorder.events()[1], Recorded::Text("x".repeat(10_000)));
}

#[test]
fn a_connection_under_hyper_has_the_address_of_its_client() {
    let sim = Sim::new();
    let (_websockets, recorder) = start(&sim);
    sim.run(async {
        let _socket = sim.client("ws://chat.example/").connect().await.unwrap();
        sim.settle().await;
    });
    assert!(recorder.connections()[0].peer_addr().is_some());
}

#[test]
fn a_lost_client_is_noticed_under_hyper_too() {
    let sim = Sim::new();
    let (websockets, recorder) = start(&sim);
    sim.run(async {
        let _socket = sim.client("ws://chat.example/").connect().await.unwrap();
        sim.settle().await;
        assert_eq!(websockets.stats().counts().open, 1);
        sim.last_connection().unwrap().stall();
        sim.pass(Duration::from_secs(60)).await;
        assert_eq!(websockets.stats().counts().open, 0);
    });
    assert!(matches!(recorder.events()[1], Recorded::Disconnect(1006, _)));
}

#[test]
fn a_shutdown_tells_the_clients_and_refuses_later_ones() {
    let sim = Sim::new();
    let (websockets, _) = start(&sim);
    sim.run(async {
        let socket = sim.client("ws://chat.example/").connect().await.unwrap();
        sim.settle().await;
        websockets.shut_down().await;
        assert_eq!(socket.recv().await.unwrap_err().code(), 1001);
        let later = sim.client("ws://chat.example/").connect().await;
        assert!(matches!(later, Err(ConnectError::Refused(refusal)) if refusal.status == 503));
    });
}
