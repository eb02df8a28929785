//! Servers that are not Redis, or lack commands, or send what they should not.

use std::{
    io::ErrorKind,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use prism_rooms::{Cluster, ClusterEvent};
use prism_rooms_redis::Redis;
use prism_test::{Reach, Sim};

use crate::server::{ADDRESS, Server, connect_failed, node, refused};

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
    let expected = "the server does not know HELLO; expected Redis 6.2.2 or later, or Valkey";
    assert!(reason.ends_with(expected), "{reason}");
}

#[test]
fn another_protocol_is_refused() {
    let reason = refused(instead_of("HELLO", b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    let expected = "invalid reply from Redis: the byte 0x48 begins no value of RESP3";
    assert!(reason.ends_with(expected), "{reason}");
}

#[test]
fn a_server_that_expects_tls_is_named() {
    let alert =
        |is_first| if is_first { b"\x15\x03\x01\x00\x02\x02\x46".to_vec() } else { Vec::new() };
    let reason = refused(move |words| Some(alert(words[0] == "HELLO")));
    assert!(reason.ends_with("the server speaks TLS; expected \"rediss://\""), "{reason}");
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for() {
    let reason = refused(|_| Some(Vec::new()));
    assert_eq!(reason, "192.0.2.1:6379: Redis did not answer in time");
}

#[test]
fn an_address_that_does_not_answer_is_named() {
    let sim = Sim::new();
    sim.set_reach(ADDRESS, Reach::Never);
    let reason = sim.run(connect_failed(&node(&sim)));
    let expected = "Redis cannot be reached: 192.0.2.1:6379: no answer in time";
    assert!(reason.ends_with(expected), "{reason}");
}

#[test]
fn a_message_without_end_is_cut() {
    let message = [b">999999999\r\n+message\r\n".to_vec(), b"+0123456789\r\n".repeat(400_000)];
    let reason = refused(instead_of("SUBSCRIBE", &message.concat()));
    let expected = "invalid reply from Redis: a message of more than 4 MiB";
    assert!(reason.ends_with(expected), "{reason}");
}

#[test]
fn replies_that_were_not_asked_for_are_refused() {
    let reason = refused(instead_of("ROLE", b"*3\r\n+master\r\n:0\r\n*0\r\n+surprise\r\n"));
    assert!(reason.ends_with("Redis sent \"surprise\", which was not expected"), "{reason}");
}

#[test]
fn pushes_and_attributes_that_are_not_known_are_ignored() {
    assert!(connects(|words| {
        let extra = ">2\r\n+tracking\r\n+x\r\n|1\r\n+ttl\r\n:9\r\n";
        let reply = match words[0] {
            "HELLO" => "%0\r\n",
            "ROLE" => "*3\r\n+master\r\n:0\r\n*0\r\n",
            _ => return None,
        };
        Some(format!("{extra}{reply}>1\r\n+invalidate\r\n").into())
    }));
}

#[test]
fn a_reply_to_another_command_is_refused() {
    for (command, reply, expected) in [
        ("PUBLISH", "+OK\r\n", "Redis sent \"OK\", which was not expected"),
        ("SUBSCRIBE", ":1\r\n", "Redis sent \"1\", which was not expected"),
        (
            "SUBSCRIBE",
            ">3\r\n+unsubscribe\r\n+all\r\n:1\r\n",
            "Redis sent \"unsubscribe\", which was not expected",
        ),
    ] {
        let reason = refused(instead_of(command, reply.as_bytes()));
        assert!(reason.ends_with(expected), "{reason}");
    }
}

/// More than is read in a turn.
#[test]
fn a_long_reply_while_connecting_takes_no_time() {
    let sim = Sim::new();
    let modules = "+module\r\n".repeat(20_000);
    Server::start(&sim, move |words| {
        (words[0] == "HELLO").then(|| format!("*20000\r\n{modules}").into())
    });
    let cluster = node(&sim);
    sim.run(sim.settle());
    assert!(cluster.counts().connected);
}

/// Redis says what is wrong, and closes the connection. What is written after that fails.
#[test]
fn the_last_words_of_a_server_are_reported() {
    let sim = Sim::new();
    Server::start(&sim, |_| None);
    let cluster = node(&sim);
    let events = cluster.events();
    sim.run(async {
        sim.settle().await;
        let publisher = sim.last_connection().expect("a connection");
        publisher.to_server().stall();
        publisher.to_server().set_capacity(10);
        cluster.rooms().everyone().send("hello");
        sim.settle().await;
        publisher.to_server().fail_next_write(ErrorKind::BrokenPipe);
        publisher.to_client().insert(b"-ERR Protocol error\r\n");
        while let Some(event) = events.recv().await {
            if let ClusterEvent::Disconnected { reason } = event {
                let expected = "Redis refused PUBLISH: ERR Protocol error";
                return assert!(reason.ends_with(expected), "{reason}");
            }
        }
    });
}

/// During a failover, one connection could lead to the old master, and one to the new.
#[test]
fn both_connections_lead_to_the_same_server() {
    let sim = Sim::new();
    let other = "192.0.2.2:6379".parse().expect("an address");
    let (first, _second) = (sim.listener(&[ADDRESS]), sim.listener(&[other]));
    sim.set_name("redis.example", &[ADDRESS, other]);
    sim.set_reach(ADDRESS, Reach::After(Duration::from_millis(10)));
    let redis = Redis::new(sim.clone(), "redis://redis.example").expect("a URL");
    let cluster = Cluster::new(sim.clone(), redis);
    let reason = sim.run(async {
        first.accept().await;
        drop(first);
        connect_failed(&cluster).await
    });
    assert!(reason.contains("Redis cannot be reached: 192.0.2.1:6379: "), "{reason}");
}
