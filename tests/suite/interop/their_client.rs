//! Tests their client against our server.

use tokio_tungstenite::tungstenite::{Error, Message as Theirs};

use super::{
    assert_too_big, flavour::with_each_flavour, large_message, messages, messages_in_pieces, roomy,
    their_end::TheirEnd,
};
use crate::{
    prism::{CloseCode, Disconnect, Options, OwnedMessage},
    suite::support::{
        handlers::{Echo, recorder},
        pattern,
        server::{serve, serve_echo},
    },
};

#[track_caller]
fn assert_comes_back(client: &mut TheirEnd<'_>, message: Theirs) {
    client.send(message.clone());
    client.expect(&message);
}

#[test]
fn their_client_gets_its_messages_back() {
    with_each_flavour(|flavour| {
        let server = serve_echo(Options::default());
        let mut client = flavour.connect(&server.url("/"));
        for message in messages() {
            assert_comes_back(&mut client, message);
        }
    });
}

#[test]
fn their_clients_fragments_are_joined_and_pings_answered() {
    with_each_flavour(|flavour| {
        let (recorder, events) = recorder();
        let server = serve(|server| server.websocket("/", recorder));
        let mut client = flavour.connect(&server.url("/"));
        events.connected();
        for (kind, pieces, whole) in messages_in_pieces() {
            client.send_in_pieces(kind, pieces);
            assert_eq!(events.message(), whole);
        }
    });
}

#[test]
fn their_clients_pings_are_answered_with_their_payload() {
    with_each_flavour(|flavour| {
        let server = serve_echo(Options::default());
        let mut client = flavour.connect(&server.url("/"));
        for len in [0, 1, 125] {
            client.ping(&pattern(len));
        }
    });
}

#[test]
fn their_client_answers_our_ping() {
    with_each_flavour(|flavour| {
        let (recorder, events) = recorder();
        let server = serve(|server| server.websocket("/", recorder));
        let mut client = flavour.connect(&server.url("/"));
        events.connected().ping(b"there?").expect("an open connection");
        client.expect(&Theirs::Ping("there?".into()));
        client.send(Theirs::text("yes")); // after its pong
        assert_eq!(events.message(), OwnedMessage::Text("yes".into()));
    });
}

#[test]
fn their_client_closes_with_code_and_reason() {
    with_each_flavour(|flavour| {
        let (recorder, events) = recorder();
        let server = serve(|server| server.websocket("/", recorder));
        let mut client = flavour.connect(&server.url("/"));
        events.connected();
        client.send_close(4001, "done, schöne Grüße");
        assert_eq!(client.expect_close(4001), "done, schöne Grüße");
        client.expect_end();
        let ended = events.ended();
        assert!(matches!(ended, Disconnect::Peer { .. }), "{ended:?}");
        assert_eq!((ended.code(), ended.reason()), (4001, "done, schöne Grüße".into()));
    });
}

#[test]
fn their_client_is_closed_with_code_and_reason() {
    with_each_flavour(|flavour| {
        let (recorder, events) = recorder();
        let server = serve(|server| server.websocket("/", recorder));
        let mut client = flavour.connect(&server.url("/"));
        let code = CloseCode::new(4002).expect("a code that may travel");
        assert!(events.connected().close(code, "enough, schöne Grüße"), "an open connection");
        assert_eq!(client.expect_close(4002), "enough, schöne Grüße");
        client.expect_end();
        let ended = events.ended();
        assert!(matches!(ended, Disconnect::Local { .. }), "{ended:?}");
        assert_eq!((ended.code(), ended.reason()), (4002, "enough, schöne Grüße".into()));
    });
}

#[test]
fn their_client_is_refused_on_an_unknown_path() {
    with_each_flavour(|flavour| {
        let server = serve(|server| server.websocket("/", Echo));
        let refused = flavour.try_connect(&server.url("/nowhere")).err().expect("no connection");
        let Error::Http(response) = refused else { panic!("{refused:?}") };
        assert_eq!(response.status(), 404);
    });
}

#[test]
fn their_client_gets_16_mib_back_with_raised_limits() {
    with_each_flavour(|flavour| {
        let server = serve_echo(roomy());
        let mut client = flavour.connect(&server.url("/"));
        assert_comes_back(&mut client, large_message());
    });
}

#[test]
fn their_client_gets_1009_over_our_limit() {
    with_each_flavour(|flavour| {
        let (recorder, events) = recorder();
        let server = serve(|server| server.websocket("/", recorder));
        let mut client = flavour.connect(&server.url("/"));
        events.connected();
        client.send(large_message());
        assert_ne!(client.expect_close(1009), "", "1009 without a reason");
        client.expect_end();
        assert_too_big(&events.ended());
    });
}
