//! Connecting, dropped at every point: no attempt, transport or task is left behind.

use std::time::Duration;

use async_channel::bounded;
use futures_lite::future::poll_once;
use prism_driver::{
    AdaptStream, Client, ConnectError, Disconnect, Failure, Network, Options, Runtime, SendError,
    Socket, Transport, serve_stream,
};
use prism_test::{Sim, Sleep};

use crate::common::{
    cancellation::{assert_canceled_or_echoing, at_each_step},
    handlers::Echo,
    ms,
    net::{
        Net,
        Reach::{After, Never, RefusedAfter},
    },
    serve_handshake,
};

const SERVER: &str = "[::2]:80";

/// Returns a network with a host name that has three addresses: the first does not answer, the second
/// refuses, and the third has a server, whose answer takes a while and arrives in pieces.
fn network(sim: &Sim) -> Net {
    let net = Net::new(sim);
    net.name(
        "example.org",
        &[("[::1]:80", Never), ("127.0.0.1:80", RefusedAfter(ms(10))), (SERVER, After(ms(10)))],
    );
    net
}

/// Connects until the future is dropped.
fn connecting(connect: impl AsyncFn(Net, Client<Net>) -> Result<Socket, ConnectError>) {
    at_each_step(|sim, cancel_point| {
        let net = network(sim);
        let (tell, told) = bounded(1);
        let (runtime, arriving) = (sim.clone(), net.clone());
        sim.spawn(async move {
            let (_, io, faults) = arriving.arrival().await;
            faults.set_piece(30);
            tell.try_send(faults).unwrap();
            runtime.sleep(ms(10)).await;
            // The client may be gone.
            let _ = serve_stream(runtime, io, &Options::default(), Echo).await;
        });
        let client = Client::new_on(net.clone(), "ws://example.org/").unwrap();
        let socket = cancel_point.run(sim, connect(net.clone(), client));
        assert_canceled_or_echoing(sim, &net, &told, socket);
    });
}

#[test]
fn a_dropped_connect_leaves_nothing_behind() {
    connecting(async |_, client| client.connect().await);
}

#[test]
fn a_dropped_connect_over_a_stream_leaves_nothing_behind() {
    connecting(async |net, client| {
        let stream = net.connect(SERVER.parse().unwrap()).await.unwrap();
        client.connect_stream(stream).await
    });
}

/// A runtime that has shut down: it drops spawned tasks at once.
#[derive(Clone)]
struct EndedRuntime(Sim);

impl<T: Transport> AdaptStream<T> for EndedRuntime {
    type Transport = T;

    fn adapt(stream: T) -> T {
        stream
    }
}

impl Runtime for EndedRuntime {
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
fn a_socket_whose_task_never_ran_is_closed() {
    let sim = Sim::default();
    let (io, faults, _) = serve_handshake(&sim, Echo, Options::default());
    let client = Client::new_on(EndedRuntime(sim.clone()), "ws://example.org/").unwrap();
    sim.run(async {
        let socket = client.connect_stream(io).await.unwrap();
        assert!(faults.dropped_by_client());
        assert_eq!(socket.send("late").await, Err(SendError::Closed));
        assert_eq!(poll_once(socket.connection().closed()).await, Some(()));
        let reason = socket.recv().await.unwrap_err();
        assert!(matches!(reason, Disconnect::Failed(Failure::TaskDropped)), "{reason}");
    });
}
