//! Peers that want the server to wait, to queue, or to run out of something. (Those that want its
//! memory are in `memory`.)

use std::{
    env,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use prism_tests::part::Part;

use super::support::{
    PATIENCE,
    alone::{again, allow_descriptors, alone},
    block_on,
    handlers::{Recorder, Seen, recorder},
    peer::{Peer, TEXT},
    server::{serve, serve_echo},
};
use crate::prism::{Connection, Handler, Message, Options, ServerOptions};

/// Tells who has come, and echoes.
struct Doorman(Recorder);

impl Handler for Doorman {
    async fn on_connect(&self, connection: &Connection) {
        self.0.tell(Seen::Connected(connection.clone()));
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails only if the connection is closing
    }
}

/// Where the flood is to go, and of how many it is.
const FLOOD: &str = "PRISM_TESTS_FLOOD";

const FLOODING: usize = 10_000;

#[test]
fn ten_thousand_peers_that_never_finish_their_request_are_cut_at_the_deadline() {
    let this_test = ten_thousand_peers_that_never_finish_their_request_are_cut_at_the_deadline;
    if let Ok(target) = env::var(FLOOD) {
        return flood(&target);
    }
    // Each end of a connection takes a descriptor: the clients are a process of their own.
    alone(&this_test, || {
        let count = FLOODING;
        allow_descriptors(count + 200);
        let mut options = ServerOptions::default();
        options.connection.handshake_timeout = Duration::from_secs(2);
        options.max_handshakes = count + 1; // the good one may come after all of them
        let (recorder, events) = recorder();
        let server = serve(|server| server.options(options).websocket("/", Doorman(recorder)));

        let target = format!("{} {count}", server.address());
        let clients = Part::start(again(&this_test).env(FLOOD, target));

        clients.hear("half of us are connected");
        let mut good = server.open("/");
        good.send(TEXT, b"in the middle of it");
        good.expect(TEXT, b"in the middle of it");
        events.connected();

        clients.hear("all of us were told 408, and cut");
        assert!(clients.end().expect("they have said all").1.success());
        good.send(TEXT, b"after it");
        good.expect(TEXT, b"after it");
        events.nothing_yet(); // no other connection ever got to the handler
        eprintln!("{count} peers that never finished their request were cut");
    });
}

/// The clients' side: connects many times, says "GET", and waits to be cut.
fn flood(target: &str) {
    let (address, count) = target.split_once(' ').expect("address and count");
    let address: SocketAddr = address.parse().expect("an address");
    let count: usize = count.parse().expect("a number");
    let mut streams = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream =
            TcpStream::connect_timeout(&address, PATIENCE).expect("a place in the queue");
        stream.write_all(b"GET").expect("a connected socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        streams.push(stream);
        if number == count / 2 {
            println!("half of us are connected");
        }
    }
    for mut stream in streams {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the answer, and the end");
        assert!(answer.starts_with(b"HTTP/1.1 408 "), "{:?}", answer.escape_ascii().to_string());
    }
    println!("all of us were told 408, and cut");
}

#[test]
fn a_request_that_trickles_in_is_cut_at_the_same_deadline() {
    let mut options = Options::default();
    options.handshake_timeout = Duration::from_millis(300);
    let server = serve_echo(options);
    let mut peer = server.dial();
    // It is never quiet for long, and never done: an endless header, byte by byte.
    peer.write(b"GET / HTTP/1.1\r\nX-Endless: ");
    peer.stream.set_read_timeout(Some(Duration::from_millis(5))).expect("a socket");
    let mut heard = Vec::new();
    let mut chunk = [0; 1024];
    for _ in 0..10_000 {
        match peer.stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => heard.extend(&chunk[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let _ = peer.stream.write(b"x"); // it may be over; the next read says
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(heard.starts_with(b"HTTP/1.1 408 "), "{:?}", heard.escape_ascii().to_string());
}

#[test]
fn connections_beyond_the_most_wait_in_the_queue_and_are_served_when_one_leaves() {
    let mut options = ServerOptions::default();
    options.max_connections = 2;
    let (recorder, events) = recorder();
    let server = serve(|server| server.options(options).websocket("/", Doorman(recorder)));
    let mut inside = [server.open("/"), server.open("/")];
    events.connected();
    events.connected();

    let mut waiting = [server.dial(), server.dial()];
    for peer in &mut waiting {
        peer.write(Peer::request("/").as_bytes());
    }
    for peer in &mut inside {
        for _ in 0..100 {
            peer.send(TEXT, b"we have all the time");
            peer.expect(TEXT, b"we have all the time");
        }
    }
    assert!(waiting.iter_mut().all(Peer::hears_nothing), "served beyond the most");
    events.nothing_yet();

    let [one, other] = inside;
    let [mut first, mut second] = waiting;
    one.expect_gone_after_close();
    assert_eq!(first.head().status, 101);
    events.connected();
    first.send(TEXT, b"at last");
    first.expect(TEXT, b"at last");
    assert!(second.hears_nothing(), "served beyond the most");
    other.expect_gone_after_close();
    assert_eq!(second.head().status, 101);
}

#[test]
fn peers_that_say_nothing_lock_nobody_out() {
    let mut options = ServerOptions::default();
    options.max_handshakes = 8;
    options.connection.handshake_timeout = Duration::from_secs(600);
    let server = serve_echo(options);
    let mut before = server.open("/");
    let silent: Vec<_> = (0..32).map(|_| server.dial()).collect();
    // They wait in the queue before it; each gets its turn, and makes way.
    let mut newcomer = server.open("/");
    for peer in [&mut before, &mut newcomer] {
        peer.send(TEXT, b"all is well");
        peer.expect(TEXT, b"all is well");
    }
    // The last of them are still waited for.
    let mut gone = silent;
    let mut waiting = gone.split_off(32 - 7);
    assert!(waiting.iter_mut().all(Peer::hears_nothing), "more had to leave than was needed");
    for peer in gone {
        peer.expect_gone();
    }
    assert_eq!(server.stats().counts().refused.evicted, 32 - 7);
}

#[test]
fn a_refused_peer_that_does_not_leave_makes_room_in_the_end() {
    let mut options = ServerOptions::default();
    options.max_connections = 1;
    let server = serve_echo(options);
    let mut lingering = server.dial();
    lingering.write(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(lingering.answer().0.status, 404);
    // It has its answer and stays. The server waits for it, but not for ever.
    let mut next = server.open("/");
    next.send(TEXT, b"my turn");
    next.expect(TEXT, b"my turn");
    drop(lingering);
}

#[test]
fn garbage_of_every_kind_leaves_the_server_as_it_was() {
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
        peer.expect_gone();
    }
    let mut after_handshake = server.open("/");
    after_handshake.write(&[0xff; 4096]);
    after_handshake.send_eof();
    after_handshake.expect_gone();
    let socket = block_on(server.connect("/"));
    let returned = block_on(async {
        socket.send("all is well").await.expect("an open connection");
        socket.recv().await.expect("an echo")
    });
    assert_eq!(returned.as_message(), Message::Text("all is well"));
}
