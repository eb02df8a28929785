//! Pages that exceed the socket buffers: their readers may be slow, within limits, and do not delay
//! other clients.

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
    server::{TestServer, serve},
    wait_until,
};
use crate::prism::{Options, Reply, ServerOptions};

/// More than the kernel buffers at both ends of a connection.
const LARGE: usize = 8 << 20;

/// How long a page has its slot before another may take it.
const PAGE_MIN_TIME: Duration = Duration::from_secs(5);

/// The number of bytes that a peer reads at once.
const PIECE: usize = 64 << 10;

/// Runs a server with these options, a large page and a small one.
fn site(options: impl Into<ServerOptions>) -> TestServer {
    let large = Reply::html(vec![b'x'; LARGE]);
    serve(|server| {
        server
            .options(options)
            .get("/large", move |_| large.clone())
            .get("/small", |_| Reply::html("small"))
            .websocket("/ws", Echo)
    })
}

/// Connects a peer with a small receive buffer, which requests the large page and reads its head.
fn reader(server: &TestServer) -> Peer {
    let address = server.address();
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(PIECE).expect("a socket");
    socket.connect(&address.into()).expect("a server listens");
    let mut peer = Peer::from_stream(TcpStream::from(socket), true);
    peer.write(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(peer.head().status, 200);
    peer
}

/// Reads the body up to the end or a reset, with a pause before each read. Returns its length.
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
fn expect_echo(server: &TestServer) {
    let mut peer = server.open("/ws");
    peer.send(TEXT, b"all is well");
    peer.expect(TEXT, b"all is well");
}

#[track_caller]
fn expect_small_page(server: &TestServer) {
    let mut peer = server.dial();
    peer.write(b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(peer.response().1, "small");
}

#[test]
fn a_large_page_may_take_longer_than_the_write_timeout() {
    let mut options = Options::default();
    options.write_timeout = Duration::from_millis(400);
    options.min_write_rate = 1 << 20;
    let server = site(options);
    let began = Instant::now();
    // At most 128 reads, with a pause before each. The slowness is the subject of this test.
    assert_eq!(read_at_pace(reader(&server), Duration::from_millis(10)), LARGE);
    assert!(began.elapsed() > Duration::from_millis(1200), "{:?}", began.elapsed());
    let counts = server.stats().counts();
    assert_eq!((counts.pages, counts.incomplete), (1, 0));
}

/// Connects a peer with the smallest receive buffer that the kernel allows.
fn small_socket(server: &TestServer) -> Peer {
    let address = server.address();
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(0).expect("a socket");
    socket.connect(&address.into()).expect("a server listens");
    Peer::from_stream(TcpStream::from(socket), true)
}

/// Reads 1 KiB every 50 ms, which is 20 KiB per second. The server's kernel sees it in steps of a
/// few KiB.
fn read_steadily(peer: &mut Peer, span: Duration) {
    let (began, mut piece) = (Instant::now(), [0; 1024]);
    while began.elapsed() < span {
        thread::sleep(Duration::from_millis(50));
        peer.stream.read_exact(&mut piece).expect("the server continues to send");
    }
}

#[test]
fn a_slow_but_steady_reader_is_kept() {
    let mut options = Options::default();
    // In this time the peer reads 40 KiB, which is too little to make a socket writable again.
    options.write_timeout = Duration::from_secs(2);
    let server = site(options);
    let mut echo = small_socket(&server);
    echo.write(Peer::request("/ws").as_bytes());
    assert_eq!(echo.head().status, 101);
    echo.send(BINARY, &vec![0; 1 << 20]);
    let mut page = small_socket(&server); // last, because it has to be read from now on
    page.write(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    thread::scope(|scope| {
        for peer in [&mut page, &mut echo] {
            scope.spawn(|| read_steadily(peer, Duration::from_secs(6)));
        }
    });
    let counts = server.stats().counts();
    assert_eq!((counts.incomplete, counts.open), (0, 1));
}

#[test]
fn a_peer_that_reads_nothing_of_a_page_is_dropped() {
    let mut options = Options::default();
    options.write_timeout = Duration::from_millis(300);
    let server = site(options);
    let peer = reader(&server); // and reads no further
    wait_until("the server gives up", || server.stats().counts().incomplete == 1);
    assert!(read_at_pace(peer, Duration::ZERO) < LARGE);
}

#[test]
fn a_peer_that_reads_a_page_too_slowly_is_dropped() {
    let mut options = Options::default();
    options.write_timeout = Duration::from_millis(500);
    options.min_write_rate = 100 << 20;
    let server = site(options);
    // The peer never pauses for as long as the timeout, and reads at most 6 MB per second.
    assert!(read_at_pace(reader(&server), Duration::from_millis(10)) < LARGE);
    assert_eq!(server.stats().counts().incomplete, 1);
}

#[test]
fn pages_in_progress_do_not_block_new_clients() {
    let mut options = ServerOptions::default();
    (options.max_handshakes, options.max_pages) = (4, 4);
    options.connection.handshake_timeout = Duration::from_secs(600);
    let server = site(options);
    let began = Instant::now();
    // Four pages have a slot of their own. Four more use handshake slots, and are evicted for new
    // clients.
    let slow: Vec<_> = (0..12).map(|_| reader(&server)).collect();
    expect_echo(&server);
    expect_small_page(&server);
    assert_eq!(server.stats().counts().refused.total(), 0);
    let whole = slow.into_iter().map(|peer| read_at_pace(peer, Duration::ZERO));
    let whole = whole.filter(|length| *length == LARGE).count();
    // On a machine so busy that this took longer, pages that wait for a slot have evicted others.
    if began.elapsed() < PAGE_MIN_TIME {
        assert!(whole >= 4, "only {whole} pages were sent completely");
    }
}

#[test]
fn silent_handshakes_neither_block_nor_cut_pages() {
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
fn a_page_in_progress_survives_a_shutdown() {
    let server = site(Options::default());
    let large = reader(&server);
    let mut silent = server.dial();
    silent.write(b"GET /");
    let open = server.open("/ws");
    server.begin_stop();
    // Handshakes are dropped and connections closed, but the page continues.
    silent.expect_disconnect();
    open.close_and_expect_disconnect();
    assert_eq!(read_at_pace(large, Duration::ZERO), LARGE);
    assert_eq!(server.stopped().closed, 1);
}
