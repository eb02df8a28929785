//! Connections that all send at the same moment, again and again, as after any event that many peers react to. The
//! server runs in a process of its own, which is stopped while the peers send, so that everything has arrived when it
//! continues.

use std::{env, io};

use prism_tests::subprocess::Subprocess;
use rustix::process::Signal;

use super::support::{
    own_process::{allow_descriptors, in_own_process, peak_heap, rerun},
    peer::{Peer, TEXT},
    server::serve_echo,
};
use crate::prism::Options;

/// Set in the server process.
const SERVER: &str = "PRISM_TESTS_SERVER";

const PEERS: usize = 1000;

/// Twice as many messages as fit into one turn of a session.
const ROUNDS: usize = 60;

/// How much a connection may cost at the peak, in bytes.
const MAX_COST: usize = 5 << 10;

/// Runs the server process. It measures its heap from one line of its input to the next.
fn serve_and_measure() {
    let server = serve_echo(Options::default());
    println!("listening on {}", server.address());
    let mut lines = io::stdin().lines();
    let mut wait = || drop(lines.next());
    wait();
    let cost = peak_heap(|| {
        println!("measuring");
        wait();
    });
    println!("cost: {cost}");
    wait(); // until the end of the input
    drop(server);
}

/// Opens a connection, and exchanges a message on it.
fn open(address: &str) -> Peer {
    let mut peer = Peer::dial(address.parse().expect("an address"));
    peer.write(Peer::request("/").as_bytes());
    assert_eq!(peer.head().status, 101);
    peer.send(TEXT, b"hello");
    peer.expect(TEXT, b"hello");
    peer
}

#[test]
fn connections_in_lockstep_share_a_few_buffers() {
    let test = &connections_in_lockstep_share_a_few_buffers;
    if env::var_os(SERVER).is_some() {
        return serve_and_measure();
    }
    in_own_process(test, || {
        allow_descriptors(PEERS + 100);
        let mut server = Subprocess::start(rerun(test).env(SERVER, "1"));
        let address = server.wait_for_line("listening on ");
        // What the server allocates once does not count.
        (0..100).for_each(|_| open(&address).close_and_expect_disconnect());
        server.send_line().expect("a server");
        server.wait_for_line("measuring");
        let mut peers: Vec<Peer> = (0..PEERS).map(|_| open(&address)).collect();
        for _ in 0..ROUNDS {
            server.signal(Signal::STOP);
            for peer in &mut peers {
                peer.send(TEXT, b"hello");
            }
            server.signal(Signal::CONT);
            for peer in &mut peers {
                peer.expect(TEXT, b"hello");
            }
        }
        server.send_line().expect("a server");
        let cost: usize = server.wait_for_line("cost: ").parse().expect("a number");
        eprintln!("{PEERS} connections in lockstep: {cost} bytes");
        assert!(cost < PEERS * MAX_COST, "{} bytes for each", cost / PEERS);
        drop(peers);
        let (output, status) = server.finish().expect("the server ends");
        assert!(status.success(), "{status}: {output:?}");
    });
}
