//! What a handler sees, and which ends are final.

use async_channel::bounded;
use prism_driver::{
    CloseCode, Connection, ConnectionHandler, Disconnect, Ended, Failure, Handler, Message,
    ProtocolError,
};
use prism_test::Sim;

use super::{Counting, accept, accept_and_drop, network, refuse, run};
use crate::common::{handlers::Log, s};

#[test]
fn one_handler_serves_all_connections_one_after_the_other() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let (handler, log) = Counting::new();
    let ended = run(&sim, reconnect, handler);
    sim.run(async {
        let first = accept(&sim, &net).await.connection;
        first.send("a").await.unwrap();
        assert!(first.close(CloseCode::GOING_AWAY, "restart"));
        accept_and_drop(&sim, &net).await;
        let third = accept(&sim, &net).await.connection;
        third.send("b").await.unwrap();
        assert!(third.close(CloseCode::NORMAL, "the end"));
        let ended = ended.recv().await.unwrap();
        assert!(matches!(&ended, Ended::Disconnected(Disconnect::Peer { .. })), "{ended:?}");
        assert_eq!(ended.close_code(), Some(1000));
    });
    assert_eq!(
        log.lines(),
        [
            "1 connect",
            "1 a",
            "1 disconnect closed by the peer with 1001 (restart)",
            "2 connect",
            "2 disconnect the transport ended without a close frame",
            "3 connect",
            "3 b",
            "3 disconnect closed by the peer with 1000 (the end)",
        ]
    );
}

#[test]
fn a_handler_that_is_shared_serves_as_well() {
    struct Shared(Log);

    impl Handler for Shared {
        async fn on_connect(&self, _: &Connection) {
            self.0.add("connect");
        }

        async fn on_message(&self, _: &Connection, _: Message<'_>) {}
    }

    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let log = Log::default();
    let handler = std::sync::Arc::new(Shared(log.clone()));
    let ended = run(&sim, reconnect, handler.clone());
    sim.run(async {
        accept_and_drop(&sim, &net).await;
        assert!(accept(&sim, &net).await.connection.close(CloseCode::NORMAL, ""));
        ended.recv().await.unwrap();
    });
    assert_eq!(log.lines(), ["connect", "connect"]);
}

#[test]
fn no_connection_is_opened_before_on_disconnect_has_returned() {
    struct Slow(async_channel::Receiver<()>);

    impl ConnectionHandler for Slow {
        async fn on_message(&mut self, _: &Connection, _: Message<'_>) {}

        async fn on_disconnect(&mut self, _: &Connection, _: Disconnect) {
            self.0.recv().await.unwrap();
        }
    }

    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let (open, gate) = bounded(1);
    run(&sim, reconnect, Slow(gate));
    sim.run(async {
        accept_and_drop(&sim, &net).await;
        sim.pass(s(1000)).await;
        assert_eq!(net.attempts().len(), 1);
        open.send(()).await.unwrap();
        accept(&sim, &net).await;
    });
}

#[test]
fn a_final_refusal_is_returned() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let (handler, log) = Counting::new();
    let ended = run(&sim, reconnect, handler);
    sim.run(async {
        refuse(&net, 503, "").await;
        refuse(&net, 401, "").await;
        assert_eq!(ended.recv().await.unwrap().status(), Some(401));
        assert_eq!(net.attempts().len(), 2);
    });
    assert!(log.lines().is_empty(), "an attempt that fails is no connection");
}

#[test]
fn a_close_by_the_handler_is_final() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let (handler, _) = Counting::new();
    let ended = run(&sim, reconnect, handler);
    sim.run(async {
        accept(&sim, &net).await.connection.send("close").await.unwrap();
        match ended.recv().await.unwrap() {
            Ended::Closed(Some(Disconnect::Local { reason, .. })) => assert_eq!(reason, "enough"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_close_by_the_handler_is_final_although_the_server_does_not_answer() {
    for cuts in [true, false] {
        let sim = Sim::default();
        let (net, reconnect) = network(&sim);
        let (handler, _) = Counting::new();
        let ended = run(&sim, reconnect, handler);
        sim.run(async {
            let server = accept(&sim, &net).await;
            // The server never sees the close frame.
            sim.settle().await;
            server.faults.to_server().set_capacity(0);
            server.connection.send("close").await.unwrap();
            sim.settle().await;
            if cuts {
                server.connection.abort();
            }
            let expected =
                if cuts { ProtocolError::UnexpectedEof } else { ProtocolError::CloseTimeout };
            match ended.recv().await.unwrap() {
                Ended::Closed(Some(Disconnect::Failed(Failure::Protocol(error)))) => {
                    assert_eq!(error, expected);
                }
                Ended::Closed(Some(Disconnect::Failed(Failure::Io(_)))) => assert!(cuts),
                other => panic!("{other:?}"),
            }
        });
        assert_eq!(net.attempts().len(), 1);
    }
}

#[test]
fn an_abort_by_the_handler_is_final() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let (handler, _) = Counting::new();
    let ended = run(&sim, reconnect, handler);
    sim.run(async {
        accept(&sim, &net).await.connection.send("abort").await.unwrap();
        let ended = ended.recv().await.unwrap();
        let expected = Disconnect::Failed(Failure::Aborted).to_string();
        assert!(matches!(&ended, Ended::Closed(Some(reason)) if reason.to_string() == expected));
    });
}

#[test]
fn a_panic_of_the_handler_is_final() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let (handler, log) = Counting::new();
    let ended = run(&sim, reconnect, handler);
    sim.run(async {
        accept(&sim, &net).await.connection.send("panic").await.unwrap();
        let ended = ended.recv().await.unwrap();
        let panicked = Disconnect::Failed(Failure::HandlerPanicked).to_string();
        assert!(matches!(&ended, Ended::Disconnected(reason) if reason.to_string() == panicked));
        assert!(log.contains(&format!("1 disconnect {panicked}")));
    });
}

#[test]
fn a_handler_that_panicked_serves_again_if_the_application_goes_on() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let (handler, log) = Counting::new();
    run(&sim, reconnect.retry_if(|_| true), handler);
    sim.run(async {
        accept(&sim, &net).await.connection.send("panic").await.unwrap();
        accept(&sim, &net).await;
        sim.settle().await;
        assert!(log.contains("2 connect"));
    });
}
