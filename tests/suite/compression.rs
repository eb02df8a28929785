//! Compression over real sockets: echoes, rooms with all kinds of members, and a peer that wants none.

use std::{io::Read, thread};

use futures_lite::future::zip;

use super::support::{
    block_on,
    own_process::{heap, in_own_process},
    peer::{Peer, TEXT},
    rooms_server::{command, serve_rooms},
    server::{TestServer, serve, serve_echo},
};
use crate::prism::{
    Connection, Deflate, Handler, Message, Options, Plain, Socket, WindowBits, shared,
};

/// The bit of a frame that is compressed (RFC 7692 §6).
const RSV1: u8 = 0x40;

/// The settings for both ways to compress.
fn both() -> [Deflate; 2] {
    [Deflate::default(), Deflate::default().with_takeover()]
}

fn bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).expect("8 to 15")
}

fn options(deflate: Deflate) -> Options {
    Options::default().compression(deflate.threshold(0))
}

fn connect(server: &TestServer, deflate: Option<Deflate>) -> Socket {
    let options = deflate.map_or_else(Options::default, options);
    block_on(server.client("/").options(options).connect()).expect("the server accepts")
}

/// Returns text of this length that can be compressed, but not to nothing.
fn words(len: usize) -> String {
    let mut text = String::new();
    for nth in (0_usize..).take_while(|nth| nth * 5 < len + 5) {
        text.push_str(&format!("word {} ", nth * nth % 7919));
    }
    text.truncate(len);
    text
}

#[test]
fn compressed_messages_of_all_sizes_are_echoed() {
    for theirs in both() {
        let server = serve_echo(options(theirs.clone()));
        for ours in both() {
            let socket = connect(&server, Some(ours));
            assert!(socket.connection().compression().is_some());
            for len in [0, 1, 125, 1000, 4096, 16_383, 16_384, 70_000, 1 << 20] {
                let text = words(len);
                let echoed = block_on(async {
                    let sent = socket.send(&text);
                    let (sent, echoed) = zip(sent, socket.recv()).await;
                    sent.expect("an open connection");
                    echoed.expect("an echo")
                });
                assert!(echoed == Message::Text(&text), "{len} bytes");
            }
            for len in [1000, 100_000] {
                let (text, plain) = (words(len), words(len + 1));
                block_on(async {
                    socket.send(text.as_bytes()).await.expect("an open connection");
                    socket.send(Plain(&plain)).await.expect("an open connection");
                    assert!(
                        socket.recv().await.expect("an echo") == Message::from(text.as_bytes())
                    );
                    assert!(socket.recv().await.expect("an echo") == Message::Text(&plain));
                });
            }
        }
    }
}

/// Many messages in both directions at once, from several threads of the runtime.
#[test]
fn many_connections_share_the_codecs_of_the_threads() {
    let server = serve_echo(options(Deflate::default().with_takeover()));
    thread::scope(|scope| {
        for deflate in [both().to_vec(), both().to_vec()].concat() {
            let socket = connect(&server, Some(deflate));
            scope.spawn(move || {
                block_on(async {
                    let sending = async {
                        for nth in 0..300 {
                            socket.send(words(nth * 7)).await.expect("an open connection");
                        }
                    };
                    let receiving = async {
                        for nth in 0..300 {
                            let echoed = socket.recv().await.expect("an echo");
                            assert!(echoed == Message::Text(&words(nth * 7)), "message {nth}");
                        }
                    };
                    zip(sending, receiving).await;
                });
            });
        }
    });
}

#[test]
fn a_peer_that_does_not_ask_for_compression_gets_none() {
    let server = serve_echo(options(Deflate::default()));
    let mut peer = server.dial();
    peer.write(Peer::request("/").as_bytes());
    let head = peer.head();
    assert_eq!(head.first_line(), "HTTP/1.1 101 Switching Protocols");
    assert_eq!(head.field("Sec-WebSocket-Extensions"), None);
    let text = words(1000);
    peer.send(TEXT, text.as_bytes());
    peer.expect(TEXT, text.as_bytes());
    let socket = connect(&server, None);
    assert_eq!(socket.connection().compression(), None);
}

#[test]
fn each_route_has_a_compression_of_its_own() {
    struct Tells;

    impl Handler for Tells {
        async fn on_connect(&self, connection: &Connection) {
            let agreed = connection.compression().map(|agreed| agreed.server_max_window_bits.get());
            connection.send(format!("{agreed:?}")).await.expect("an open connection");
        }

        async fn on_message(&self, _: &Connection, _: Message<'_>) {}
    }

    let server = serve(|server| {
        let small = Deflate::default().server_max_window_bits(bits(10));
        server
            .options(options(Deflate::default()))
            .websocket("/server", Tells)
            .websocket("/small", shared(Tells).options(options(small)))
            .websocket("/off", shared(Tells).options(Options::default()))
            .websocket("/never", shared(Tells).compress_for(|_| false))
    });
    for (path, expected) in
        [("/server", "Some(15)"), ("/small", "Some(10)"), ("/off", "None"), ("/never", "None")]
    {
        let client = server.client(path).options(options(Deflate::default()));
        let socket = block_on(client.connect()).expect("the server accepts");
        let told = block_on(socket.recv()).expect("a message");
        assert_eq!(told, Message::Text(expected), "{path}");
    }
}

#[test]
fn each_member_of_a_room_gets_the_form_that_it_agreed_on() {
    let room = serve_rooms(options(Deflate::default().with_takeover()));
    let clients = [
        None,
        Some(Deflate::default()),
        Some(Deflate::default().with_takeover()),
        Some(Deflate::default().server_max_window_bits(bits(8))),
        Some(Deflate::default().with_takeover().server_max_window_bits(bits(9))),
        Some(Deflate::default()),
    ];
    let sockets = clients.map(|deflate| connect(&room.server, deflate));
    for socket in &sockets {
        assert_eq!(command(socket, "join tea"), "true");
    }
    for len in [10, 300, 1000, 6000, 100_000] {
        for _ in 0..3 {
            let text = words(len);
            let delivery = room.rooms.to("tea").send(&text);
            assert_eq!((delivery.delivered, delivery.dropped), (sockets.len(), 0));
            room.rooms.everyone().send(Plain(&text));
            for socket in &sockets {
                for _ in 0..2 {
                    let received = block_on(socket.recv()).expect("a message");
                    assert!(received == Message::Text(&text), "{len} bytes");
                }
            }
        }
    }
}

/// The payload of a compressed message (RFC 7692), in one block without compression, whose length is below 64 KiB.
fn stored(plain: &[u8]) -> Vec<u8> {
    let len = u16::try_from(plain.len()).expect("below 64 KiB");
    [&[0], &len.to_le_bytes()[..], &(!len).to_le_bytes(), plain, &[0]].concat()
}

/// Opens connections with these header lines in their requests, each of which sends a message, compressed if it may be,
/// and receives it. Returns how much heap each of them holds then, at the server.
fn cost_of_idle(options: &Options, lines: &str) -> usize {
    const COUNT: usize = 1000;
    let server = serve_echo(options.clone());
    let request = Peer::request("/").replace("\r\n\r\n", &format!("\r\n{lines}\r\n"));
    let open = || {
        let mut peer = server.dial();
        peer.write(request.as_bytes());
        peer.head();
        let plain = [b'x'; 6000];
        match lines {
            "" => peer.send(TEXT, &plain),
            _ => peer.send(TEXT | RSV1, &stored(&plain)),
        }
        let mut echo = peer.take_input();
        while echo.len() < 2 || (echo[1] < 126 && echo.len() < 2 + usize::from(echo[1])) {
            let mut chunk = [0; 2000];
            let count = peer.stream.read(&mut chunk).expect("an echo");
            echo.extend(&chunk[..count]);
        }
        peer
    };
    let mut peers = Vec::with_capacity(COUNT + 20);
    peers.extend((0..20).map(|_| open())); // creates the buffers of all threads
    let before = heap();
    peers.extend((0..COUNT).map(|_| open()));
    server.stats(); // still runs
    (heap() - before) / COUNT
}

#[test]
fn an_idle_connection_takes_little_memory_for_compression() {
    in_own_process(&an_idle_connection_takes_little_memory_for_compression, || {
        // A thread that compresses for the first time creates its codecs, and which thread does is up to the runtime.
        // And what earlier connections have left may be freed meanwhile.
        let median = |deflate: Deflate, lines| {
            let options = options(deflate);
            let mut costs = [(); 5].map(|()| cost_of_idle(&options, lines));
            costs.sort_unstable();
            costs[2]
        };
        const OFFER: &str =
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
        const UNUSUAL: &str =
            "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n";
        let plain = median(Deflate::default(), "");
        let usual = median(Deflate::default(), OFFER);
        let unusual = median(Deflate::default(), UNUSUAL);
        let takeover = median(Deflate::default().with_takeover(), OFFER);
        eprintln!(
            "{plain} bytes without compression, {usual} and {unusual} with it, {takeover} with takeover"
        );
        assert!(usual <= plain + 60, "{plain} and {usual} bytes");
        assert!(unusual <= plain + 500, "{plain} and {unusual} bytes, with parameters of its own");
        assert!(takeover <= plain + (9 << 10), "{plain} and {takeover} bytes");
        assert!(takeover >= plain + (8 << 10), "it has both windows: {takeover} bytes");
    });
}
