//! Accepting connections: at a shutdown, and with which socket options.

use std::pin::pin;

use async_channel::bounded;
use futures_lite::{AsyncWriteExt, future::poll_once};
use prism_driver::{Runtime, Server};
use prism_test::{Peer, Received, Sim};

use crate::common::{
    close,
    handlers::Echo,
    http::{REQUEST, read_head, shake_hands},
    net::Net,
    s,
};

fn server(sim: &Sim) -> (Server<Net>, Net) {
    let net = Net::new(sim);
    let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    (bound.websocket("/chat", Echo), net)
}

#[test]
fn a_handshake_in_flight_at_shutdown_is_closed_with_1001() {
    let sim = Sim::default();
    let (server, net) = server(&sim);
    let (stop, stopped) = bounded::<()>(1);
    let mut serving = pin!(server.serve_until(async { while stopped.recv().await.is_ok() {} }));
    sim.run(async {
        let (mut io, _) = net.connect_raw().unwrap();
        assert!(poll_once(&mut serving).await.is_none());
        sim.settle().await;
        // The handshake's task gets its request and the shutdown before it is polled.
        io.write_all(REQUEST.as_bytes()).await.unwrap();
        stop.close();
        assert!(poll_once(&mut serving).await.is_none());
        let head = read_head(&mut io).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let mut peer = Peer::new(io);
        assert_eq!(peer.next().await, close(1001, "the server is shutting down"));
        assert_eq!(peer.next().await, Received::End(Ok(())));
        drop(peer);
        let outcome = serving.await;
        assert_eq!((outcome.closed, outcome.failed, outcome.cut, sim.now()), (1, 0, 0, s(0)));
        sim.settle().await;
    });
    assert_eq!(net.tasks(), 0);
}

#[test]
fn every_accepted_stream_sets_nodelay() {
    let sim = Sim::default();
    let (server, net) = server(&sim);
    sim.spawn(server.serve());
    sim.run(async {
        for count in 1..4 {
            let (io, _) = net.connect_raw().unwrap();
            let _peer = shake_hands(io).await;
            assert_eq!(net.nodelay_count(), count);
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn an_existing_listener_limits_unsent_bytes_in_the_kernel() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let same = listener.try_clone().unwrap();
    let _server = Server::from_listener_on(Net::new(&Sim::default()), listener).unwrap();
    let _client = std::net::TcpStream::connect(address).unwrap();
    same.set_nonblocking(false).unwrap();
    let (accepted, _) = same.accept().unwrap();
    assert_eq!(socket2::SockRef::from(&accepted).tcp_notsent_lowat().unwrap(), 128 << 10);
}
