//! The contract of handlers, rules 1, 2, 6 and 8: what runs when. The name of each test begins with the
//! number of its rule.

use std::sync::Arc;

use futures_lite::future::poll_once;
use prism_driver::{Disconnect, Failure, Options, Runtime};
use prism_test::{Received, Sim};

use crate::common::{close, handed_out, handlers::Recorder, kinds::on_both_kinds, s, text};

// ---- 1. `on_connect` runs first, once. It may send before anything was read.

#[test]
fn contract_1_on_connect_runs_first_and_once_and_may_send() {
    on_both_kinds(|kind| {
        let sim = Sim::default();
        let (recorder, log, _gate) = Recorder::new();
        let (mut peer, _, _) = kind.serve(&sim, recorder, Options::default());
        sim.run(async {
            // The peer has sent nothing.
            assert_eq!(peer.next().await, text("welcome"));
            peer.send_together(&["a", "b"]).await;
            assert_eq!((peer.next().await, peer.next().await), (text("a"), text("b")));
        });
        assert_eq!(log.lines(), ["connect", "begin a", "end a", "begin b", "end b"]);
    });
}

// ---- 2. `on_message` runs one at a time per connection, in wire order. Different connections run
// ----    in parallel.

#[test]
fn contract_2_on_message_runs_one_at_a_time_in_wire_order() {
    on_both_kinds(|kind| {
        let sim = Sim::default();
        let (recorder, log, gate) = Recorder::new();
        let (mut peer, _, _) = kind.serve(&sim, recorder, Options::default());
        sim.run(async {
            peer.send_together(&["wait", "a", "b"]).await;
            sim.settle().await;
            assert_eq!(log.lines(), ["connect", "begin wait"], "a and b have to wait");
            gate.send(()).await.unwrap();
            sim.settle().await;
        });
        let order = ["connect", "begin wait", "end wait", "begin a", "end a", "begin b", "end b"];
        assert_eq!(log.lines(), order);
    });
}

#[test]
fn contract_2_different_connections_run_in_parallel() {
    on_both_kinds(|kind| {
        let sim = Sim::default();
        let (recorder, log, gate) = Recorder::new();
        let recorder = Arc::new(recorder);
        let (mut first, _, _) = kind.serve(&sim, recorder.clone(), Options::default());
        let (mut second, _, _) = kind.serve(&sim, recorder, Options::default());
        sim.run(async {
            first.send("wait").await;
            sim.settle().await;
            second.send("hello").await;
            assert_eq!(
                (second.next().await, second.next().await),
                (text("welcome"), text("hello"))
            );
            assert!(!log.lines().contains(&"end wait".to_owned()), "the first is still waiting");
            gate.send(()).await.unwrap();
            sim.settle().await;
        });
        assert_eq!(log.lines().last().unwrap(), "end wait");
    });
}

// ---- 6. A panic in a handler ends only its own connection (1011); `on_disconnect` still runs; the
// ----    server lives.

#[test]
fn contract_6_a_panic_ends_only_its_own_connection() {
    on_both_kinds(|kind| {
        let sim = Sim::default();
        let (recorder, log, _gate) = Recorder::new();
        let recorder = Arc::new(recorder);
        let (mut doomed, _, ended) = kind.serve(&sim, recorder.clone(), Options::default());
        let (mut other, _, _) = kind.serve(&sim, recorder, Options::default());
        sim.run(async {
            assert_eq!(
                (doomed.next().await, other.next().await),
                (text("welcome"), text("welcome"))
            );
            doomed.send("panic").await;
            assert_eq!(doomed.next().await, close(1011, "internal error"));
            assert_eq!(doomed.next().await, Received::End(Ok(())));
            drop(doomed);
            let reason = ended.recv().await.unwrap();
            assert!(matches!(reason, Disconnect::Failed(Failure::HandlerPanicked)), "{reason:?}");
            other.send("still here").await;
            assert_eq!(other.next().await, text("still here"));
        });
        assert!(log.lines().contains(&"disconnect the handler panicked".to_owned()));
    });
}

// ---- 8. A handler may be slow; while it runs its peer's pings wait, and the buffer is kept that its
// ----    message lies in, 64 KiB at least. Spawn long work: the handle is `Clone`.

#[test]
fn contract_8_while_a_handler_runs_pings_wait_without_timeout() {
    on_both_kinds(|kind| {
        let sim = Sim::default();
        let (recorder, _, gate) = Recorder::new();
        let (mut peer, _, _) = kind.serve(&sim, recorder, Options::default());
        sim.run(async {
            assert_eq!(peer.next().await, text("welcome"));
            peer.send("wait").await;
            peer.raw(b"\x89\x84\0\0\0\0ping").await;
            // Far beyond the pong timeout. The peer is alive, but nothing is read from it.
            sim.pass(s(600)).await;
            while let Some(seen) = poll_once(peer.next()).await {
                assert_eq!(seen, Received::Ping, "while the handler runs");
            }
            gate.send(()).await.unwrap();
            assert_eq!(peer.next_but_pings().await, Received::Pong(b"ping".to_vec()));
            peer.send("fine").await;
            assert_eq!(peer.next_but_pings().await, text("fine"));
        });
    });
}

#[test]
fn contract_8_a_cloned_handle_sends_from_anywhere() {
    let sim = Sim::default();
    let (mut peer, _, _, connection) = handed_out(&sim, Options::default());
    sim.run(async {
        let clone = connection.clone();
        sim.spawn(async move { clone.send("from a task").await.unwrap() });
        assert_eq!(peer.next().await, text("from a task"));
        std::thread::scope(|scope| {
            scope.spawn(|| connection.try_send("from a thread").unwrap());
        });
        assert_eq!(peer.next().await, text("from a thread"));
    });
}
