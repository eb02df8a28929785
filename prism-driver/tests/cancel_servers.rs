//! Servers that are dropped half-way, at each point at which they can be: they accept nobody any
//! more, and whoever was accepted goes on, or goes on closing.

mod common;

use std::{cell::Cell, future::pending, pin::pin, time::Duration};

use async_channel::{Receiver, Sender, unbounded};
use common::{
    handlers::Log,
    ms,
    net::Net,
    s,
    scissors::at_each_step,
    sim::Sim,
    sockets::{client, owned},
};
use futures_lite::future::{or, poll_once, zip};
use prism_driver::{Connection, Disconnect, Handler, Message, Runtime, Server, Socket};

/// Takes its time, sends each message back, and writes down how it ended.
struct SlowEcho(Sim, Log);

impl Handler for SlowEcho {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.0.sleep(ms(100)).await;
        // It may be closing already.
        let _ = connection.send(message).await;
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.1.add(reason.to_string());
    }
}

/// A server, its network, and how its connections have ended.
fn server(sim: &Sim) -> (Server<Net>, Net, Log) {
    let (net, log) = (Net::new(sim), Log::default());
    let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    (bound.websocket("/chat", SlowEcho(sim.clone(), log.clone())), net, log)
}

/// Visitors who come one after the other, ten milliseconds apart, as long as somebody listens. Those
/// who get in.
fn visitors(sim: &Sim, net: &Net) -> Receiver<Socket> {
    let (tell, told) = unbounded();
    for n in 0..3 {
        sim.spawn(visit(sim.clone(), net.clone(), ms(10 * n), tell.clone()));
    }
    told
}

async fn visit(sim: Sim, net: Net, after: Duration, tell: Sender<Socket>) {
    sim.sleep(after).await;
    let Some((io, script)) = net.knock() else { return };
    script.set_piece(50);
    // Half of the request comes later.
    script.allow_to_server(100);
    let rest = async {
        sim.sleep(ms(5)).await;
        script.allow_to_server(usize::MAX);
    };
    if let (Ok(socket), ()) = zip(client(&sim).connect_stream(io), rest).await {
        tell.try_send(socket).unwrap();
    }
}

/// All who got in.
fn all(sockets: &Receiver<Socket>) -> Vec<Socket> {
    std::iter::from_fn(|| sockets.try_recv().ok()).collect()
}

// ---- bind

#[test]
fn bind_waits_for_nothing_so_that_there_is_nothing_to_drop() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    drop(Server::bind_on(net.clone(), "127.0.0.1:0"));
    assert!(net.knock().is_none(), "a future does nothing before it is polled");
    let mut binding = pin!(Server::bind_on(net.clone(), "127.0.0.1:0"));
    let server = sim.run(poll_once(&mut binding)).unwrap().unwrap();
    assert!(net.knock().is_some());
    drop(server);
    assert!(net.knock().is_none(), "a server that is dropped listens no more");
}

// ---- before a shutdown

/// Serves, until it is dropped.
fn serving(serve: impl AsyncFn(Server<Net>)) {
    at_each_step(|sim, scissors| {
        let (server, net, _) = server(sim);
        let guests = visitors(sim, &net);
        let for_long = async { sim.sleep(s(1)).await };
        scissors.cut(sim, or(serve(server), for_long));
        assert!(net.knock().is_none(), "somebody listens");

        let accepted = net.accepted();
        sim.run(sim.pass(s(2)));
        assert_eq!(net.accepted(), accepted, "somebody was accepted");
        let sockets = all(&guests);
        assert_eq!(sockets.len(), accepted, "somebody was accepted, and lost");
        for socket in &sockets {
            let echo = async {
                socket.send("echoed").await.unwrap();
                socket.recv().await.unwrap()
            };
            assert_eq!(sim.run(echo), owned("echoed"));
        }
        // And when they have left, nothing is left of the server.
        drop(sockets);
        sim.run(sim.settle());
        assert_eq!(net.tasks(), 0);
    });
}

#[test]
fn a_serve_that_is_dropped_keeps_whom_it_has_accepted() {
    serving(async |server| server.serve().await);
}

#[test]
fn a_serve_until_that_is_dropped_keeps_whom_it_has_accepted() {
    serving(async |server| {
        server.serve_until(pending()).await;
    });
}

// ---- during a shutdown

#[test]
fn a_shutdown_that_is_dropped_goes_on_closing() {
    at_each_step(|sim, scissors| {
        let (server, net, log) = server(sim);
        let guests = visitors(sim, &net);
        let shuts_down = Cell::new(false);
        let (tell, told) = unbounded();
        let shutdown = async {
            sim.sleep(s(1)).await;
            // One of them keeps the handler busy.
            let sockets = all(&guests);
            sockets[0].send("slow").await.unwrap();
            sim.sleep(ms(50)).await;
            tell.try_send(sockets).unwrap();
            shuts_down.set(true);
        };
        let outcome = scissors.cut(sim, server.serve_until(shutdown));
        if !shuts_down.get() {
            return; // as above
        }
        if let Some(outcome) = outcome {
            assert_eq!((outcome.closed, outcome.failed, outcome.cut), (3, 0, 0));
        }
        assert!(net.knock().is_none(), "somebody listens");
        for socket in told.try_recv().unwrap() {
            let ending = sim.run(goodbye(&socket));
            assert_eq!(ending, "closed by the peer with 1001 (the server is shutting down)");
        }
        // As soon as the handler is done.
        sim.run(sim.pass(ms(100)));
        assert_eq!(net.tasks(), 0, "somebody is still there");
        assert_eq!(log.lines(), ["closed by us with 1001 (the server is shutting down)"; 3]);
    });
}

async fn goodbye(socket: &Socket) -> String {
    loop {
        if let Err(ending) = socket.recv().await {
            return ending.to_string();
        }
    }
}
