//! Messages and pings in both directions, with Prism's client and with raw peers.

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
fn text_and_binary_are_echoed_unchanged() {
    let server = serve_echo(Options::default());
    let socket = block_on(server.connect("/"));
    assert_returns(&socket, Message::Text("hello"));
    assert_returns(&socket, Message::Text("Straße, 東京, 🦀"));
    assert_returns(&socket, Message::Binary(&[0, 255, 128, 10, 13]));
}

#[test]
fn empty_messages_keep_their_kind() {
    let server = serve_echo(Options::default());
    let socket = block_on(server.connect("/"));
    assert_returns(&socket, Message::Text(""));
    assert_returns(&socket, Message::Binary(&[]));
}

#[test]
fn sizes_around_each_length_encoding_are_echoed() {
    let server = serve_echo(Options::default());
    let socket = block_on(server.connect("/"));
    for len in [1, 125, 126, 127, 65_535, 65_536, 65_537] {
        assert_returns(&socket, Message::Binary(&pattern(len)));
    }
}

#[test]
fn messages_of_one_mebibyte_are_echoed() {
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
fn sixteen_mebibytes_are_echoed_with_raised_limits() {
    let mut options = Options::default();
    options.protocol.max_message_size = 16 << 20;
    let server = serve_echo(options.clone());
    let socket = block_on(server.client("/").options(options).connect()).expect("a connection");
    assert_returns(&socket, Message::Binary(&pattern(16 << 20)));
}

#[test]
fn ten_thousand_messages_are_echoed_in_order() {
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
fn both_directions_carry_messages_at_once() {
    let server = serve(|server| server.websocket("/", Echo));
    block_on(async {
        let socket = server.connect("/").await;
        let message = vec![7; 300_000]; // several times the size of an outbox
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
fn fragments_are_joined_and_pings_between_them_answered() {
    let server = serve_echo(Options::default());
    let mut peer = server.open("/");
    let pieces = [
        peer.encode(false, TEXT, "Stra\u{df}".as_bytes().split_last().unwrap().1), // ends within a character
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
        let mut peer = Peer::accept_websocket(&listener);
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
    server.join().expect("the pong arrived");
}

#[test]
fn a_handshake_and_a_message_may_arrive_byte_by_byte() {
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
fn messages_sent_with_the_request_are_not_lost() {
    let server = serve_echo(Options::default());
    let mut peer = server.dial();
    let messages = [peer.encode(true, TEXT, b"one"), peer.encode(true, BINARY, b"two")];
    peer.write(&[Peer::request("/").as_bytes(), &messages.concat()].concat());
    assert_eq!(peer.head().status, 101);
    peer.expect(TEXT, b"one");
    peer.expect(BINARY, b"two");
}

#[test]
fn messages_sent_with_the_response_are_not_lost() {
    let (listener, url) = listen();
    let server = std::thread::spawn(move || {
        let (mut peer, request) = Peer::accept(&listener);
        let message = peer.encode(true, TEXT, b"welcome");
        peer.write(&[Peer::upgrade_response(&request).as_bytes(), &message].concat());
        peer
    });
    let socket = block_on(Client::new(&url).unwrap().connect()).expect("a connection");
    assert_eq!(block_on(socket.recv()).unwrap(), OwnedMessage::Text("welcome".into()));
    server.join().expect("the server answered");
}

#[test]
fn pings_are_answered_with_their_payload() {
    let server = serve_echo(Options::default());
    let mut peer = server.open("/");
    for payload in [&b""[..], b"x", &pattern(125)] {
        peer.send(PING, payload);
        peer.expect(PONG, payload);
    }
    peer.send(PONG, b"unsolicited");
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
fn a_peer_is_dropped_when_it_stops_answering_keepalives() {
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
    peer.expect_disconnect();
}

/// Counts to ten by turns with the other side, then closes.
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
fn deadlines_may_be_duration_max() {
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
fn a_client_can_run_a_handler() {
    let server = serve_echo(Options::default());
    let ending = block_on(server.client("/").run(Counter)).expect("a connection");
    assert!(matches!(ending, Disconnect::Local { .. }), "{ending:?}");
    assert_eq!((ending.code(), ending.reason()), (1000, "that was ten".into()));
}

#[test]
fn protocol_violations_close_with_the_right_code() {
    let server = serve(|server| server.websocket("/", Echo));
    let offences: [(&[u8], u16); 4] = [
        (b"\x81\x01a", 1002),            // not masked
        (b"\x83\x80\0\0\0\0", 1002),     // an unknown opcode
        (b"\xc1\x80\0\0\0\0", 1002),     // a reserved bit
        (b"\x81\x81\0\0\0\0\xff", 1007), // text that is not UTF-8
    ];
    for (bytes, code) in offences {
        let mut peer = server.open("/");
        peer.send(TEXT, b"good");
        peer.expect(TEXT, b"good");
        peer.write(bytes);
        peer.expect_close_with_reason(code);
        peer.expect_end();
    }
}

#[test]
fn more_than_32_empty_fragments_in_a_row_get_1008() {
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
    peer.expect_close_with_reason(1008);
    peer.expect_end();
}

#[test]
fn a_client_closes_with_1002_on_a_masked_frame() {
    let (listener, url) = listen();
    let server = std::thread::spawn(move || {
        let mut peer = Peer::accept_websocket(&listener);
        peer.write(b"\x81\x81\0\0\0\0a");
        peer.expect_close_with_reason(1002);
    });
    let socket = block_on(Client::new(&url).unwrap().connect()).expect("a connection");
    let ended = block_on(socket.recv()).expect_err("no message");
    let masked = ProtocolError::MaskedFrame;
    assert!(matches!(&ended, Disconnect::Failed(Failure::Protocol(e)) if *e == masked), "{ended}");
    server.join().expect("the close frame arrived");
}
