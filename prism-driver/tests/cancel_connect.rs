//! Connecting, dropped half-way, at each point at which it can be: it leaves nothing behind, neither
//! an attempt nor a transport nor a task.

mod common;

use std::time::Duration;

use async_channel::bounded;
use common::{
    handlers::Echo,
    ms,
    net::{
        Net,
        Reach::{After, Never, RefusedAfter},
    },
    s,
    scissors::at_each_step,
    serve_handshake,
    sim::{Sim, Sleep},
    sockets::owned,
};
use futures_lite::future::poll_once;
use prism_driver::{
    Client, ConnectError, Disconnect, Failure, Network, Options, Runtime, SendError, Socket,
    serve_stream,
};

const WHERE: &str = "[::2]:80";

/// A name with an address that says nothing, one that refuses, and one with a server, whose answer
/// takes a while and comes in pieces.
fn network(sim: &Sim) -> Net {
    let net = Net::new(sim);
    net.name(
        "example.org",
        &[("[::1]:80", Never), ("127.0.0.1:80", RefusedAfter(ms(10))), (WHERE, After(ms(10)))],
    );
    net
}

/// Connects, until it is dropped.
fn connecting(connect: impl AsyncFn(Net, Client<Net>) -> Result<Socket, ConnectError>) {
    at_each_step(|sim, scissors| {
        let net = network(sim);
        let (tell, told) = bounded(1);
        let (runtime, arriving) = (sim.clone(), net.clone());
        sim.spawn(async move {
            let (_, io, script) = arriving.arrival().await;
            script.set_piece(30);
            tell.try_send(script).unwrap();
            runtime.sleep(ms(10)).await;
            // The client may have gone.
            let _ = serve_stream(runtime, io, &Options::default(), &Echo).await;
        });
        let client = Client::new_on(net.clone(), "ws://example.org/").unwrap();
        let socket = scissors.cut(sim, connect(net.clone(), client));
        assert_eq!(net.underway(), 0, "an attempt goes on");
        match socket {
            None => {
                assert_eq!(net.tasks(), 0, "a task was left");
                sim.run(sim.pass(s(1)));
                if let Ok(script) = told.try_recv() {
                    assert!(script.dropped_by_client(), "the transport was left");
                }
            }
            Some(socket) => sim.run(async {
                let socket = socket.unwrap();
                socket.send("echoed").await.unwrap();
                assert_eq!(socket.recv().await.unwrap(), owned("echoed"));
            }),
        }
    });
}

#[test]
fn a_connect_that_is_dropped_leaves_nothing_behind() {
    connecting(async |_, client| client.connect().await);
}

#[test]
fn a_connect_over_a_stream_that_is_dropped_leaves_nothing_behind() {
    connecting(async |net, client| {
        let stream = net.connect(WHERE.parse().unwrap()).await.unwrap();
        client.connect_stream(stream).await
    });
}

/// A runtime that has ended: what is spawned on it is dropped at once.
#[derive(Clone)]
struct Ended(Sim);

impl Runtime for Ended {
    type Sleep = Sleep;

    fn now(&self) -> Duration {
        self.0.now()
    }

    fn sleep(&self, span: Duration) -> Sleep {
        self.0.sleep(span)
    }

    fn spawn(&self, _: impl Future<Output = ()> + Send + 'static) {}
}

#[test]
fn a_socket_whose_task_is_dropped_before_it_has_run_is_over() {
    let sim = Sim::default();
    let (io, script, _) = serve_handshake(&sim, Echo, Options::default());
    let client = Client::new_on(Ended(sim.clone()), "ws://example.org/").unwrap();
    sim.run(async {
        let socket = client.connect_stream(io).await.unwrap();
        assert!(script.dropped_by_client());
        assert_eq!(socket.send("in vain").await, Err(SendError::Closed));
        assert_eq!(poll_once(socket.connection().closed()).await, Some(()));
        let reason = socket.recv().await.unwrap_err();
        assert!(matches!(reason, Disconnect::Failed(Failure::TaskDropped)), "{reason}");
    });
}
