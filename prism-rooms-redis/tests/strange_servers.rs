//! Servers that are not Redis, or lack commands, or send what they should not.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use prism_test::Sim;

use crate::server::{Server, node, refused};

/// Says something instead of the replies to a command.
fn instead_of(command: &str, reply: &[u8]) -> impl Fn(&[&str]) -> Option<Vec<u8>> + use<> {
    let (command, reply) = (command.to_owned(), reply.to_vec());
    move |words| (words[0] == command).then(|| reply.clone())
}

/// Returns whether a node can use a server.
fn connects(strange: impl Fn(&[&str]) -> Option<Vec<u8>> + Send + Sync + 'static) -> bool {
    let sim = Sim::new();
    Server::start(&sim, strange);
    let cluster = node(&sim);
    sim.run(sim.pass(Duration::from_secs(10)));
    cluster.counts().connected
}

#[test]
fn a_server_without_roles_is_not_asked_again() {
    let asked = AtomicU32::new(0);
    assert!(connects(move |words| {
        (words[0] == "ROLE").then(|| {
            let asked = asked.fetch_add(1, Relaxed);
            assert!(asked < 2, "each connection asks once");
            b"-ERR unknown command 'ROLE'\r\n".to_vec()
        })
    }));
}

#[test]
fn a_server_that_does_not_allow_roles_is_refused() {
    let reason = refused(instead_of("ROLE", b"-NOPERM no permissions\r\n"));
    assert!(reason.ends_with("Redis refused ROLE: NOPERM no permissions"), "{reason}");
}

#[test]
fn a_server_that_is_too_old_is_named() {
    let reason = refused(instead_of(
        "HELLO",
        b"-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `ann`, `secret`, \r\n",
    ));
    let expected = "the server does not know HELLO; expected Redis 6 or later, or Valkey";
    assert!(reason.ends_with(expected), "{reason}");
}

#[test]
fn another_protocol_is_refused() {
    let reason = refused(instead_of("HELLO", b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    let expected = "Redis sent what is not understood: the byte 0x48 begins no value of RESP3";
    assert!(reason.ends_with(expected), "{reason}");
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for() {
    let reason = refused(|_| Some(Vec::new()));
    assert!(reason.ends_with("Redis did not answer in time"), "{reason}");
}

#[test]
fn a_message_without_end_is_cut() {
    let message = [b">999999999\r\n+message\r\n".to_vec(), b"+0123456789\r\n".repeat(400_000)];
    let reason = refused(instead_of("SUBSCRIBE", &message.concat()));
    let expected = "Redis sent what is not understood: a message of more than 4 MiB";
    assert!(reason.ends_with(expected), "{reason}");
}

#[test]
fn replies_that_were_not_asked_for_are_refused() {
    let reason = refused(instead_of("ROLE", b"*3\r\n+master\r\n:0\r\n*0\r\n+surprise\r\n"));
    assert!(reason.ends_with("Redis sent \"surprise\", which was not expected"), "{reason}");
}
