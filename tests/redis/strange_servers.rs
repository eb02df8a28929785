//! Servers that are not Redis, or are too old, or send what they should not.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    thread,
};

use crate::node::{Net, Node, redis_at};

/// Replies to `HELLO` and `ROLE`.
const LOGGED_IN: &[u8] = b"%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";

/// Serves connections that each send these bytes, and then `repeated` for as long as they are read.
fn serve(greeting: &'static [u8], repeated: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve_one(stream, greeting, repeated));
        }
    });
    address
}

fn serve_one(mut stream: TcpStream, greeting: &[u8], repeated: &[u8]) -> Option<()> {
    let mut command = [0; 4096];
    if stream.read(&mut command).ok()? == 0 {
        return None;
    }
    stream.write_all(greeting).ok()?;
    while !repeated.is_empty() {
        stream.write_all(repeated).ok()?;
    }
    while stream.read(&mut command).ok()? > 0 {}
    Some(())
}

/// Returns why a node cannot use a server.
async fn refused<N: Net>(greeting: &'static [u8], repeated: &'static [u8]) -> String {
    let address = serve(greeting, repeated);
    let url = format!("redis://ann:secret@{address}");
    Node::start::<N>(redis_at::<N>(&url)).await.connect_failed().await
}

pub(crate) async fn a_server_that_is_too_old_is_named<N: Net>(_: PathBuf) {
    let reply = b"-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `ann`, `secret`, \r\n";
    let reason = refused::<N>(reply, b"").await;
    assert_eq!(reason, "the server does not know HELLO; expected Redis 6 or later, or Valkey");
}

pub(crate) async fn another_protocol_is_refused<N: Net>(_: PathBuf) {
    let reason = refused::<N>(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"").await;
    let expected = "Redis sent what is not understood: the byte 0x48 begins no value of RESP3";
    assert_eq!(reason, expected);
}

pub(crate) async fn a_server_that_says_nothing_is_not_waited_for<N: Net>(_: PathBuf) {
    let reason = refused::<N>(b"", b"").await;
    assert_eq!(reason, "Redis did not answer in time");
}

pub(crate) async fn a_message_without_end_is_cut<N: Net>(_: PathBuf) {
    let beginning = b"%0\r\n*1\r\n$6\r\nmaster\r\n>999999999\r\n+message\r\n";
    let reason = refused::<N>(beginning, b"$16\r\n0123456789abcdef\r\n").await;
    assert_eq!(reason, "Redis sent what is not understood: a message of more than 4 MiB");
}

pub(crate) async fn replies_that_were_not_asked_for_are_refused<N: Net>(_: PathBuf) {
    let reason = refused::<N>(LOGGED_IN, b"+surprise\r\n").await;
    assert_eq!(reason, "Redis sent \"surprise\", which was not expected");
}
