//! A peer that never pauses, so that there is always something to read, escapes no deadline, keeps
//! nobody else from running, and can be written to.

mod common;

use async_channel::Receiver;
use common::{
    close,
    handlers::HandOut,
    peer::{Peer, Seen},
    pipe::{Script, pipe},
    s, serve_on,
    sim::Sim,
    text,
    torrent::Torrent,
};
use prism_driver::{CloseCode, Connection, Disconnect, Failure, Options, ProtocolError, Runtime};

fn torrent(sim: &Sim) -> (Peer, Script, Receiver<Disconnect>, Connection) {
    let (server, client, script) = pipe();
    let (handler, out) = HandOut::new();
    let mut options = Options::default();
    options.protocol.ping_interval = None;
    let ended = serve_on(sim, Torrent::new(server, sim), handler, options);
    let connection = sim.run(async { out.recv().await.unwrap() });
    (Peer::open(client), script, ended, connection)
}

/// It ended when it was due, or at most a second later.
fn assert_ended_at(sim: &Sim, due: u64) {
    let late = sim.now().checked_sub(s(due)).expect("it ended too early");
    assert!(late <= s(1), "{late:?} late");
}

#[test]
fn others_get_their_turn_and_messages_leave() {
    let sim = Sim::default();
    let (mut peer, _, _, connection) = torrent(&sim);
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
fn it_is_left_after_the_close_timeout_when_it_has_closed() {
    let sim = Sim::default();
    let (mut peer, script, ended, _) = torrent(&sim);
    sim.run(async {
        peer.close(1000, "").await;
        assert_eq!(peer.all().await, [close(1000, ""), Seen::End(Ok(()))]);
        ended.recv().await.unwrap();
        assert_ended_at(&sim, 5);
        assert!(script.dropped_by_server());
    });
}

#[test]
fn it_is_given_up_after_the_close_timeout_when_it_does_not_answer_our_close_frame() {
    let sim = Sim::default();
    let (mut peer, _, ended, connection) = torrent(&sim);
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
fn it_is_given_up_after_the_write_timeout_when_it_takes_nothing() {
    let sim = Sim::default();
    let (_peer, script, ended, connection) = torrent(&sim);
    sim.run(async {
        script.set_capacity_to_client(0);
        connection.send("does not leave").await.unwrap();
        let reason = ended.recv().await.unwrap();
        assert!(matches!(reason, Disconnect::Failed(Failure::WriteStalled)), "{reason:?}");
        assert_ended_at(&sim, 30);
    });
}
