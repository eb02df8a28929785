//! A client that a test drives step by step.

use std::time::Duration;

use prism_driver::{CloseCode, Options};
use prism_test::{Peer, Received, Recorded, Recorder, Sim};

fn recorded(sim: &Sim) -> (Recorder, Peer) {
    let recorder = Recorder::new();
    let (peer, _) = sim.serve(recorder.clone(), Options::default());
    sim.run(sim.settle());
    (recorder, peer)
}

#[test]
fn a_peer_answers_pings_while_the_test_waits_for_something() {
    let sim = Sim::new();
    let (recorder, mut peer) = recorded(&sim);
    let connection = &recorder.connections()[0];
    sim.run(async {
        connection.ping(b"are you there?").unwrap();
        assert_eq!(peer.next().await, Received::Ping);
        sim.settle().await;
    });
    assert_eq!(recorder.events()[1], Recorded::Pong(b"are you there?".to_vec()));
}

#[test]
fn a_mute_peer_answers_neither_pings_nor_close_frames() {
    let sim = Sim::new();
    let (recorder, mut peer) = recorded(&sim);
    let connection = &recorder.connections()[0];
    peer.mute();
    sim.run(async {
        connection.ping(b"").unwrap();
        connection.close(CloseCode::NORMAL, "bye");
        assert_eq!(peer.next().await, Received::Ping);
        assert_eq!(peer.next().await, Received::Close(1000, "bye".into()));
        sim.pass(Duration::from_secs(60)).await;
    });
    assert!(matches!(recorder.events()[1], Recorded::Disconnect(1006, _)));
}

#[test]
fn events_are_listed_for_each_connection() {
    let (sim, recorder) = (Sim::new(), Recorder::new());
    let (mut first, _) = sim.serve(recorder.clone(), Options::default());
    let (mut second, _) = sim.serve(recorder.clone(), Options::default());
    sim.run(async {
        second.send("from the second").await;
        sim.settle().await;
        first.send_and_close(&["from the first"], 4000, "").await;
        sim.settle().await;
    });
    assert_eq!(
        recorder.events_of(&recorder.connections()[0]),
        [
            Recorded::Connect,
            Recorded::Text("from the first".into()),
            Recorded::Disconnect(4000, String::new()),
        ]
    );
    assert_eq!(recorder.events().len(), 5);
}
