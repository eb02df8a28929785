//! Servers that are not NATS, or refuse something, or send what they should not.

use std::{
    io::ErrorKind,
    sync::{Arc, Mutex},
    time::Duration,
};

use prism_rooms::ClusterEvent;
use prism_test::{Reach, Sim};

use crate::server::{ADDRESS, Server, connect_failed, node, refused};

const INFO: &str = "INFO {\"max_payload\":1048576}\r\n";

/// Says something instead of the replies to a command.
fn instead_of(command: &'static str, reply: &str) -> impl Fn(&str) -> Option<String> + use<> {
    let reply = reply.to_owned();
    move |line| (line.split(' ').next() == Some(command)).then(|| reply.clone())
}

/// Says something in front of the replies to a `PING`, the first of which comes before there are subscriptions.
fn in_front_of_pongs(text: &str) -> impl Fn(&str) -> Option<String> + use<> {
    instead_of("PING", &format!("{text}PONG\r\n"))
}

#[test]
fn a_server_with_all_that_is_needed_is_used() {
    let sim = Sim::new();
    let said = Arc::new(Mutex::new(String::new()));
    let heard = said.clone();
    Server::start(&sim, move |line| {
        if line.starts_with("CONNECT ") {
            line.clone_into(&mut heard.lock().unwrap());
        }
        None
    });
    let (here, there) = (node(&sim), node(&sim));
    sim.run(sim.pass(Duration::from_secs(20)));
    assert!(here.counts().connected && there.counts().connected);
    assert_eq!((here.counts().nodes, here.counts().missed), (1, 0));
    let connect = said.lock().unwrap().clone();
    for setting in [r#""echo":true"#, r#""verbose":false"#, r#""user":"ann""#, r#""pass":"secret""#]
    {
        assert!(connect.contains(setting), "{connect}");
    }
}

#[test]
fn another_protocol_is_refused() {
    let reason = refused(instead_of("", "SSH-2.0-OpenSSH_9.2p1\r\n"));
    let expected = "invalid bytes from NATS: \"SSH-2.0-OpenSSH_\" is no operation of NATS";
    assert!(reason.ends_with(expected), "{reason}");
    let reason = refused(instead_of("", "PING\r\n"));
    assert!(
        reason.ends_with("NATS sent something before INFO, which was not expected"),
        "{reason}"
    );
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for() {
    for strange in [instead_of("", ""), instead_of("PING", "")] {
        let reason = refused(strange);
        assert_eq!(reason, "192.0.2.1:4222: NATS did not answer in time");
    }
}

#[test]
fn an_address_that_does_not_answer_is_named() {
    let sim = Sim::new();
    sim.set_reach(ADDRESS, Reach::Never);
    let reason = sim.run(connect_failed(&node(&sim)));
    let expected = "NATS cannot be reached: 192.0.2.1:4222: no answer in time";
    assert!(reason.ends_with(expected), "{reason}");
}

#[test]
fn a_server_that_refuses_a_user_is_reported() {
    let reason = refused(instead_of("CONNECT", "-ERR 'Authorization Violation'\r\n"));
    assert!(reason.contains("NATS refused: Authorization Violation; expected a user"), "{reason}");
    assert!(!reason.contains("secret"), "{reason}");
}

#[test]
fn a_server_that_requires_tls_is_named() {
    let reason =
        refused(instead_of("", "INFO {\"max_payload\":1048576,\"tls_required\":true}\r\n"));
    assert!(reason.ends_with("the server requires TLS; expected \"tls://\""), "{reason}");
}

/// Nothing is sent to it: the password is for servers that can show who they are.
#[cfg(feature = "tls")]
#[test]
fn a_server_without_tls_hears_no_password() {
    use prism_rooms::Cluster;
    use prism_rooms_nats::Nats;

    for (info, expected) in [
        (INFO.to_owned(), "the server does not offer TLS"),
        (
            "INFO {\"max_payload\":1048576,\"tls_available\":true}\r\nPING\r\n".to_owned(),
            "NATS sent something between INFO and TLS",
        ),
    ] {
        let sim = Sim::new();
        Server::start(&sim, move |line| {
            assert_eq!(line, "");
            Some(info.clone())
        });
        let nats = Nats::new(sim.clone(), &format!("tls://ann:secret@{ADDRESS}")).expect("a URL");
        let reason = sim.run(connect_failed(&Cluster::new(sim.clone(), nats)));
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn malformed_information_is_refused() {
    let reason = refused(instead_of("", "INFO {\r\n"));
    assert!(reason.contains("invalid INFO from NATS: "), "{reason}");
}

#[test]
fn a_user_without_the_subjects_is_told_so() {
    for (command, what) in [("SUB", "Subscription"), ("PUB", "Publish")] {
        let violation = format!("Permissions Violation for {what} to \"prism.all\"");
        let reason = refused(instead_of(command, &format!("-ERR '{violation}'\r\n")));
        assert!(
            reason.contains(&format!("NATS refused: {violation}; expected a user")),
            "{reason}"
        );
    }
}

#[test]
fn a_message_that_is_too_long_is_cut() {
    let reason = refused(instead_of("SUB", "MSG prism.all 1 4194305\r\n"));
    let expected = "invalid bytes from NATS: a message of more than 4 MiB";
    assert!(reason.ends_with(expected), "{reason}");
}

#[test]
fn what_was_not_asked_for_is_refused() {
    for (text, expected) in [
        ("PONG\r\nPONG\r\n", "NATS sent a pong, which was not expected"),
        ("MSG a 9 0\r\n\r\n", "NATS sent a message without a subscription, which was not expected"),
        ("MSG a 0 0\r\n\r\n", "NATS sent a message without a subscription, which was not expected"),
    ] {
        let reason = refused(instead_of("SUB", text));
        assert!(reason.ends_with(expected), "{reason}");
    }
    let reason = refused(in_front_of_pongs("MSG a 1 0\r\n\r\n"));
    assert!(reason.ends_with("NATS sent a message, which was not expected"), "{reason}");
}

#[test]
fn what_needs_no_answer_is_ignored() {
    let sim = Sim::new();
    Server::start(&sim, in_front_of_pongs(&format!("+OK\r\n{INFO}PING\r\n")));
    let cluster = node(&sim);
    sim.run(sim.pass(Duration::from_secs(10)));
    assert!(cluster.counts().connected);
}

#[test]
fn a_server_that_asks_is_answered_once_it_reads() {
    let sim = Sim::new();
    let pongs = Arc::new(Mutex::new(0));
    let counted = pongs.clone();
    Server::start(&sim, move |line| {
        *counted.lock().unwrap() += usize::from(line == "PONG");
        None
    });
    let _cluster = node(&sim);
    sim.run(async {
        sim.settle().await;
        let connection = sim.last_connection().expect("a connection");
        connection.to_client().insert(b"PING\r\n");
        sim.settle().await;
        assert_eq!(*pongs.lock().unwrap(), 1);
        connection.to_server().set_capacity(0);
        for _ in 0..10 {
            connection.to_client().insert(&b"PING\r\n".repeat(100_000));
            sim.settle().await;
        }
        connection.to_server().set_capacity(1 << 20);
        sim.settle().await;
        let pongs = *pongs.lock().unwrap();
        assert!((2..10).contains(&pongs), "{pongs} pongs: one answers all that were there");
    });
}

/// NATS says what is wrong, and closes the connection. What is written after that fails.
#[test]
fn the_last_words_of_a_server_are_reported() {
    let sim = Sim::new();
    Server::start(&sim, |_| None);
    let cluster = node(&sim);
    let events = cluster.events();
    sim.run(async {
        sim.settle().await;
        let connection = sim.last_connection().expect("a connection");
        connection.to_server().stall();
        connection.to_server().set_capacity(10);
        cluster.rooms().everyone().send("hello");
        sim.settle().await;
        connection.to_server().fail_next_write(ErrorKind::BrokenPipe);
        connection.to_client().insert(b"-ERR 'Slow Consumer'\r\n");
        while let Some(event) = events.recv().await {
            if let ClusterEvent::Disconnected { reason } = event {
                return assert!(reason.ends_with("NATS refused: Slow Consumer"), "{reason}");
            }
        }
    });
}
