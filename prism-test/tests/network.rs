//! Names, addresses, and connections to them.

use std::{net::SocketAddr, time::Duration};

use futures_lite::AsyncReadExt;
use prism_driver::{ConnectError, Runtime};
use prism_test::{Reach, Recorder, Sim};

const ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 80);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn two_servers_of_one_simulation_have_names_of_their_own() {
    let (sim, one, two) = (Sim::new(), Recorder::new(), Recorder::new());
    sim.start_server("one.example", |server| server.websocket("/", one.clone()));
    sim.start_server("two.example", |server| server.websocket("/", two.clone()));
    sim.run(async {
        let _socket = sim.client("ws://two.example/").connect().await.unwrap();
        sim.settle().await;
    });
    assert_eq!((one.connections().len(), two.connections().len()), (0, 1));
}

#[test]
fn clients_of_a_server_have_addresses_of_their_own() {
    let (sim, recorder) = (Sim::new(), Recorder::new());
    sim.start_server("chat.example", |server| server.websocket("/", recorder.clone()));
    sim.run(async {
        let _first = sim.client("ws://chat.example/").connect().await.unwrap();
        let _second = sim.client("ws://chat.example/").connect().await.unwrap();
        sim.settle().await;
    });
    let addresses: Vec<_> = recorder.connections().iter().map(|it| it.peer_addr()).collect();
    assert_ne!(addresses[0], addresses[1]);
}

#[test]
fn an_unknown_name_or_an_address_where_nothing_listens_is_unreachable() {
    let sim = Sim::new();
    sim.set_name("closed.example", &[ADDRESS]);
    for url in ["ws://unknown.example/", "ws://closed.example/"] {
        let outcome = sim.run(sim.client(url).connect());
        assert!(matches!(outcome, Err(ConnectError::Unreachable(_))), "{outcome:?}");
    }
}

#[test]
fn attempts_succeed_and_fail_as_the_test_has_set() {
    let (sim, recorder) = (Sim::new(), Recorder::new());
    let server = sim.bind_server("chat.example").websocket("/", recorder);
    let address = server.local_addr().unwrap();
    sim.spawn(server.serve());
    let connect = |reach| {
        let began = sim.now();
        sim.set_reach(address, reach);
        let outcome = sim.run(sim.client("ws://chat.example/").connect());
        (outcome.map(drop), sim.now() - began)
    };
    assert!(matches!(connect(Reach::After(seconds(3))), (Ok(()), took) if took == seconds(3)));
    let refused = connect(Reach::RefusedAfter(seconds(2)));
    assert!(matches!(refused, (Err(ConnectError::Unreachable(_)), took) if took == seconds(2)));
    let unanswered = connect(Reach::Never);
    assert!(matches!(unanswered, (Err(ConnectError::Unreachable(_)), took) if took > seconds(3)));
}

#[test]
fn a_test_accepts_connections_by_hand() {
    let sim = Sim::new();
    sim.set_name("silent.example", &[ADDRESS]);
    let listener = sim.listener(&[ADDRESS]);
    let client = sim.client("ws://silent.example/");
    sim.spawn(async move { drop(client.connect().await) });
    let mut request = [0; 5];
    sim.run(async {
        let mut incoming = listener.accept().await;
        assert_eq!(incoming.address, ADDRESS);
        incoming.stream.read_exact(&mut request).await.unwrap();
    });
    assert_eq!(request, *b"GET /");
}

#[test]
fn connections_in_the_queue_of_a_listener_are_lost_with_it() {
    let sim = Sim::new();
    let listener = sim.listener(&[ADDRESS]);
    let peer = "192.0.2.9:1000".parse().unwrap();
    let (mut io, _) = sim.connect_from(peer, ADDRESS).unwrap();
    drop(listener);
    assert_eq!(sim.run(io.read(&mut [0; 1])).unwrap(), 0);
    assert!(sim.connect_from(peer, ADDRESS).is_err());
}
