//! How the connections of `WebSockets` end.

use std::{
    future::{pending, ready},
    pin::pin,
};

use async_channel::bounded;
use futures_lite::future::{or, poll_once};
use prism_driver::{Options, Reply, Runtime, ServerOptions};
use prism_test::{Peer, Received, Sim, pipe};

use crate::common::{
    close,
    handlers::Echo,
    ms, s, text,
    websockets::{accept, of, open, request, status, websockets},
};

#[test]
fn a_shutdown_tells_each_connection_once_and_refuses_later_ones() {
    let sim = Sim::default();
    let websockets = websockets(&sim, |it| it);
    let request = request("/chat");
    sim.run(async {
        let mut peers =
            [open(&websockets, of(&request)).await, open(&websockets, of(&request)).await];
        let (_, late) = accept(&websockets, of(&request)).await.expect("it is valid");
        let (stop, stopped) = bounded::<()>(1);
        let mut closing = pin!(websockets.closing(async { while stopped.recv().await.is_ok() {} }));
        assert!(poll_once(&mut closing).await.is_none());
        peers[0].send("still there?").await;
        assert_eq!(peers[0].next().await, text("still there?"));
        stop.close();
        closing.await;
        for peer in &mut peers {
            assert_eq!(peer.next().await, close(1001, "the server is shutting down"));
            assert_eq!(peer.next().await, Received::End(Ok(())));
        }
        let (server, client, _) = pipe();
        late.serve(server, Echo);
        let mut late = Peer::new(client);
        assert_eq!(late.next().await, close(1001, "the server is shutting down"));
        assert_eq!(status(&websockets, of(&request)).await, 503);
        drop((peers, late));
        let outcome = websockets.shut_down().await;
        assert_eq!((outcome.closed, outcome.failed, outcome.cut), (3, 0, 0));
        assert_eq!(websockets.shut_down().await, outcome);
        assert_eq!(sim.now(), s(0));
    });
}

#[test]
fn a_handler_that_hangs_is_cut_at_the_end_of_the_grace_period() {
    let sim = Sim::default();
    let options = ServerOptions::default().shutdown_grace(s(3));
    let websockets = websockets(&sim, |it| it.options(options));
    sim.run(async {
        let (_, opening) = accept(&websockets, of(&request("/"))).await.expect("ok");
        let (server, _client, _) = pipe();
        opening.serve_socket(server, |_socket| pending());
        let mut shut_down = Box::pin(websockets.shut_down());
        assert!(poll_once(&mut shut_down).await.is_none());
        drop(shut_down); // which does not cancel the shutdown
        assert_eq!(websockets.shut_down().await.cut, 1);
        assert_eq!(sim.now(), s(3) + s(1));
    });
}

#[test]
fn a_shutdown_waits_a_second_for_requests_and_cuts_what_opens_later() {
    let sim = Sim::default();
    let websockets = websockets(&sim, |it| it);
    let request = request("/");
    sim.run(async {
        let upgrade = websockets.upgrade(of(&request)).await.expect("it is valid");
        let outcome = websockets.shut_down().await;
        assert_eq!((outcome.closed, outcome.failed, outcome.cut), (0, 0, 0));
        assert_eq!(sim.now(), s(2)); // one before the cut, and one after it
        let (_, opening) = upgrade.accept();
        let (server, client, _) = pipe();
        opening.serve(server, Echo);
        assert!(matches!(Peer::new(client).next().await, Received::End(_)));
        sim.settle().await;
        let counts = websockets.stats().counts();
        assert_eq!((counts.open, counts.closed, sim.now()), (0, 1, s(2)));
    });
}

#[test]
fn a_request_that_is_authorized_during_a_shutdown_is_refused() {
    let sim = Sim::default();
    let clock = sim.clone();
    let websockets = websockets(&sim, |it| {
        it.authorize(move |_| {
            let slow = clock.sleep(s(3));
            async {
                slow.await;
                Ok::<_, Reply>(())
            }
        })
    });
    let request = request("/");
    sim.run(async {
        let mut status = pin!(status(&websockets, of(&request)));
        assert!(poll_once(&mut status).await.is_none());
        websockets.shut_down().await;
        assert_eq!(status.await, 503);
        assert_eq!(websockets.stats().counts().refused.evicted, 1);
    });
}

#[test]
fn a_shutdown_ends_if_its_runtime_does() {
    let sim = Sim::default();
    let websockets = websockets(&sim, |it| it);
    let _peer = sim.run(open(&websockets, of(&request("/"))));
    let mut shut_down = pin!(websockets.shut_down());
    assert!(sim.run(poll_once(&mut shut_down)).is_none());
    sim.run(sim.settle()); // now the shutdown waits for the peer
    sim.drop_tasks();
    let outcome = sim.run(shut_down);
    assert_eq!(outcome.closed + outcome.failed + outcome.cut, 1);
}

#[test]
fn the_timers_run_until_the_last_connection_has_ended() {
    let sim = Sim::default();
    let options = Options::default().ping_interval(Some(s(10)));
    let websockets = websockets(&sim, |it| it.options(options));
    sim.run(async {
        let mut peer = open(&websockets, of(&request("/chat"))).await;
        drop(websockets);
        assert_eq!(peer.next().await, Received::Ping);
        assert_eq!(sim.now(), s(10));
        drop(peer);
        sim.settle().await;
    });
    assert!(!sim.step(), "no task is left");
}

#[test]
fn a_panic_of_the_function_closes_with_1011_before_its_future_and_in_it() {
    let sim = Sim::default();
    let websockets = websockets(&sim, |it| it);
    sim.run(async {
        for in_future in [false, true] {
            let (_, opening) = accept(&websockets, of(&request("/"))).await.expect("it is valid");
            let (server, client, _) = pipe();
            opening.serve_socket(server, move |socket| {
                assert!(in_future, "on purpose");
                async move {
                    let _socket = socket;
                    panic!("on purpose")
                }
            });
            let mut peer = Peer::new(client);
            assert_eq!(peer.next().await, close(1011, "internal error"));
            peer.end().await;
        }
        sim.settle().await;
        let counts = websockets.stats().counts();
        assert_eq!((counts.open, counts.closed), (0, 2));
    });
}

#[test]
fn a_stream_has_to_come_within_the_handshake_timeout() {
    let sim = Sim::default();
    let websockets = websockets(&sim, |it| it);
    let request = request("/chat");
    sim.run(async {
        let open = async || accept(&websockets, of(&request)).await.expect("ok").1;
        open().await.when_ready(pending::<Option<()>>(), |_, ()| unreachable!());
        open().await.when_ready(ready(None::<()>), |_, ()| unreachable!());
        let (server, client, _) = pipe();
        open().await.when_ready(ready(Some(server)), |opening, it| opening.serve(it, Echo));
        let mut peer = Peer::new(client);
        peer.send("a").await;
        assert_eq!(peer.next().await, text("a"));
        let counts = websockets.stats().counts();
        assert_eq!((counts.open, counts.in_handshake, counts.refused.left), (1, 1, 1));
        or(
            async {
                peer.all().await;
            },
            sim.pass(s(10)),
        )
        .await;
        sim.pass(ms(1)).await;
        let counts = websockets.stats().counts();
        assert_eq!((counts.open, counts.in_handshake, counts.refused.left), (1, 0, 2));
    });
}

#[test]
fn an_upgrade_that_the_application_drops_is_refused_by_it() {
    let sim = Sim::default();
    let websockets = websockets(&sim, |it| it);
    sim.run(async {
        drop(websockets.upgrade(of(&request("/chat"))).await.expect("it is valid"));
        let counts = websockets.stats().counts();
        assert_eq!((counts.in_handshake, counts.refused.unauthorized), (0, 1));
    });
}
