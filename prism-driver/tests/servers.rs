//! A server's door: who comes in while it is being shut, and what is done with everybody.

mod common;

use std::pin::pin;

use async_channel::bounded;
use common::{
    close,
    handlers::Echo,
    http::{REQUEST, read_head, shake_hands},
    net::Net,
    peer::{Peer, Seen},
    s,
    sim::Sim,
};
use futures_lite::{AsyncWriteExt, future::poll_once};
use prism_driver::{Runtime, Server};

fn server(sim: &Sim) -> (Server<Net>, Net) {
    let net = Net::new(sim);
    let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    (bound.websocket("/chat", Echo), net)
}

#[test]
fn who_has_asked_when_the_shutdown_begins_and_is_answered_after_it_is_closed_as_well() {
    let sim = Sim::default();
    let (server, net) = server(&sim);
    let (stop, stopped) = bounded::<()>(1);
    let mut serving = pin!(server.serve_until(async { while stopped.recv().await.is_ok() {} }));
    sim.run(async {
        let (mut io, _) = net.knock().unwrap();
        assert!(poll_once(&mut serving).await.is_none());
        sim.settle().await;
        // The task of the handshake has its request and is told of the shutdown before its turn comes.
        io.write_all(REQUEST.as_bytes()).await.unwrap();
        stop.close();
        assert!(poll_once(&mut serving).await.is_none());
        let head = read_head(&mut io).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let mut peer = Peer::open(io);
        assert_eq!(peer.next().await, close(1001, "the server is shutting down"));
        assert_eq!(peer.next().await, Seen::End(Ok(())));
        drop(peer);
        let outcome = serving.await;
        assert_eq!((outcome.closed, outcome.failed, outcome.cut, sim.now()), (1, 0, 0, s(0)));
        sim.settle().await;
    });
    assert_eq!(net.tasks(), 0);
}

#[test]
fn each_stream_that_is_accepted_is_told_to_hold_nothing_back() {
    let sim = Sim::default();
    let (server, net) = server(&sim);
    sim.spawn(server.serve());
    sim.run(async {
        for count in 1..4 {
            let (io, _) = net.knock().unwrap();
            let _peer = shake_hands(io).await;
            assert_eq!(net.undelayed(), count);
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_listener_that_is_there_already_has_its_connections_hold_little_in_the_kernel() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let same = listener.try_clone().unwrap();
    let _server = Server::from_listener_on(Net::new(&Sim::default()), listener).unwrap();
    let _client = std::net::TcpStream::connect(address).unwrap();
    same.set_nonblocking(false).unwrap();
    let (accepted, _) = same.accept().unwrap();
    assert_eq!(socket2::SockRef::from(&accepted).tcp_notsent_lowat().unwrap(), 128 << 10);
}
