//! Servers that are not NATS, or refuse something, or send what they should not.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use prism_test::Sim;

use crate::server::{Server, connects, instead_of, node, refused};

const INFO: &str = "INFO {\"max_payload\":1048576}\r\n";

/// Says something in front of the replies to a `PING`, the first of which comes before there are subscriptions.
fn in_front_of_pongs(text: &str) -> impl Fn(&[&str]) -> Option<Vec<u8>> + use<> {
    instead_of("PING", format!("{text}PONG\r\n").as_bytes())
}

#[test]
fn a_server_with_all_that_is_needed_is_used() {
    let sim = Sim::new();
    let said = Arc::new(Mutex::new(String::new()));
    let heard = said.clone();
    Server::start(&sim, move |words| {
        if let ["CONNECT", settings] = *words {
            settings.clone_into(&mut heard.lock().unwrap());
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
    let reason = refused(instead_of("", b"SSH-2.0-OpenSSH_9.2p1\r\n"));
    let expected = "invalid bytes from NATS: \"SSH-2.0-OpenSSH_\" is no operation of NATS";
    assert!(reason.ends_with(expected), "{reason}");
    let reason = refused(instead_of("", b"PING\r\n"));
    assert!(
        reason.ends_with("NATS sent something before INFO, which was not expected"),
        "{reason}"
    );
}

#[test]
fn a_server_that_does_not_confirm_is_not_waited_for() {
    let reason = refused(instead_of("PING", b""));
    assert!(reason.ends_with("NATS did not answer in time"), "{reason}");
}

#[test]
fn a_server_that_refuses_a_user_is_reported() {
    let reason = refused(instead_of("CONNECT", b"-ERR 'Authorization Violation'\r\n"));
    assert!(reason.contains("NATS refused: Authorization Violation; expected a user"), "{reason}");
    assert!(!reason.contains("secret"), "{reason}");
}

#[test]
fn a_server_that_requires_tls_is_named() {
    let reason =
        refused(instead_of("", b"INFO {\"max_payload\":1048576,\"tls_required\":true}\r\n"));
    assert!(reason.ends_with("the server requires TLS; expected \"tls://\""), "{reason}");
}

/// Nothing is sent to it: the password is for servers that can show who they are.
#[cfg(feature = "tls")]
#[test]
fn a_server_without_tls_hears_no_password() {
    use prism_rooms::Cluster;
    use prism_rooms_nats::Nats;

    use crate::server::{ADDRESS, connect_failed};

    for (info, expected) in [
        (INFO.to_owned(), "the server does not offer TLS"),
        (
            "INFO {\"max_payload\":1048576,\"tls_available\":true}\r\nPING\r\n".to_owned(),
            "NATS sent something between INFO and TLS",
        ),
    ] {
        let sim = Sim::new();
        Server::start(&sim, move |words| {
            assert_eq!(words, [""]);
            Some(info.clone().into())
        });
        let nats = Nats::new(sim.clone(), &format!("tls://ann:secret@{ADDRESS}")).expect("a URL");
        let reason = sim.run(connect_failed(&Cluster::new(sim.clone(), nats)));
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn malformed_information_is_refused() {
    let reason = refused(instead_of("", b"INFO {\r\n"));
    assert!(reason.contains("invalid INFO from NATS: "), "{reason}");
}

#[test]
fn a_user_without_the_subjects_is_told_so() {
    for (command, what) in [("SUB", "Subscription"), ("PUB", "Publish")] {
        let violation = format!("Permissions Violation for {what} to \"prism.all\"");
        let reason = refused(instead_of(command, format!("-ERR '{violation}'\r\n").as_bytes()));
        assert!(
            reason.contains(&format!("NATS refused: {violation}; expected a user")),
            "{reason}"
        );
    }
}

#[test]
fn a_message_that_is_too_long_is_cut() {
    let reason = refused(instead_of("SUB", b"MSG prism.all 1 4194305\r\n"));
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
        let reason = refused(instead_of("SUB", text.as_bytes()));
        assert!(reason.ends_with(expected), "{reason}");
    }
    let reason = refused(in_front_of_pongs("MSG a 1 0\r\n\r\n"));
    assert!(reason.ends_with("NATS sent a message, which was not expected"), "{reason}");
}

#[test]
fn what_needs_no_answer_is_ignored() {
    assert!(connects(in_front_of_pongs(&format!("+OK\r\n{INFO}PING\r\n"))));
}

#[test]
fn a_server_that_asks_is_answered_once_it_reads() {
    let sim = Sim::new();
    let pongs = Arc::new(Mutex::new(0));
    let counted = pongs.clone();
    Server::start(&sim, move |words| {
        *counted.lock().unwrap() += usize::from(words == ["PONG"]);
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
