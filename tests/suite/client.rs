//! How a client connects to its server, and how an application uses the connection. The responses
//! of servers are tested in `handshake`.

use std::{
    error::Error,
    fs, io,
    net::{self, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs},
    thread,
    time::Duration,
};

use futures_util::{SinkExt, StreamExt, TryStreamExt};
use prism_driver::Client;
use socket2::{Domain, Socket, Type};

use super::support::{
    block_on,
    handlers::recorder,
    peer::{CLOSE, Peer, TEXT, close_payload},
    resolver::FixedResolver,
    server::{TestServer, closed_port, listen, serve_at, serve_echo},
};
use crate::{
    prism::{self, ClientOptions, ConnectError, HandshakeError, Options, OwnedMessage, SendError},
    runtime,
};

// ---- connecting

/// Creates a client for a host with these addresses.
fn client_for(addresses: Vec<SocketAddr>) -> Client<FixedResolver<runtime::Network>> {
    let resolver = FixedResolver::new(addresses);
    Client::new_on(resolver, "ws://server.example/").expect("a good address")
}

/// Returns an address that does not answer while the returned sockets are kept, because its accept
/// queue is full.
fn unresponsive() -> (SocketAddr, impl Sized) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("a free port");
    socket.listen(0).expect("a bound socket");
    let listener = net::TcpListener::from(socket);
    let address = listener.local_addr().expect("a bound listener");
    let moment = Duration::from_millis(100);
    let queue: Vec<_> =
        std::iter::from_fn(|| TcpStream::connect_timeout(&address, moment).ok()).collect();
    (address, (listener, queue))
}

fn assert_echoes(server: &TestServer, addresses: Vec<SocketAddr>) {
    block_on(async {
        let socket = client_for(addresses).connect().await.expect("one of the addresses answers");
        assert_eq!(socket.connection().path(), "/");
        socket.send("hello").await.expect("an open connection");
        assert_eq!(socket.recv().await.expect("an echo"), OwnedMessage::Text("hello".into()));
    });
    server.stop();
}

#[test]
fn each_address_of_a_host_is_tried_until_one_answers() {
    let server = serve_echo(Options::default());
    let [(first, _kept), (second, _too)] = ["[::1]", "127.0.0.1"].map(closed_port);
    assert_echoes(&server, vec![first, second, server.address()]);
}

#[test]
fn an_unresponsive_address_does_not_block_the_next_one() {
    let (unresponsive, _kept) = unresponsive();
    let server = serve_echo(Options::default());
    assert_echoes(&server, vec![unresponsive, server.address()]);
}

#[test]
fn a_connect_error_names_every_address_tried() {
    let [(first, _kept), (second, _too)] = ["[::1]", "127.0.0.1"].map(closed_port);
    let addresses = vec![first, second];
    let outcome = block_on(client_for(addresses.clone()).connect());
    let Err(ConnectError::Unreachable(error)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    let message = error.to_string();
    assert!(addresses.iter().all(|address| message.contains(&address.to_string())), "{message}");
}

#[test]
fn an_unresponsive_host_fails_at_the_connect_timeout() {
    let (unresponsive, _kept) = unresponsive();
    let mut options = ClientOptions::default();
    options.connect_timeout = Duration::from_millis(200);
    options.connection.handshake_timeout = Duration::from_secs(600);
    let outcome = block_on(client_for(vec![unresponsive]).options(options).connect());
    let Err(ConnectError::Unreachable(error)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[test]
fn the_error_for_an_unknown_host_names_it() {
    let outcome = block_on(prism::connect("ws://no-such-host.invalid/"));
    let Err(ConnectError::Unreachable(error)) = outcome else { panic!("{outcome:?}") };
    assert!(error.to_string().contains("no-such-host.invalid"), "{error}");
}

#[test]
fn a_host_name_is_resolved() {
    let server = serve_echo(Options::default());
    let url = format!("ws://localhost:{}/", server.address().port());
    let socket = block_on(prism::connect(&url)).expect("a connection");
    block_on(socket.send("hello")).expect("an open connection");
    assert_eq!(block_on(socket.recv()).expect("an echo"), OwnedMessage::Text("hello".into()));
}

#[test]
fn a_client_connects_to_ipv6_and_sends_it_as_the_host() {
    let (recorder, events) = recorder();
    let server = serve_at("[::1]:0", |server| server.websocket("/", recorder));
    let socket = block_on(server.connect("/"));
    let connection = events.connected();
    assert!(connection.peer_addr().is_some_and(|address| address.ip().is_loopback()));
    drop(socket);

    let listener = net::TcpListener::bind("[::1]:0").expect("a free port");
    let authority = listener.local_addr().expect("a bound listener").to_string();
    assert!(authority.starts_with("[::1]:"));
    let url = format!("ws://{authority}/");
    let server = thread::spawn(move || Peer::accept(&listener).1);
    let outcome = block_on(prism::connect(&url));
    assert!(outcome.is_err(), "the server ended without an answer");
    let request = server.join().expect("a request");
    assert_eq!(request.field("Host"), Some(authority.as_str()));
}

/// Returns the link-local addresses of this machine, each with the name of its interface.
fn link_local() -> Vec<(Ipv6Addr, String)> {
    let table = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let addresses = table.lines().filter_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [address, _, _, _, flags, interface] = fields[..] else { return None };
        // Skips tentative and duplicate addresses, which cannot be used.
        let is_assigned = u32::from_str_radix(flags, 16).ok()? & 0x48 == 0;
        let address = Ipv6Addr::from(u128::from_str_radix(address, 16).ok()?);
        is_assigned.then(|| (address, interface.to_owned()))
    });
    addresses.filter(|(address, _)| address.is_unicast_link_local()).collect()
}

#[test]
fn a_client_connects_by_zone_and_does_not_send_the_zone() {
    // The loopback interface is interface 1 on every system.
    let loopback = (Ipv6Addr::LOCALHOST, "1".to_owned());
    for (address, zone) in link_local().into_iter().chain([loopback]) {
        let any = format!("{address}%{zone}");
        let mut any = (any.as_str(), 0).to_socket_addrs().expect("an interface of this machine");
        let listener = net::TcpListener::bind(any.next().expect("its address"));
        let listener = listener.expect("a free port");
        let port = listener.local_addr().expect("a bound listener").port();
        let server = thread::spawn(move || [(); 2].map(|()| Peer::accept(&listener).1));
        for percent in ["%25", "%"] {
            let url = format!("ws://[{address}{percent}{zone}]:{port}/");
            let outcome = block_on(prism::connect(&url)).map(drop);
            let ended = HandshakeError::UnexpectedEof;
            assert!(
                matches!(outcome, Err(ConnectError::Handshake(e)) if e == ended),
                "{outcome:?}"
            );
        }
        for request in server.join().expect("two requests") {
            assert_eq!(request.field("Host"), Some(format!("[{address}]:{port}").as_str()));
        }
    }
}

// ---- using the connection

#[test]
fn a_socket_keeps_the_response_headers() {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let (mut peer, request) = Peer::accept(&listener);
        let answer = Peer::upgrade_response(&request);
        peer.write(answer.replace("\r\n\r\n", "\r\nX-Server: 7\r\n\r\n").as_bytes());
        peer.send(TEXT, b"hello");
        peer.close_and_expect_disconnect();
    });
    let socket = block_on(prism::connect(&url)).expect("a connection");
    // The headers stay available while the connection's task receives.
    assert_eq!(block_on(socket.recv()).expect("a message"), OwnedMessage::Text("hello".into()));
    assert_eq!(socket.header("x-server").as_deref(), Some("7"));
    assert_eq!(socket.header("x-client"), None);
    drop(socket);
    server.join().expect("the client disconnects");
}

#[test]
fn halves_work_on_two_threads_and_close_when_both_are_dropped() {
    let server = serve_echo(Options::default());
    let (sending, receiving) = block_on(server.connect("/")).split();
    let sender = thread::spawn(move || {
        for number in 0..500 {
            block_on(sending.send(&format!("number {number}"))).expect("an open connection");
        }
    });
    for number in 0..500 {
        let message = block_on(receiving.recv()).expect("an echo");
        assert_eq!(message, OwnedMessage::Text(format!("number {number}")));
    }
    sender.join().expect("all was sent");
    let connection = receiving.connection().clone();
    assert!(connection.is_open(), "one half is enough");
    drop(receiving);
    block_on(connection.closed());
}

#[test]
fn a_stream_can_be_forwarded_into_the_sink() {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let mut peer = Peer::accept_websocket(&listener);
        for number in 0..300_u32 {
            let message = number.to_string().repeat(1_000);
            peer.send(TEXT, message.as_bytes());
            peer.expect(TEXT, message.as_bytes());
        }
        peer.send_close(1000, "");
        assert_eq!(peer.next().expect("an answer").opcode, CLOSE);
    });
    let (sending, receiving) = block_on(prism::connect(&url)).expect("a connection").split();
    let echo = receiving
        .err_into::<Box<dyn Error + Send + Sync>>()
        .forward(sending.sink_err_into::<Box<dyn Error + Send + Sync>>());
    block_on(echo).expect("the server closes after the last echo");
    server.join().expect("every message was echoed");
}

#[test]
fn a_sink_writes_on_flush_and_sends_a_close_frame_on_close() {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let mut peer = Peer::accept_websocket(&listener);
        for number in 0..100_u8 {
            peer.expect(TEXT, number.to_string().repeat(10_000).as_bytes());
        }
        peer.expect(CLOSE, &close_payload(1000, ""));
        peer.send_close(1000, "");
    });
    block_on(async {
        let mut socket = prism::connect(&url).await.expect("a connection");
        for number in 0..100_u8 {
            let message = OwnedMessage::Text(number.to_string().repeat(10_000));
            SinkExt::feed(&mut socket, message).await.expect("an open connection");
        }
        SinkExt::flush(&mut socket).await.expect("an open connection");
        assert_eq!(socket.connection().buffered(), 0);
        SinkExt::close(&mut socket).await.expect("an open connection");
        let late = SinkExt::send(&mut socket, OwnedMessage::Text("late".into())).await;
        assert_eq!(late, Err(SendError::Closed));
        assert!(socket.next().await.is_none(), "a stream that ends without an error");
    });
    server.join().expect("every message arrived");
}

#[test]
fn a_stream_ends_with_the_failure_of_its_connection() {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let mut peer = Peer::accept_websocket(&listener);
        peer.send(TEXT, b"the last one");
        peer.send_eof();
        peer.expect_disconnect();
    });
    block_on(async {
        let mut socket = prism::connect(&url).await.expect("a connection");
        let first = socket.next().await.expect("a message").expect("a message");
        assert_eq!(first, OwnedMessage::Text("the last one".into()));
        socket.next().await.expect("the failure").expect_err("the failure");
        assert!(socket.next().await.is_none());
    });
    server.join().expect("the client disconnects");
}
