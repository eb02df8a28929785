//! Networks that delay, cut, reset, stall and discard at random places: messages arrive complete,
//! once and in order, and both sides learn of the end exactly once.
//!
//! Each round has a seed, which it prints on failure.

use std::{ops::Range, thread, time::Duration};

use fastrand::Rng;
use futures_lite::future::zip;
use prism_tests::proxy::{Direction, Fault, Proxy, Script};

use super::support::{
    block_on,
    handlers::{Echo, Events, RecordingEcho, Seen, recorder},
    server::{TestServer, serve},
};
use crate::prism::{
    Client, CloseCode, Disconnect, Failure, Options, OwnedMessage, ProtocolError, Socket,
};

/// Longer than any scenario.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// A range that contains the length of the head of a request or response.
const HEAD: Range<u64> = 100..200;

/// A recording echo server behind a proxy.
struct Round {
    seed: u64,
    rng: Rng,
    server: TestServer,
    events: Events,
    /// The options of the client.
    options: Options,
    /// Kept until the end, so that the last bytes of both sides still pass.
    proxy: Option<Proxy>,
}

impl Round {
    fn new(seed: u64, options: Options) -> Self {
        let (recorder, events) = recorder();
        let server = serve(|server| {
            let server = server.options(options.clone());
            server.websocket("/", RecordingEcho(recorder)).websocket("/echo", Echo)
        });
        Self { seed, rng: Rng::with_seed(seed), server, events, options, proxy: None }
    }

    fn script(&self) -> Script {
        Script::new(self.seed)
    }

    /// Creates a client that connects through a proxy with this script.
    fn client(&mut self, script: Script) -> Client {
        let proxy = Proxy::in_front_of(self.server.address(), move || script.clone());
        let client = Client::new(&format!("ws://{}/", proxy.address())).expect("a good address");
        self.proxy = Some(proxy);
        client.options(self.options.clone())
    }

    /// Generates messages of both kinds: most of them small, some up to `largest`.
    fn messages(&mut self, count: usize, largest: usize) -> Vec<OwnedMessage> {
        let rng = &mut self.rng;
        let mut message = |number| {
            let len = if rng.u8(..8) == 0 { rng.usize(..largest) } else { rng.usize(..200) };
            if rng.bool() {
                OwnedMessage::Text(format!("{number}: {}", "ü".repeat(len / 2)))
            } else {
                OwnedMessage::Binary((0..len).map(|at| (at ^ number) as u8).collect())
            }
        };
        (0..count).map(&mut message).collect()
    }

    /// Picks an offset before the end of the messages, possibly within the head.
    fn place(&mut self, messages: &[OwnedMessage]) -> u64 {
        let len = |message: &OwnedMessage| message.as_message().as_bytes().len() as u64;
        self.rng.u64(..HEAD.start + messages.iter().map(len).sum::<u64>())
    }

    /// Picks an offset after the head.
    fn place_behind_head(&mut self, messages: &[OwnedMessage]) -> u64 {
        self.place(messages).max(HEAD.end)
    }

    fn either_way(&mut self) -> Direction {
        if self.rng.bool() { Direction::Up } else { Direction::Down }
    }

    /// Asserts that the server still works, and stops it. Returns the messages and the ending of
    /// the round's connection if it reached the handler, which is certain if the client was
    /// `connected`.
    fn seen(self, connected: bool) -> Option<(Vec<OwnedMessage>, Disconnect)> {
        let mut seen = Vec::new();
        while connected && !matches!(seen.last(), Some(Seen::Ended(_))) {
            seen.push(self.events.next());
        }
        block_on(async {
            let other = self.server.connect("/echo").await;
            other.send("still here").await.expect("an open connection");
            let echo = other.recv().await.expect("an echo");
            assert_eq!(echo.as_message().as_text(), Some("still here"));
        });
        self.server.stop();
        seen.extend(self.events.rest());
        let mut seen = seen.into_iter();
        match seen.next()? {
            Seen::Connected(_) => {}
            other => panic!("expected on_connect first, but {other:?}"),
        }
        let mut received = Vec::new();
        loop {
            match seen.next().expect("on_disconnect") {
                Seen::Message(message) => received.push(message),
                Seen::Ended(reason) => {
                    assert!(seen.next().is_none(), "a call after on_disconnect");
                    return Some((received, reason));
                }
                Seen::Connected(_) => panic!("a second on_connect"),
            }
        }
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the round with seed {} failed", self.seed);
        }
    }
}

/// Sends all messages, and receives until as many were echoed or the connection has ended.
async fn converse(
    socket: &Socket,
    messages: &[OwnedMessage],
) -> (Vec<OwnedMessage>, Option<Disconnect>) {
    let talk = async {
        for message in messages {
            if socket.send(message.as_message()).await.is_err() {
                break; // the receiver gets the reason
            }
        }
    };
    let listen = async {
        let mut received = Vec::new();
        while received.len() < messages.len() {
            match socket.recv().await {
                Ok(message) => received.push(message),
                Err(ending) => return (received, Some(ending)),
            }
        }
        (received, None)
    };
    zip(talk, listen).await.1
}

/// Connects and converses until the connection ends, even after the last echo. Returns `None` if
/// there was no connection.
fn receive_all(
    client: Client,
    messages: &[OwnedMessage],
) -> Option<(Vec<OwnedMessage>, Disconnect)> {
    block_on(async {
        let socket = client.connect().await.ok()?;
        let (received, ending) = converse(&socket, messages).await;
        let ending = match ending {
            Some(ending) => ending,
            None => socket.recv().await.expect_err("no more messages"),
        };
        Some((received, ending))
    })
}

#[track_caller]
fn assert_begins(all: &[OwnedMessage], these: &[OwnedMessage]) {
    let wrong = all.iter().zip(these).position(|(one, other)| one != other);
    assert!(all.len() >= these.len() && wrong.is_none(), "{wrong:?} of {}", these.len());
}

fn is_transport_end(ending: &Disconnect) -> bool {
    let Disconnect::Failed(failure) = ending else { return false };
    matches!(failure, Failure::Io(_) | Failure::Protocol(ProtocolError::UnexpectedEof))
}

fn is_keepalive_timeout(ending: &Disconnect) -> bool {
    let dead = ProtocolError::KeepaliveTimeout;
    matches!(ending, Disconnect::Failed(Failure::Protocol(error)) if *error == dead)
}

/// Returns options under which no deadline ends a connection.
fn no_deadlines() -> Options {
    let mut options = Options::default();
    options.protocol.ping_interval = None;
    options.protocol.close_timeout = Duration::from_millis(200);
    options.handshake_timeout = FOR_EVER;
    options.write_timeout = FOR_EVER;
    options
}

/// Returns options under which only the keepalive ends a connection.
fn keepalive_only() -> Options {
    let mut options = no_deadlines();
    options.protocol.ping_interval = Some(Duration::from_millis(200));
    options.protocol.pong_timeout = Duration::from_millis(200);
    options
}

#[test]
fn delays_and_splits_do_not_change_the_messages() {
    for seed in 0..12 {
        let mut round = Round::new(seed, Options::default());
        let messages = round.messages(60, 300_000);
        let pause = Fault::Stall(Duration::from_millis(50));
        let (up, down) = (round.place(&messages), round.place(&messages));
        let script = round.script().with_fault(Direction::Up, up, pause).with_fault(
            Direction::Down,
            down,
            pause,
        );
        let client = round.client(script);
        let (received, ending) = block_on(async {
            let socket = client.connect().await.expect("a connection");
            let (received, ended) = converse(&socket, &messages).await;
            assert!(ended.is_none(), "{ended:?}");
            let ending = socket.close(CloseCode::NORMAL, "that was all").await;
            (received, ending)
        });
        assert!(received == messages, "the messages differ from those sent");
        assert!(matches!(ending, Disconnect::Local { .. }), "{ending}");
        let (received, ending) = round.seen(true).expect("a connection");
        assert!(received == messages, "the messages differ from those sent");
        assert!(matches!(ending, Disconnect::Peer { .. }), "{ending}");
        assert_eq!((ending.code(), ending.reason()), (1000, "that was all".into()));
    }
}

#[test]
fn a_cut_or_reset_ends_both_sides_once_after_correct_messages() {
    let mut connected = 0;
    for seed in 0..60 {
        let mut round = Round::new(seed, Options::default());
        let messages = round.messages(20, 50_000);
        let direction = round.either_way();
        let fault = if round.rng.bool() { Fault::Cut } else { Fault::Reset };
        // In every third round the fault occurs early.
        let few = if seed % 3 == 0 { &messages[..0] } else { &messages };
        let place = round.place(few);
        let client = round.client(round.script().with_fault(direction, place, fault));
        let client_outcome = receive_all(client, &messages);
        let seen = round.seen(client_outcome.is_some());
        if let Some((received, ending)) = &client_outcome {
            let (handled, _) = seen.as_ref().expect("both were connected");
            assert_begins(handled, received);
            assert!(is_transport_end(ending), "{ending}");
            connected += 1;
        }
        if let Some((received, ending)) = seen {
            assert_begins(&messages, &received);
            assert!(is_transport_end(&ending), "{ending}");
        }
    }
    assert!((30..60).contains(&connected), "{connected} of 60 were connected");
}

#[test]
fn both_sides_detect_a_frozen_connection() {
    for seed in 0..5 {
        let mut round = Round::new(seed, keepalive_only());
        let messages = round.messages(20, 1000);
        let direction = round.either_way();
        let place = round.place_behind_head(&messages);
        let client =
            round.client(round.script().with_fault(direction, place, Fault::Freeze(FOR_EVER)));
        let (received, ending) = receive_all(client, &messages).expect("a connection");
        assert!(is_keepalive_timeout(&ending), "{ending}");
        let (handled, ending) = round.seen(true).expect("a connection");
        assert_begins(&handled, &received);
        assert_begins(&messages, &handled);
        assert!(is_keepalive_timeout(&ending), "{ending}");
    }
}

#[test]
fn a_server_detects_a_client_whose_bytes_vanish() {
    for seed in 0..5 {
        let mut round = Round::new(seed, keepalive_only());
        round.options = no_deadlines();
        let messages = round.messages(20, 1000);
        let up = round.place_behind_head(&messages);
        let client = round.client(round.script().with_fault(Direction::Up, up, Fault::Discard));
        let (received, ending) = receive_all(client, &messages).expect("a connection");
        assert!(matches!(ending, Disconnect::Peer { .. }), "{ending}");
        assert_eq!(ending.code(), 1011, "{ending}");
        let (handled, ending) = round.seen(true).expect("a connection");
        assert!(received == handled, "the direction to the client was open");
        assert_begins(&messages, &handled);
        assert!(is_keepalive_timeout(&ending), "{ending}");
    }
}

#[test]
fn a_client_detects_a_server_whose_bytes_vanish() {
    for seed in 0..5 {
        let mut round = Round::new(seed, no_deadlines());
        round.options = keepalive_only();
        let messages = round.messages(20, 1000);
        let down = round.place_behind_head(&messages);
        let client = round.client(round.script().with_fault(Direction::Down, down, Fault::Discard));
        let (received, ending) = receive_all(client, &messages).expect("a connection");
        assert!(is_keepalive_timeout(&ending), "{ending}");
        let (handled, ending) = round.seen(true).expect("a connection");
        assert!(handled == messages, "the direction to the server was open");
        assert_begins(&handled, &received);
        assert!(matches!(ending, Disconnect::Peer { .. }), "{ending}");
        assert_eq!(ending.code(), 1011, "{ending}");
    }
}

#[test]
fn a_client_cut_off_in_one_direction_still_gets_its_answers() {
    for seed in 0..12 {
        let mut round = Round::new(seed, Options::default());
        let messages = round.messages(20, 50_000);
        let up = round.place_behind_head(&messages);
        let client = round.client(round.script().with_fault(Direction::Up, up, Fault::HalfCut));
        let (received, ending) = receive_all(client, &messages).expect("a connection");
        assert!(is_transport_end(&ending), "{ending}");
        let (handled, ending) = round.seen(true).expect("a connection");
        assert!(received == handled, "the direction to the client was open");
        assert_begins(&messages, &handled);
        assert!(is_transport_end(&ending), "{ending}");
    }
}
