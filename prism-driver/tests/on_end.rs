//! `Connection::on_end`: hooks run once a connection is over, however it ended.

use std::io::ErrorKind::ConnectionReset;

use futures_lite::future::{block_on, poll_once};
use prism_driver::{Connection, Disconnect, Handler, Message, Options, serve_upgraded};
use prism_test::{Sim, pipe};

use crate::common::{
    handed_out,
    handlers::{Log, Recorder},
    serve, serve_on,
};

/// A [`Recorder`] that adds two hooks to each connection.
struct Hooked(Recorder, Log);

impl Handler for Hooked {
    async fn on_connect(&self, connection: &Connection) {
        for name in ["first", "second"] {
            let log = self.1.clone();
            connection.on_end(move || log.add(format!("{name} hook")));
        }
        self.0.on_connect(connection).await;
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.0.on_message(connection, message).await;
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.0.on_disconnect(connection, reason).await;
    }
}

fn hooked() -> (Hooked, Log) {
    let (recorder, log, _) = Recorder::new();
    (Hooked(recorder, log.clone()), log)
}

#[test]
fn hooks_run_once_and_before_on_disconnect() {
    let sim = Sim::default();
    let (handler, log) = hooked();
    let (mut peer, _, ended) = serve(&sim, handler, Options::default());
    sim.run(async {
        peer.close(1000, "bye").await;
        peer.all().await;
        ended.recv().await.unwrap();
        let lines = log.lines();
        assert_eq!(lines[..3], ["connect", "first hook", "second hook"]);
        assert!(lines[3].starts_with("disconnect") && lines.len() == 4, "{lines:?}");
    });
}

#[test]
fn hooks_run_after_a_panic_or_a_failure() {
    for panics in [true, false] {
        let sim = Sim::default();
        let (handler, log) = hooked();
        let (mut peer, faults, ended) = serve(&sim, handler, Options::default());
        sim.run(async {
            sim.settle().await;
            if panics {
                peer.send("panic").await;
            } else {
                faults.to_server().fail(ConnectionReset);
            }
            assert!(matches!(ended.recv().await, Ok(Disconnect::Failed(_))));
            let hooks = log.lines().into_iter().filter(|line| line.ends_with("hook"));
            assert_eq!(hooks.count(), 2);
        });
    }
}

#[test]
fn closed_returns_after_the_hooks_have_run() {
    let sim = Sim::default();
    let (mut peer, _, _, connection) = handed_out(&sim, Options::default());
    let (log, in_hook) = (Log::default(), connection.clone());
    let hook_log = log.clone();
    connection.on_end(move || {
        let is_over = block_on(poll_once(in_hook.closed())).is_some();
        hook_log.add(format!("over: {is_over}"));
    });
    sim.run(async {
        peer.close(1000, "").await;
        connection.closed().await;
        assert_eq!(log.lines(), ["over: false"]);
    });
}

#[test]
fn hooks_run_when_the_connections_task_is_dropped() {
    let sim = Sim::default();
    let (handler, log) = hooked();
    let (server, _client, _) = pipe();
    sim.run(async {
        let options = Options::default();
        let serving = serve_upgraded(sim.clone(), server, "/", &options, handler);
        assert!(poll_once(serving).await.is_none(), "dropped");
        assert_eq!(log.lines(), ["connect", "first hook", "second hook"]);
    });
}

#[test]
fn a_late_hook_runs_at_once_and_its_panic_is_contained() {
    let sim = Sim::default();
    let (mut peer, _, ended, connection) = handed_out(&sim, Options::default());
    sim.run(async {
        peer.close(1000, "").await;
        peer.all().await;
        ended.recv().await.unwrap();
        let log = Log::default();
        let hook_log = log.clone();
        connection.on_end(|| panic!("on purpose"));
        connection.on_end(move || hook_log.add("hook"));
        assert_eq!(log.lines(), ["hook"]);
    });
}

#[test]
fn a_panicking_hook_does_not_stop_the_others() {
    let sim = Sim::default();
    let (handler, log) = hooked();
    let (server, client, _) = pipe();
    let ended = serve_on(&sim, server, PanickingHook(handler), Options::default());
    sim.run(async {
        sim.settle().await;
        drop(client);
        ended.recv().await.unwrap();
        let lines = log.lines();
        assert_eq!(lines[..3], ["connect", "first hook", "second hook"]);
        assert_eq!(lines.len(), 4, "the hooks and on_disconnect: {lines:?}");
    });
}

/// A [`Hooked`] whose first hook panics.
struct PanickingHook(Hooked);

impl Handler for PanickingHook {
    async fn on_connect(&self, connection: &Connection) {
        connection.on_end(|| panic!("on purpose"));
        self.0.on_connect(connection).await;
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.0.on_disconnect(connection, reason).await;
    }
}
