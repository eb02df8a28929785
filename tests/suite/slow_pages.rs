//! Pages that are larger than what the operating system takes at once: their peers set the pace, within
//! limits, and keep nobody else waiting.

use std::{
    io::Read,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

use super::support::{
    handlers::Echo,
    peer::{BINARY, Peer, TEXT},
    server::{Running, serve},
    wait_until,
};
use crate::prism::{Options, Reply, ServerOptions};

/// More than a connection's two ends hold in the kernel.
const LARGE: usize = 8 << 20;

/// How much a peer takes at once.
const PIECE: usize = 64 << 10;

/// A server with these limits, a large page and a small one.
fn site(options: impl Into<ServerOptions>) -> Running {
    let large = Reply::html(vec![b'x'; LARGE]);
    serve(|server| {
        server
            .options(options)
            .get("/large", move |_| large.clone())
            .get("/small", |_| Reply::html("small"))
            .websocket("/ws", Echo)
    })
}

/// A peer for which the kernel holds little; it has asked for the large page, and has its head.
fn reader(server: &Running) -> Peer {
    let address = server.address();
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(PIECE).expect("a socket");
    socket.connect(&address.into()).expect("a server listens");
    let mut peer = Peer::on(TcpStream::from(socket), true);
    peer.write(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(peer.head().status, 200);
    peer
}

/// Reads up to the end, with a pause before each piece: how much that is, with what came behind the head.
/// A reset is an end as well.
fn read_at_pace(mut peer: Peer, pause: Duration) -> usize {
    let mut piece = vec![0; PIECE];
    let mut all = peer.take_input().len();
    loop {
        thread::sleep(pause);
        match peer.stream.read(&mut piece) {
            Ok(0) | Err(_) => return all,
            Ok(count) => all += count,
        }
    }
}

#[track_caller]
fn expect_echo(server: &Running) {
    let mut peer = server.open("/ws");
    peer.send(TEXT, b"all is well");
    peer.expect(TEXT, b"all is well");
}

#[track_caller]
fn expect_small_page(server: &Running) {
    let mut peer = server.dial();
    peer.write(b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(peer.answer().1, "small");
}

#[test]
fn a_large_page_arrives_whole_although_that_takes_several_times_the_write_timeout() {
    let mut options = Options::default();
    options.write_timeout = Duration::from_millis(400);
    options.min_write_rate = 1 << 20;
    let server = site(options);
    let began = Instant::now();
    // At most 128 pieces, of which each takes its time: slow is what is tested.
    assert_eq!(read_at_pace(reader(&server), Duration::from_millis(10)), LARGE);
    assert!(began.elapsed() > Duration::from_millis(1200), "{:?}", began.elapsed());
    let counts = server.stats().counts();
    assert_eq!((counts.pages, counts.incomplete), (1, 0));
}

/// A peer with as little memory for what comes as the kernel allows.
fn small_socket(server: &Running) -> Peer {
    let address = server.address();
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(0).expect("a socket");
    socket.connect(&address.into()).expect("a server listens");
    Peer::on(TcpStream::from(socket), true)
}

/// Reads a KiB every 50 ms: 20 KiB a second, which the operating system sees go in pieces of some KiB.
fn read_steadily(peer: &mut Peer, span: Duration) {
    let (began, mut piece) = (Instant::now(), [0; 1024]);
    while began.elapsed() < span {
        thread::sleep(Duration::from_millis(50));
        peer.stream.read_exact(&mut piece).expect("the server goes on");
    }
}

#[test]
fn a_peer_that_reads_slowly_but_steadily_is_not_given_up() {
    let mut options = Options::default();
    // In that time it takes 20 KiB, which is less than any operating system tells a poller of.
    options.write_timeout = Duration::from_secs(1);
    let server = site(options);
    let mut page = small_socket(&server);
    page.write(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut echo = small_socket(&server);
    echo.write(Peer::request("/ws").as_bytes());
    assert_eq!(echo.head().status, 101);
    echo.send(BINARY, &vec![0; 1 << 20]);
    thread::scope(|scope| {
        for peer in [&mut page, &mut echo] {
            scope.spawn(|| read_steadily(peer, Duration::from_secs(4)));
        }
    });
    let counts = server.stats().counts();
    assert_eq!((counts.incomplete, counts.open), (0, 1));
}

#[test]
fn a_peer_that_takes_nothing_of_a_page_is_given_up() {
    let mut options = Options::default();
    options.write_timeout = Duration::from_millis(300);
    let server = site(options);
    let peer = reader(&server); // and reads no more
    wait_until("it is given up", || server.stats().counts().incomplete == 1);
    assert!(read_at_pace(peer, Duration::ZERO) < LARGE);
}

#[test]
fn a_peer_that_takes_a_page_too_slowly_is_given_up() {
    let mut options = Options::default();
    options.write_timeout = Duration::from_millis(500);
    options.min_write_rate = 100 << 20;
    let server = site(options);
    // It never pauses for as long as the timeout, and takes 6 MB each second at most.
    assert!(read_at_pace(reader(&server), Duration::from_millis(10)) < LARGE);
    assert_eq!(server.stats().counts().incomplete, 1);
}

#[test]
fn pages_under_way_lock_nobody_out() {
    let mut options = ServerOptions::default();
    (options.max_handshakes, options.max_pages) = (4, 4);
    options.connection.handshake_timeout = Duration::from_secs(600);
    let server = site(options);
    // Four have a place, four more are sent from where handshakes are, and make way for the others.
    let slow: Vec<_> = (0..12).map(|_| reader(&server)).collect();
    expect_echo(&server);
    expect_small_page(&server);
    assert_eq!(server.stats().counts().refused.total(), 0);
    for peer in slow.into_iter().take(4) {
        assert_eq!(read_at_pace(peer, Duration::ZERO), LARGE);
    }
}

#[test]
fn silent_handshakes_lock_no_page_out_and_cut_none() {
    let mut options = ServerOptions::default();
    options.max_handshakes = 4;
    options.connection.handshake_timeout = Duration::from_secs(600);
    let server = site(options);
    let large = reader(&server);
    let silent: Vec<_> = (0..8).map(|_| server.dial()).collect();
    expect_small_page(&server);
    expect_echo(&server);
    assert_eq!(read_at_pace(large, Duration::ZERO), LARGE);
    assert_eq!(server.stats().counts().incomplete, 0);
    drop(silent);
}

#[test]
fn a_page_under_way_arrives_whole_although_the_server_shuts_down() {
    let server = site(Options::default());
    let large = reader(&server);
    let mut silent = server.dial();
    silent.write(b"GET /");
    let open = server.open("/ws");
    server.begin_stop();
    // Handshakes are dropped, and connections are closed; the page goes on.
    silent.expect_gone();
    open.expect_gone_after_close();
    assert_eq!(read_at_pace(large, Duration::ZERO), LARGE);
    assert_eq!(server.stopped().closed, 1);
}
