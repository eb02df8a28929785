//! Servers that are not Redis, or lack commands, or send what they should not.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use prism_test::{Reach, Sim};

use crate::server::{
    ADDRESS, Server, address, connect_failed, connects, instead_of, node, node_of, refused,
};

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

/// What is published there reaches the clients of all nodes.
#[test]
fn a_replica_of_a_redis_cluster_is_used() {
    for (mode, is_used) in [("cluster", true), ("standalone", false)] {
        let hello = format!("%2\r\n+server\r\n+redis\r\n+mode\r\n+{mode}\r\n");
        let connected = connects(move |words| match words[0] {
            "HELLO" => Some(hello.clone().into()),
            "ROLE" => Some(b"*3\r\n+slave\r\n+192.0.2.2\r\n:6379\r\n".to_vec()),
            _ => None,
        });
        assert_eq!(connected, is_used, "{mode}");
    }
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

/// During a failover, one connection could lead to the old master, and one to the new.
#[test]
fn both_connections_lead_to_the_same_server() {
    let sim = Sim::new();
    let other = address(2);
    let (first, _second) = (sim.listener(&[ADDRESS]), sim.listener(&[other]));
    sim.set_name("redis.example", &[ADDRESS, other]);
    sim.set_reach(ADDRESS, Reach::After(Duration::from_millis(10)));
    let cluster = node_of(&sim, "redis://redis.example");
    let reason = sim.run(async {
        first.accept().await;
        drop(first);
        connect_failed(&cluster).await
    });
    assert!(reason.contains("Redis cannot be reached: 192.0.2.1:6379: "), "{reason}");
}
