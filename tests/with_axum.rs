//! The example `with_axum`, in which HTTP is served by axum: the limits and deadlines of connections that have not
//! become WebSockets are the example's own.

use std::{
    env,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use prism_tests::{
    process::{allow_descriptors, limit_descriptors},
    raw::{encode, request},
    subprocess::Subprocess,
};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use tokio::runtime::Runtime;

#[allow(dead_code, reason = "its `main` is not used")]
#[path = "../prism-axum/examples/with_axum.rs"]
mod with_axum;

/// Set in the server process.
const SERVER: &str = "PRISM_TESTS_SERVER";

/// The usual limit of a process.
const DESCRIPTORS: usize = 1024;

const SILENT: usize = 3000;

/// The server's HTTP timeout. Shorter than the example's, so that the silent peers are dropped soon.
const HTTP_TIMEOUT: Duration = Duration::from_millis(250);

const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs the server process.
fn serve() {
    limit_descriptors(DESCRIPTORS);
    let served = with_axum::serve("127.0.0.1:0", HTTP_TIMEOUT);
    Runtime::new().expect("a runtime").block_on(served).expect("a free port");
}

/// Connects, and sends these bytes.
fn connect(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).expect("a server");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a socket");
    stream.write_all(bytes).expect("the server reads");
    stream
}

/// Starts to connect without waiting: the server accepts very few of its peers at once.
fn connect_silently(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_nonblocking(true).expect("a socket");
    match socket.connect(&address.into()).map_err(|error| Errno::from_io_error(&error)) {
        Err(error) if error != Some(Errno::INPROGRESS) => panic!("{error:?}"),
        Ok(()) | Err(_) => socket,
    }
}

/// Opens a WebSocket, and gives its user a name.
fn open(address: SocketAddr, user: &str) -> TcpStream {
    let mut stream = connect(address, request("/ws").as_bytes());
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a response");
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", head.escape_ascii());
    stream.write_all(&encode(true, true, TEXT, user.as_bytes())).expect("the server reads");
    exchange(&mut stream, &encode(true, true, PING, b""), &encode(false, true, PONG, b""));
    stream
}

/// Sends a frame, unless it is empty, and expects another.
#[track_caller]
fn exchange(stream: &mut TcpStream, frame: &[u8], answer: &[u8]) {
    stream.write_all(frame).expect("the server reads");
    let mut received = vec![0; answer.len()];
    stream.read_exact(&mut received).expect("the server answers");
    assert_eq!(received, answer);
}

const TEXT: u8 = 1;
const PING: u8 = 9;
const PONG: u8 = 10;

#[test]
fn silent_peers_cannot_block_new_clients() {
    if env::var_os(SERVER).is_some() {
        return serve();
    }
    allow_descriptors(SILENT + 100);
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(["--exact", "silent_peers_cannot_block_new_clients", "--nocapture"]);
    let server = Subprocess::start(command.env(SERVER, "1"));
    let address = server.wait_for_line("listening on http://").parse().expect("an address");
    let mut ada = open(address, "ada");
    let silent: Vec<Socket> = (0..SILENT).map(|_| connect_silently(address)).collect();
    // An open WebSocket is served.
    exchange(&mut ada, &encode(true, true, PING, b"?"), &encode(false, true, PONG, b"?"));
    // New clients get in when their predecessors have had their time.
    let post = "POST /notify/ada HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Length: 5\r\n\r\nhello";
    let mut response = String::new();
    connect(address, post.as_bytes()).read_to_string(&mut response).expect("a response");
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    exchange(&mut ada, b"", &encode(false, true, TEXT, b"hello"));
    open(address, "ben");
    drop(silent);
}
