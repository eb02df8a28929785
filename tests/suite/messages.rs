//! Messages and pings there and back, with a client of Prism's and with a raw one.

use std::time::Duration;

use futures_lite::future::zip;

use super::support::{
    block_on,
    handlers::{Echo, recorder},
    pattern,
    peer::{BINARY, CONTINUATION, PING, PONG, Peer, TEXT},
    server::{listen, serve, serve_echo},
    short,
};
use crate::prism::{
    Client, ClientOptions, CloseCode, Connection, Disconnect, Failure, Handler, Message, Options,
    OwnedMessage, ProtocolError, ServerOptions, Socket,
};

#[track_caller]
fn assert_returns(socket: &Socket, message: Message<'_>) {
    let returned = block_on(async {
        socket.send(message).await.expect("an open connection");
        socket.recv().await.expect("an echo")
    });
    assert!(
        returned == message.into_owned(),
        "sent {}, received {}",
        short(&message),
        short(&returned)
    );
}

#[test]
fn text_and_binary_come_back_as_they_were() {
    let server = serve_echo(Options::default());
    let socket = block_on(server.connect("/"));
    assert_returns(&socket, Message::Text("hello"));
    assert_returns(&socket, Message::Text("Straße, 東京, 🦀"));
    assert_returns(&socket, Message::Binary(&[0, 255, 128, 10, 13]));
}

#[test]
fn empty_messages_come_back_empty_and_of_their_kind() {
    let server = serve_echo(Options::default());
    let socket = block_on(server.connect("/"));
    assert_returns(&socket, Message::Text(""));
    assert_returns(&socket, Message::Binary(&[]));
}

#[test]
fn every_size_around_the_lengths_encodings_comes_back() {
    let server = serve_echo(Options::default());
    let socket = block_on(server.connect("/"));
    for len in [1, 125, 126, 127, 65_535, 65_536, 65_537] {
        assert_returns(&socket, Message::Binary(&pattern(len)));
    }
}

#[test]
fn a_message_of_one_mebibyte_comes_back() {
    let server = serve_echo(Options::default());
    let socket = block_on(server.connect("/"));
    assert_returns(&socket, Message::Binary(&pattern(1 << 20)));
    assert_returns(&socket, Message::Text(&"ab€".repeat((1 << 20) / 5)));
}

#[test]
fn a_message_over_the_limit_ends_the_connection_with_1009() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let socket = block_on(server.connect("/"));
    events.connected();

    let ending = block_on(async {
        socket.send(&pattern((1 << 20) + 1)).await.expect("room for one message");
        socket.recv().await
    });
    assert!(matches!(&ending, Err(Disconnect::Peer { .. })), "{ending:?}");
    assert_eq!(ending.map_err(|ending| ending.code()), Err(1009));
    let ended = events.ended();
    let too_big = ProtocolError::MessageTooBig(1 << 20);
    assert!(matches!(&ended, Disconnect::Failed(Failure::Protocol(e)) if *e == too_big), "{ended}");
}

#[test]
fn sixteen_mebibytes_come_back_where_the_limits_are_raised() {
    let mut options = Options::default();
    options.protocol.max_message_size = 16 << 20;
    let server = serve_echo(options.clone());
    let socket = block_on(server.client("/").options(options).connect()).expect("a connection");
    assert_returns(&socket, Message::Binary(&pattern(16 << 20)));
}

#[test]
fn ten_thousand_messages_come_back_in_order() {
    const COUNT: usize = 10_000;
    let server = serve_echo(Options::default());
    let socket = block_on(server.connect("/"));
    let sending = async {
        for number in 0..COUNT {
            socket.send(&number.to_string()).await.expect("an open connection");
        }
    };
    let receiving = async {
        for number in 0..COUNT {
            assert_eq!(socket.recv().await.unwrap(), OwnedMessage::Text(number.to_string()));
        }
    };
    block_on(zip(sending, receiving));
}

#[test]
fn both_directions_run_at_once() {
    let server = serve(|server| server.websocket("/", Echo));
    block_on(async {
        let socket = server.connect("/").await;
        let message = vec![7; 300_000]; // more than an outbox, many times
        let sending = async {
            for _ in 0..50 {
                socket.send(&message).await.expect("an open connection");
            }
        };
        let receiving = async {
            for _ in 0..50 {
                let received = socket.recv().await.expect("an open connection");
                assert!(received.as_message().as_bytes() == message);
            }
        };
        zip(sending, receiving).await;
    });
}

#[test]
fn fragments_arrive_as_one_message_and_a_ping_between_them_is_answered_at_once() {
    let server = serve_echo(Options::default());
    let mut peer = server.open("/");
    let pieces = [
        peer.encode(false, TEXT, "Stra\u{df}".as_bytes().split_last().unwrap().1), // half a letter
        peer.encode(true, PING, b"still there?"),
    ];
    peer.write(&pieces.concat());
    peer.expect(PONG, b"still there?");
    let rest = [
        peer.encode(false, CONTINUATION, &[0x9f]),
        peer.encode(false, CONTINUATION, b""),
        peer.encode(true, CONTINUATION, b"e"),
    ];
    peer.write(&rest.concat());
    peer.expect(TEXT, "Straße".as_bytes());
}

#[test]
fn a_client_joins_fragments_too() {
    let (listener, url) = listen();
    let server = std::thread::spawn(move || {
        let mut peer = Peer::accept_web_socket(&listener);
        let pieces = [
            peer.encode(false, BINARY, &[1, 2]),
            peer.encode(true, PING, b"?"),
            peer.encode(true, CONTINUATION, &[3]),
        ];
        peer.write(&pieces.concat());
        peer.expect(PONG, b"?");
        peer
    });
    let socket = block_on(Client::new(&url).unwrap().connect()).expect("a connection");
    assert_eq!(block_on(socket.recv()).unwrap(), OwnedMessage::Binary(vec![1, 2, 3]));
    server.join().expect("the pong came");
}

#[test]
fn a_handshake_and_a_message_that_come_byte_by_byte_are_understood() {
    let server = serve_echo(Options::default());
    let mut peer = server.dial();
    for byte in Peer::request("/").bytes() {
        peer.write(&[byte]);
    }
    assert_eq!(peer.head().status, 101);
    for byte in peer.encode(true, TEXT, "in tiny steps: é".as_bytes()) {
        peer.write(&[byte]);
    }
    peer.expect(TEXT, "in tiny steps: é".as_bytes());
}

#[test]
fn messages_that_come_in_one_piece_with_the_request_are_not_lost() {
    let server = serve_echo(Options::default());
    let mut peer = server.dial();
    let messages = [peer.encode(true, TEXT, b"one"), peer.encode(true, BINARY, b"two")];
    peer.write(&[Peer::request("/").as_bytes(), &messages.concat()].concat());
    assert_eq!(peer.head().status, 101);
    peer.expect(TEXT, b"one");
    peer.expect(BINARY, b"two");
}

#[test]
fn messages_that_come_in_one_piece_with_the_answer_are_not_lost() {
    let (listener, url) = listen();
    let server = std::thread::spawn(move || {
        let (mut peer, request) = Peer::accept(&listener);
        let message = peer.encode(true, TEXT, b"welcome");
        peer.write(&[Peer::acceptance(&request).as_bytes(), &message].concat());
        peer
    });
    let socket = block_on(Client::new(&url).unwrap().connect()).expect("a connection");
    assert_eq!(block_on(socket.recv()).unwrap(), OwnedMessage::Text("welcome".into()));
    server.join().expect("the server has answered");
}

#[test]
fn pings_are_answered_with_their_payload() {
    let server = serve_echo(Options::default());
    let mut peer = server.open("/");
    for payload in [&b""[..], b"x", &pattern(125)] {
        peer.send(PING, payload);
        peer.expect(PONG, payload);
    }
    peer.send(PONG, b"that nobody asked for");
    peer.send(TEXT, b"and then");
    peer.expect(TEXT, b"and then");
}

#[test]
fn an_application_can_ping() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.open("/");
    events.connected().ping(b"are you there?").expect("an open connection");
    peer.expect(PING, b"are you there?");
}

#[test]
fn a_peer_that_answers_keepalive_pings_is_kept_and_one_that_stops_is_dropped() {
    let mut options = Options::default();
    options.protocol.ping_interval = Some(Duration::from_millis(20));
    options.protocol.pong_timeout = Duration::from_secs(2);
    let (recorder, events) = recorder();
    let server = serve(|server| server.options(options).websocket("/", recorder));
    let mut peer = server.open("/");
    events.connected();

    for _ in 0..10 {
        let ping = peer.next().expect("a ping");
        assert_eq!(ping.opcode, PING);
        peer.send(PONG, &ping.payload);
    }
    events.nothing_yet();
    let ended = events.ended();
    let dead = ProtocolError::KeepaliveTimeout;
    assert!(matches!(&ended, Disconnect::Failed(Failure::Protocol(e)) if *e == dead), "{ended}");
    peer.expect_gone();
}

/// Counts to ten with the other side, then closes.
struct Counter;

impl Handler for Counter {
    async fn on_connect(&self, connection: &Connection) {
        connection.send("1").await.expect("an open connection");
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let number: u32 = message.as_text().and_then(|text| text.parse().ok()).expect("a number");
        if number < 10 {
            connection.send(&(number + 1).to_string()).await.expect("an open connection");
        } else {
            assert!(connection.close(CloseCode::NORMAL, "that was ten"), "an open connection");
        }
    }
}

#[test]
fn deadlines_may_be_as_far_as_can_be() {
    let options = Options::default()
        .handshake_timeout(Duration::MAX)
        .write_timeout(Duration::MAX)
        .close_timeout(Duration::MAX)
        .pong_timeout(Duration::MAX)
        .ping_interval(Some(Duration::MAX));
    let forever = ServerOptions::from(options.clone()).shutdown_grace(Duration::MAX);
    let server = serve_echo(forever);
    let client = ClientOptions::from(options).connect_timeout(Duration::MAX);
    let client = server.client("/").options(client);
    let socket = block_on(client.connect()).expect("a connection");
    assert_returns(&socket, Message::Text("some time"));
    block_on(socket.close(CloseCode::NORMAL, ""));
    assert_eq!(server.stop().cut, 0);
}

#[test]
fn a_client_can_be_a_handler_like_a_server() {
    let server = serve_echo(Options::default());
    let ending = block_on(server.client("/").run(Counter)).expect("a connection");
    assert!(matches!(ending, Disconnect::Local { .. }), "{ending:?}");
    assert_eq!((ending.code(), ending.reason()), (1000, "that was ten".into()));
}

#[test]
fn what_breaks_the_protocol_ends_with_the_code_for_it() {
    let server = serve(|server| server.websocket("/", Echo));
    let offences: [(&[u8], u16); 4] = [
        (b"\x81\x01a", 1002),            // not masked
        (b"\x83\x80\0\0\0\0", 1002),     // an opcode that there is not
        (b"\xc1\x80\0\0\0\0", 1002),     // a reserved bit
        (b"\x81\x81\0\0\0\0\xff", 1007), // text that is not UTF-8
    ];
    for (bytes, code) in offences {
        let mut peer = server.open("/");
        peer.send(TEXT, b"good");
        peer.expect(TEXT, b"good");
        peer.write(bytes);
        peer.expect_close_for_a_reason(code);
        peer.expect_end();
    }
}

#[test]
fn empty_fragments_in_a_row_end_with_1008_when_there_are_more_than_32() {
    let server = serve(|server| server.websocket("/", Echo));
    let mut peer = server.open("/");
    let message = |peer: &Peer, empty: usize| {
        let begin = peer.encode(false, TEXT, b"");
        let more = peer.encode(false, CONTINUATION, b"").repeat(empty - 1);
        [begin, more, peer.encode(true, CONTINUATION, b"at last")].concat()
    };
    let bytes = message(&peer, 32);
    peer.write(&bytes);
    peer.expect(TEXT, b"at last");
    let bytes = message(&peer, 33);
    peer.write(&bytes);
    peer.expect_close_for_a_reason(1008);
    peer.expect_end();
}

#[test]
fn a_server_that_masks_is_told_1002_by_the_client() {
    let (listener, url) = listen();
    let server = std::thread::spawn(move || {
        let mut peer = Peer::accept_web_socket(&listener);
        peer.write(b"\x81\x81\0\0\0\0a");
        peer.expect_close_for_a_reason(1002);
    });
    let socket = block_on(Client::new(&url).unwrap().connect()).expect("a connection");
    let ended = block_on(socket.recv()).expect_err("no message");
    let masked = ProtocolError::MaskedFrame;
    assert!(matches!(&ended, Disconnect::Failed(Failure::Protocol(e)) if *e == masked), "{ended}");
    server.join().expect("the close frame came");
}
