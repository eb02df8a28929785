//! Tests our client against their server.

use std::thread;

use tokio_tungstenite::tungstenite::Message as Theirs;

use super::{
    assert_too_big,
    flavour::{Flavour, with_each_flavour},
    large_message, messages, messages_in_pieces, ours, roomy,
    their_end::TheirEnd,
};
use crate::{
    prism::{Client, CloseCode, Disconnect, Options, Socket},
    suite::support::{block_on, pattern, server::listen, short},
};

/// Connects our client to their server.
#[track_caller]
fn connected(flavour: &Flavour, options: Options) -> (Socket, TheirEnd<'_>) {
    let (listener, url) = listen();
    let client = Client::new(&url).expect("a good address").options(options);
    let (socket, server) = thread::scope(|scope| {
        let connecting = scope.spawn(|| block_on(client.connect()));
        let server = flavour.try_accept(listener);
        (connecting.join().expect("the client finishes"), server)
    });
    (socket.expect("a connection"), server.expect("a client"))
}

/// Sends a message to their server, and has their server send it back.
#[track_caller]
fn assert_comes_back(socket: &Socket, server: &mut TheirEnd<'_>, message: Theirs) {
    block_on(socket.send(ours(&message))).expect("an open connection");
    server.expect(&message);
    server.send(message.clone());
    let returned = block_on(socket.recv()).expect("an echo");
    let same = returned.as_message() == ours(&message);
    assert!(same, "expected {}, but {}", short(&message), short(&returned));
}

#[test]
fn our_client_gets_its_messages_back_from_their_server() {
    with_each_flavour(|flavour| {
        let (socket, mut server) = connected(flavour, Options::default());
        for message in messages() {
            assert_comes_back(&socket, &mut server, message);
        }
    });
}

#[test]
fn our_client_joins_fragments_and_answers_pings_between_them() {
    with_each_flavour(|flavour| {
        let (socket, mut server) = connected(flavour, Options::default());
        for (kind, pieces, whole) in messages_in_pieces() {
            server.send_in_pieces(kind, pieces);
            assert_eq!(block_on(socket.recv()).expect("a message"), whole);
        }
    });
}

#[test]
fn our_client_answers_their_servers_pings_with_their_payload() {
    with_each_flavour(|flavour| {
        let (_socket, mut server) = connected(flavour, Options::default());
        for len in [0, 1, 125] {
            server.ping(&pattern(len));
        }
    });
}

#[test]
fn their_server_answers_our_ping() {
    with_each_flavour(|flavour| {
        let (socket, mut server) = connected(flavour, Options::default());
        socket.connection().ping(b"hello?").expect("an open connection");
        server.expect(&Theirs::Ping("hello?".into()));
        assert_comes_back(&socket, &mut server, Theirs::text("here")); // after its pong
    });
}

#[test]
fn our_client_is_closed_with_code_and_reason() {
    with_each_flavour(|flavour| {
        let (socket, mut server) = connected(flavour, Options::default());
        server.send_close(4004, "we close at six, schöne Grüße");
        assert_eq!(server.expect_close(4004), "we close at six, schöne Grüße");
        server.expect_end();
        let ending = block_on(socket.recv()).expect_err("no message");
        assert!(matches!(ending, Disconnect::Peer { .. }), "{ending:?}");
        assert_eq!(
            (ending.code(), ending.reason()),
            (4004, "we close at six, schöne Grüße".into())
        );
    });
}

#[test]
fn our_client_closes_with_code_and_reason() {
    with_each_flavour(|flavour| {
        let (socket, mut server) = connected(flavour, Options::default());
        let code = CloseCode::new(4003).expect("a code that may travel");
        let ending = thread::scope(|scope| {
            let closing = scope.spawn(|| block_on(socket.close(code, "thanks, schöne Grüße")));
            assert_eq!(server.expect_close(4003), "thanks, schöne Grüße");
            server.expect_end();
            closing.join().expect("the socket closes")
        });
        assert!(matches!(ending, Disconnect::Local { .. }), "{ending:?}");
        assert_eq!((ending.code(), ending.reason()), (4003, "thanks, schöne Grüße".into()));
    });
}

#[test]
fn our_client_gets_16_mib_back_with_raised_limits() {
    with_each_flavour(|flavour| {
        let (socket, mut server) = connected(flavour, roomy());
        assert_comes_back(&socket, &mut server, large_message());
    });
}

#[test]
fn their_server_gets_1009_over_our_limit() {
    with_each_flavour(|flavour| {
        let (socket, mut server) = connected(flavour, Options::default());
        server.send(large_message());
        assert_ne!(server.expect_close(1009), "", "1009 without a reason");
        server.expect_end();
        let ending = block_on(socket.recv()).expect_err("no message");
        assert_too_big(&ending);
    });
}
