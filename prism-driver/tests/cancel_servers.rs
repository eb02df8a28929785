//! Servers, dropped at every point: no more connections are accepted, and those that were accepted go
//! on, or go on closing.

use std::{cell::Cell, future::pending, pin::pin, time::Duration};

use async_channel::{Receiver, Sender, unbounded};
use futures_lite::future::{or, poll_once, zip};
use prism_driver::{Connection, Disconnect, Handler, Message, Runtime, Server, Socket};
use prism_test::Sim;

use crate::common::{
    cancellation::at_each_step,
    handlers::Log,
    ms,
    net::Net,
    s,
    sockets::{client, owned},
};

/// Sends each message back after a while, and logs how the connection ended.
struct SlowEcho(Sim, Log);

impl Handler for SlowEcho {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.0.sleep(ms(100)).await;
        // The connection may be closing already.
        let _ = connection.send(message).await;
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.1.add(reason.to_string());
    }
}

/// Returns a server, its network, and the log of how its connections ended.
fn server(sim: &Sim) -> (Server<Net>, Net, Log) {
    let (net, log) = (Net::new(sim), Log::default());
    let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    (bound.websocket("/chat", SlowEcho(sim.clone(), log.clone())), net, log)
}

/// Starts three clients, ten milliseconds apart, and returns the sockets of those that connect.
fn start_clients(sim: &Sim, net: &Net) -> Receiver<Socket> {
    let (connected, sockets) = unbounded();
    for n in 0..3 {
        sim.spawn(connect(sim.clone(), net.clone(), ms(10 * n), connected.clone()));
    }
    sockets
}

async fn connect(sim: Sim, net: Net, after: Duration, connected: Sender<Socket>) {
    sim.sleep(after).await;
    let Some((io, faults)) = net.connect_raw() else { return };
    faults.set_piece(50);
    // Half of the request arrives later.
    faults.to_server().allow(100);
    let rest = async {
        sim.sleep(ms(5)).await;
        faults.to_server().allow(usize::MAX);
    };
    if let (Ok(socket), ()) = zip(client(&sim).connect_stream(io), rest).await {
        connected.try_send(socket).unwrap();
    }
}

/// Returns all clients that have connected.
fn all(sockets: &Receiver<Socket>) -> Vec<Socket> {
    std::iter::from_fn(|| sockets.try_recv().ok()).collect()
}

// ---- bind

#[test]
fn bind_completes_at_its_first_poll() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    drop(Server::bind_on(net.clone(), "127.0.0.1:0"));
    assert!(net.connect_raw().is_none(), "a future does nothing before it is polled");
    let mut binding = pin!(Server::bind_on(net.clone(), "127.0.0.1:0"));
    let server = sim.run(poll_once(&mut binding)).unwrap().unwrap();
    assert!(net.connect_raw().is_some());
    drop(server);
    assert!(net.connect_raw().is_none(), "a dropped server does not listen");
}

// ---- before a shutdown

/// Serves until the future is dropped.
fn serving(serve: impl AsyncFn(Server<Net>)) {
    at_each_step(|sim, cancel_point| {
        let (server, net, _) = server(sim);
        let clients = start_clients(sim, &net);
        let for_a_second = async { sim.sleep(s(1)).await };
        cancel_point.run(sim, or(serve(server), for_a_second));
        assert!(net.connect_raw().is_none(), "the listener is still open");

        let accepted = net.accepted();
        sim.run(sim.pass(s(2)));
        assert_eq!(net.accepted(), accepted, "a connection was accepted afterwards");
        let sockets = all(&clients);
        assert_eq!(sockets.len(), accepted, "an accepted connection was lost");
        for socket in &sockets {
            let echo = async {
                socket.send("echoed").await.unwrap();
                socket.recv().await.unwrap()
            };
            assert_eq!(sim.run(echo), owned("echoed"));
        }
        // When the clients have left, nothing remains of the server.
        drop(sockets);
        sim.run(sim.settle());
        assert_eq!(net.tasks(), 0);
    });
}

#[test]
fn dropping_serve_keeps_accepted_connections() {
    serving(async |server| server.serve().await);
}

#[test]
fn dropping_serve_until_keeps_accepted_connections() {
    serving(async |server| {
        server.serve_until(pending()).await;
    });
}

// ---- during a shutdown

#[test]
fn a_dropped_shutdown_goes_on_closing() {
    at_each_step(|sim, cancel_point| {
        let (server, net, log) = server(sim);
        let clients = start_clients(sim, &net);
        let shuts_down = Cell::new(false);
        let (tell, told) = unbounded();
        let shutdown = async {
            sim.sleep(s(1)).await;
            // One of them keeps its handler busy.
            let sockets = all(&clients);
            sockets[0].send("slow").await.unwrap();
            sim.sleep(ms(50)).await;
            tell.try_send(sockets).unwrap();
            shuts_down.set(true);
        };
        let outcome = cancel_point.run(sim, server.serve_until(shutdown));
        if !shuts_down.get() {
            return; // dropped before the shutdown: see above
        }
        if let Some(outcome) = outcome {
            assert_eq!((outcome.closed, outcome.failed, outcome.cut), (3, 0, 0));
        }
        assert!(net.connect_raw().is_none(), "the listener is still open");
        for socket in told.try_recv().unwrap() {
            let ending = sim.run(ending(&socket));
            assert_eq!(ending, "closed by the peer with 1001 (the server is shutting down)");
        }
        // The busy handler needs this long.
        sim.run(sim.pass(ms(100)));
        assert_eq!(net.tasks(), 0, "a task is still running");
        assert_eq!(log.lines(), ["closed by us with 1001 (the server is shutting down)"; 3]);
    });
}

/// Receives to the end, and returns how the connection ended.
async fn ending(socket: &Socket) -> String {
    loop {
        if let Err(ending) = socket.recv().await {
            return ending.to_string();
        }
    }
}
