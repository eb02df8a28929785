//! Peers that try to exhaust the server's time, slots or descriptors. Attacks on its memory are in
//! `memory`.

use std::{
    env,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use prism_tests::subprocess::Subprocess;

use super::support::{
    TIMEOUT, block_on,
    handlers::{Recorder, Seen, recorder},
    own_process::{allow_descriptors, in_own_process, rerun},
    peer::{Peer, TEXT},
    server::{serve, serve_echo},
};
use crate::prism::{Connection, Handler, Message, Options, ServerOptions};

/// Records connects, and echoes messages.
struct ConnectRecorder(Recorder);

impl Handler for ConnectRecorder {
    async fn on_connect(&self, connection: &Connection) {
        self.0.record(Seen::Connected(connection.clone()));
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails only if the connection is closing
    }
}

/// Set in the flooding process: the server's address, and the number of connections.
const FLOOD: &str = "PRISM_TESTS_FLOOD";

const FLOODING: usize = 10_000;

#[test]
fn ten_thousand_unfinished_requests_time_out() {
    let this_test = ten_thousand_unfinished_requests_time_out;
    if let Ok(target) = env::var(FLOOD) {
        return flood(&target);
    }
    // Each end of a connection takes a descriptor, so the clients run in a process of their own.
    in_own_process(&this_test, || {
        let count = FLOODING;
        allow_descriptors(count + 200);
        let mut options = ServerOptions::default();
        options.connection.handshake_timeout = Duration::from_secs(2);
        options.max_handshakes = count + 1; // the good client may connect last
        let (recorder, events) = recorder();
        let server =
            serve(|server| server.options(options).websocket("/", ConnectRecorder(recorder)));

        let target = format!("{} {count}", server.address());
        let clients = Subprocess::start(rerun(&this_test).env(FLOOD, target));

        clients.wait_for_line("half of the clients are connected");
        let mut good = server.open("/");
        good.send(TEXT, b"in the middle of it");
        good.expect(TEXT, b"in the middle of it");
        events.connected();

        clients.wait_for_line("all clients got a 408 and the end");
        assert!(clients.finish().expect("the clients end").1.success());
        good.send(TEXT, b"after it");
        good.expect(TEXT, b"after it");
        events.nothing_yet(); // no other connection reached the handler
        eprintln!("{count} peers that never finished their request timed out");
    });
}

/// Runs the clients: connects many times, sends "GET", and waits for the timeout.
fn flood(target: &str) {
    let (address, count) = target.split_once(' ').expect("address and count");
    let address: SocketAddr = address.parse().expect("an address");
    let count: usize = count.parse().expect("a number");
    let mut streams = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream =
            TcpStream::connect_timeout(&address, TIMEOUT).expect("the server accepts it");
        stream.write_all(b"GET").expect("a connected socket");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a socket");
        streams.push(stream);
        if number == count / 2 {
            println!("half of the clients are connected");
        }
    }
    for mut stream in streams {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the answer, and the end");
        assert!(answer.starts_with(b"HTTP/1.1 408 "), "{:?}", answer.escape_ascii().to_string());
    }
    println!("all clients got a 408 and the end");
}

#[test]
fn a_trickling_request_times_out_at_the_same_deadline() {
    let mut options = Options::default();
    options.handshake_timeout = Duration::from_millis(300);
    let server = serve_echo(options);
    let mut peer = server.dial();
    // The peer is never silent for long: it sends an endless header byte by byte.
    peer.write(b"GET / HTTP/1.1\r\nX-Endless: ");
    peer.stream.set_read_timeout(Some(Duration::from_millis(5))).expect("a socket");
    let mut received = Vec::new();
    let mut chunk = [0; 1024];
    for _ in 0..10_000 {
        match peer.stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => received.extend(&chunk[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let _ = peer.stream.write(b"x"); // the next read reports an end
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(received.starts_with(b"HTTP/1.1 408 "), "{:?}", received.escape_ascii().to_string());
}

#[test]
fn connections_over_the_maximum_wait_until_one_closes() {
    let mut options = ServerOptions::default();
    options.max_connections = 2;
    let (recorder, events) = recorder();
    let server = serve(|server| server.options(options).websocket("/", ConnectRecorder(recorder)));
    let mut inside = [server.open("/"), server.open("/")];
    events.connected();
    events.connected();

    let mut waiting = [server.dial(), server.dial()];
    for peer in &mut waiting {
        peer.write(Peer::request("/").as_bytes());
    }
    for peer in &mut inside {
        for _ in 0..100 {
            peer.send(TEXT, b"taking our time");
            peer.expect(TEXT, b"taking our time");
        }
    }
    assert!(waiting.iter_mut().all(Peer::has_no_input), "served beyond the maximum");
    events.nothing_yet();

    let [one, other] = inside;
    let [mut first, mut second] = waiting;
    one.close_and_expect_disconnect();
    assert_eq!(first.head().status, 101);
    events.connected();
    first.send(TEXT, b"at last");
    first.expect(TEXT, b"at last");
    assert!(second.has_no_input(), "served beyond the maximum");
    other.close_and_expect_disconnect();
    assert_eq!(second.head().status, 101);
}

#[test]
fn silent_handshakes_do_not_block_new_clients() {
    let mut options = ServerOptions::default();
    options.max_handshakes = 8;
    options.connection.handshake_timeout = Duration::from_secs(600);
    let server = serve_echo(options);
    let mut before = server.open("/");
    let silent: Vec<_> = (0..32).map(|_| server.dial()).collect();
    // The silent peers are ahead of it in the queue. Each is accepted, and evicted for the next.
    let mut newcomer = server.open("/");
    for peer in [&mut before, &mut newcomer] {
        peer.send(TEXT, b"all is well");
        peer.expect(TEXT, b"all is well");
    }
    // The server still waits for the last of them.
    let mut evicted = silent;
    let mut waiting = evicted.split_off(32 - 7);
    assert!(waiting.iter_mut().all(Peer::has_no_input), "more were evicted than necessary");
    for peer in evicted {
        peer.expect_disconnect();
    }
    assert_eq!(server.stats().counts().refused.evicted, 32 - 7);
}

#[test]
fn a_lingering_refused_peer_eventually_frees_its_slot() {
    let mut options = ServerOptions::default();
    options.max_connections = 1;
    let server = serve_echo(options);
    let mut lingering = server.dial();
    lingering.write(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(lingering.response().0.status, 404);
    // The peer has its answer and stays connected. The server waits for it, but not forever.
    let mut next = server.open("/");
    next.send(TEXT, b"my turn");
    next.expect(TEXT, b"my turn");
    drop(lingering);
}

#[test]
fn garbage_does_not_affect_the_server() {
    let server = serve_echo(Options::default());
    let garbage: [&[u8]; 6] = [
        b"\0\0\0\0\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"GET",
        b"\xff\xfe",
        b"GET / HTTP/1.1\n\n",
        b"{}\r\n\r\n",
    ];
    for bytes in garbage {
        let mut peer = server.dial();
        peer.write(bytes);
        peer.send_eof();
        peer.expect_disconnect();
    }
    let mut after_handshake = server.open("/");
    after_handshake.write(&[0xff; 4096]);
    after_handshake.send_eof();
    after_handshake.expect_disconnect();
    let socket = block_on(server.connect("/"));
    let returned = block_on(async {
        socket.send("all is well").await.expect("an open connection");
        socket.recv().await.expect("an echo")
    });
    assert_eq!(returned.as_message(), Message::Text("all is well"));
}
