//! The handle within calls of the handler, which have to return before there can be another connection: it does not
//! wait there.

use std::{error::Error, future::pending};

use async_channel::{Sender, unbounded};
use futures_lite::future::poll_once;
use prism_driver::{
    CloseCode, Connection, ConnectionHandler, Disconnect, Message, ReconnectHandle, Runtime,
    SendError,
};
use prism_test::Sim;

use super::{Counting, accept, accept_and_drop, network, run};

/// Where it was called, whether the handle had a connection, and what came of sending by the handle.
type Call = (&'static str, bool, Result<(), SendError>);

/// Uses the handle in each call.
struct Uses {
    handle: ReconnectHandle,
    calls: Sender<Call>,
}

impl Uses {
    async fn call(&self, name: &'static str) {
        let connected = self.handle.connected().await.is_some();
        let sent = self.handle.send(name).await;
        self.calls.send((name, connected, sent)).await.unwrap();
    }
}

impl ConnectionHandler for Uses {
    async fn on_connect(&mut self, _: &Connection) {
        self.call("connect").await;
    }

    async fn on_message(&mut self, connection: &Connection, message: Message<'_>) {
        if message.as_text() == Some("close") {
            connection.close(CloseCode::NORMAL, "");
        }
        self.call("message").await;
    }

    async fn on_wake(&mut self, _: &Connection) {
        self.call("wake").await;
    }

    async fn on_disconnect(&mut self, _: &Connection, _: Disconnect) {
        self.call("disconnect").await;
    }
}

#[test]
fn within_calls_of_the_handler_the_handle_does_not_wait_for_another_connection() {
    const CLOSED: Result<(), SendError> = Err(SendError::Closed);
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let (calls, called) = unbounded();
    let handle = reconnect.handle();
    run(&sim, reconnect, Uses { handle: handle.clone(), calls });
    sim.run(async {
        for _ in 0..2 {
            let server = accept(&sim, &net).await;
            assert_eq!(called.recv().await.unwrap(), ("connect", false, CLOSED));
            sim.settle().await;
            server.connection.send("hello").await.unwrap();
            assert_eq!(called.recv().await.unwrap(), ("message", true, Ok(())));
            handle.current().unwrap().wake();
            assert_eq!(called.recv().await.unwrap(), ("wake", true, Ok(())));
            sim.settle().await;
            assert_eq!(server.received.lines(), ["message", "wake"]);
            server.connection.abort();
            assert_eq!(called.recv().await.unwrap(), ("disconnect", false, CLOSED));
        }
        // Nor while the connection is closing.
        let server = accept(&sim, &net).await;
        assert_eq!(called.recv().await.unwrap(), ("connect", false, CLOSED));
        server.connection.send("close").await.unwrap();
        assert_eq!(called.recv().await.unwrap(), ("message", false, CLOSED));
        assert_eq!(called.recv().await.unwrap(), ("disconnect", false, CLOSED));
    });
}

#[test]
fn a_message_that_waits_for_room_within_a_call_fails_when_the_connection_does() {
    struct Fills(ReconnectHandle, Sender<Call>);

    impl ConnectionHandler for Fills {
        async fn on_message(&mut self, _: &Connection, _: Message<'_>) {
            while self.0.send(vec![0; 64 << 10]).await.is_ok() {}
            self.1.send(("failed", false, Ok(()))).await.unwrap();
        }
    }

    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let (calls, called) = unbounded();
    let handle = reconnect.handle();
    run(&sim, reconnect, Fills(handle, calls));
    sim.run(async {
        let server = accept(&sim, &net).await;
        server.faults.to_server().set_capacity(0);
        server.connection.send("go").await.unwrap();
        sim.settle().await;
        assert!(called.is_empty(), "it waits for room");
        server.connection.abort();
        assert_eq!(called.recv().await.unwrap(), ("failed", false, Ok(())));
        accept(&sim, &net).await;
    });
}

#[test]
fn while_an_attempt_is_prepared_the_handle_does_not_wait_for_it() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let handle = reconnect.handle();
    let reconnect = reconnect.before_each(move |client| {
        let handle = handle.clone();
        async move {
            assert_eq!(handle.send("too early").await, Err(SendError::Closed));
            assert!(handle.connected().await.is_none());
            Ok::<_, Box<dyn Error + Send + Sync>>(client)
        }
    });
    run(&sim, reconnect, Counting::new().0);
    sim.run(async {
        for _ in 0..2 {
            accept_and_drop(&sim, &net).await;
        }
    });
}

#[test]
fn what_a_handler_spawns_may_wait() {
    struct Spawns(Sim, ReconnectHandle);

    impl ConnectionHandler for Spawns {
        async fn on_connect(&mut self, _: &Connection) {
            let handle = self.1.clone();
            self.0.spawn(async move { handle.send("later").await.unwrap() });
        }

        async fn on_message(&mut self, connection: &Connection, _: Message<'_>) {
            connection.close(CloseCode::NORMAL, "");
            pending::<()>().await;
        }
    }

    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let handle = reconnect.handle();
    run(&sim, reconnect, Spawns(sim.clone(), handle.clone()));
    sim.run(async {
        let server = accept(&sim, &net).await;
        sim.settle().await;
        assert_eq!(server.received.lines(), ["later"]);
        // A call that runs elsewhere does not matter to others.
        server.connection.send("close").await.unwrap();
        sim.settle().await;
        assert!(poll_once(handle.send("waits")).await.is_none());
    });
}
