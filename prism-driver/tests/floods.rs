//! A peer that never stops sending, so that there is always something to read: all deadlines still
//! apply, other tasks run, and the peer can be written to.

use async_channel::Receiver;
use prism_driver::{CloseCode, Connection, Disconnect, Failure, Options, ProtocolError, Runtime};
use prism_test::{Faults, Peer, Received, Sim, pipe};

use crate::common::{close, flood::FloodTransport, handlers::HandOut, s, serve_on, text};

fn open_flood(sim: &Sim) -> (Peer, Faults, Receiver<Disconnect>, Connection) {
    let (server, client, faults) = pipe();
    let (handler, out) = HandOut::new();
    let mut options = Options::default();
    options.protocol.ping_interval = None;
    let ended = serve_on(sim, FloodTransport::new(server, sim), handler, options);
    let connection = sim.run(async { out.recv().await.unwrap() });
    (Peer::new(client), faults, ended, connection)
}

/// Asserts that the connection ended when it was due, or at most a second later.
fn assert_ended_at(sim: &Sim, due: u64) {
    let late = sim.now().checked_sub(s(due)).expect("it ended too early");
    assert!(late <= s(1), "{late:?} late");
}

#[test]
fn others_run_and_messages_leave() {
    let sim = Sim::default();
    let (mut peer, _, _, connection) = open_flood(&sim);
    sim.run(async {
        let from_a_task = connection.clone();
        sim.spawn(async move { from_a_task.send("from a task").await.unwrap() });
        assert_eq!(peer.next().await, text("from a task"));
        peer.send("to the handler").await;
        assert_eq!(peer.next().await, text("to the handler"));
        assert!(sim.now() < s(3));
    });
}

#[test]
fn the_close_timeout_ends_a_flood_after_its_close_frame() {
    let sim = Sim::default();
    let (mut peer, faults, ended, _) = open_flood(&sim);
    sim.run(async {
        peer.close(1000, "").await;
        assert_eq!(peer.all().await, [close(1000, ""), Received::End(Ok(()))]);
        ended.recv().await.unwrap();
        assert_ended_at(&sim, 5);
        assert!(faults.dropped_by_server());
    });
}

#[test]
fn the_close_timeout_ends_a_flood_after_our_close_frame() {
    let sim = Sim::default();
    let (mut peer, _, ended, connection) = open_flood(&sim);
    sim.run(async {
        peer.mute();
        assert!(connection.close(CloseCode::NORMAL, "bye"));
        let reason = ended.recv().await.unwrap();
        let error = ProtocolError::CloseTimeout;
        assert!(
            matches!(reason, Disconnect::Failed(Failure::Protocol(e)) if e == error),
            "{reason:?}"
        );
        assert_ended_at(&sim, 5);
    });
}

#[test]
fn the_write_timeout_ends_a_flood_that_reads_nothing() {
    let sim = Sim::default();
    let (_peer, faults, ended, connection) = open_flood(&sim);
    sim.run(async {
        faults.to_client().set_capacity(0);
        connection.send("does not leave").await.unwrap();
        let reason = ended.recv().await.unwrap();
        assert!(matches!(reason, Disconnect::Failed(Failure::WriteStalled)), "{reason:?}");
        assert_ended_at(&sim, 30);
    });
}
