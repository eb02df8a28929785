//! Networks that delay, cut, reset, stall and swallow, at places that dice have chosen: what comes
//! through is whole, once and in order, and both sides learn once that it is over.
//!
//! Each round has a seed, which it prints if it fails.

use std::{ops::Range, thread, time::Duration};

use fastrand::Rng;
use futures_lite::future::zip;
use prism_tests::proxy::{Direction, Fault, Proxy, Script};

use super::support::{
    block_on,
    handlers::{Echo, Events, Parrot, Seen, recorder},
    server::{Running, serve},
};
use crate::prism::{
    Client, CloseCode, Disconnect, Failure, Options, OwnedMessage, ProtocolError, Socket,
};

/// Longer than any scenario.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Less than the head of a request or an answer has, and more.
const HEAD: Range<u64> = 100..200;

/// A server that echoes and tells, behind a proxy.
struct Round {
    seed: u64,
    dice: Rng,
    server: Running,
    events: Events,
    /// The client's.
    options: Options,
    /// There to the end: what both sides say last has to come through, too.
    proxy: Option<Proxy>,
}

impl Round {
    fn new(seed: u64, options: Options) -> Self {
        let (recorder, events) = recorder();
        let server = serve(|server| {
            let server = server.options(options.clone());
            server.websocket("/", Parrot(recorder)).websocket("/echo", Echo)
        });
        Self { seed, dice: Rng::with_seed(seed), server, events, options, proxy: None }
    }

    fn script(&self) -> Script {
        Script::new(self.seed)
    }

    /// A client that goes through a proxy with this script.
    fn client(&mut self, script: Script) -> Client {
        let proxy = Proxy::before(self.server.address(), move || script.clone());
        let client = Client::new(&format!("ws://{}/", proxy.address())).expect("a good address");
        self.proxy = Some(proxy);
        client.options(self.options.clone())
    }

    /// Messages of both kinds: most of them small, some up to `largest`.
    fn messages(&mut self, count: usize, largest: usize) -> Vec<OwnedMessage> {
        let dice = &mut self.dice;
        let mut message = |number| {
            let len = if dice.u8(..8) == 0 { dice.usize(..largest) } else { dice.usize(..200) };
            if dice.bool() {
                OwnedMessage::Text(format!("{number}: {}", "ü".repeat(len / 2)))
            } else {
                OwnedMessage::Binary((0..len).map(|at| (at ^ number) as u8).collect())
            }
        };
        (0..count).map(&mut message).collect()
    }

    /// A place before the end of what is sent; perhaps within a head.
    fn place(&mut self, messages: &[OwnedMessage]) -> u64 {
        let len = |message: &OwnedMessage| message.as_message().as_bytes().len() as u64;
        self.dice.u64(..HEAD.start + messages.iter().map(len).sum::<u64>())
    }

    /// A place behind the head.
    fn place_behind_head(&mut self, messages: &[OwnedMessage]) -> u64 {
        self.place(messages).max(HEAD.end)
    }

    fn either_way(&mut self) -> Direction {
        if self.dice.bool() { Direction::Up } else { Direction::Down }
    }

    /// That the server goes on; and what it has seen of the one connection, if that got so far: surely,
    /// if the client was `connected`.
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
        let mut heard = Vec::new();
        loop {
            match seen.next().expect("on_disconnect") {
                Seen::Message(message) => heard.push(message),
                Seen::Ended(reason) => {
                    assert!(seen.next().is_none(), "something came after on_disconnect");
                    return Some((heard, reason));
                }
                Seen::Connected(_) => panic!("on_connect came twice"),
            }
        }
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("this was the round with seed {}", self.seed);
        }
    }
}

/// Sends all, and receives until as many have come back, or it is over.
async fn converse(
    socket: &Socket,
    messages: &[OwnedMessage],
) -> (Vec<OwnedMessage>, Option<Disconnect>) {
    let talk = async {
        for message in messages {
            if socket.send(message.as_message()).await.is_err() {
                break; // who listens is told why
            }
        }
    };
    let listen = async {
        let mut heard = Vec::new();
        while heard.len() < messages.len() {
            match socket.recv().await {
                Ok(message) => heard.push(message),
                Err(ending) => return (heard, Some(ending)),
            }
        }
        (heard, None)
    };
    zip(talk, listen).await.1
}

/// Connects and converses until it is over, even if all have come back before; `None` if there was no
/// connection.
fn visit(client: Client, messages: &[OwnedMessage]) -> Option<(Vec<OwnedMessage>, Disconnect)> {
    block_on(async {
        let socket = client.connect().await.ok()?;
        let (heard, ending) = converse(&socket, messages).await;
        let ending = match ending {
            Some(ending) => ending,
            None => socket.recv().await.expect_err("no more messages"),
        };
        Some((heard, ending))
    })
}

#[track_caller]
fn assert_begins(all: &[OwnedMessage], these: &[OwnedMessage]) {
    let wrong = all.iter().zip(these).position(|(one, other)| one != other);
    assert!(all.len() >= these.len() && wrong.is_none(), "{wrong:?} of {}", these.len());
}

fn is_gone(ending: &Disconnect) -> bool {
    let Disconnect::Failed(failure) = ending else { return false };
    matches!(failure, Failure::Io(_) | Failure::Protocol(ProtocolError::UnexpectedEof))
}

fn is_taken_for_dead(ending: &Disconnect) -> bool {
    let dead = ProtocolError::KeepaliveTimeout;
    matches!(ending, Disconnect::Failed(Failure::Protocol(error)) if *error == dead)
}

/// Nothing ends a connection.
fn patient() -> Options {
    let mut options = Options::default();
    options.protocol.ping_interval = None;
    options.protocol.close_timeout = Duration::from_millis(200);
    options.handshake_timeout = FOR_EVER;
    options.write_timeout = FOR_EVER;
    options
}

/// Nothing ends a connection but the keepalive.
fn alert() -> Options {
    let mut options = patient();
    options.protocol.ping_interval = Some(Duration::from_millis(200));
    options.protocol.pong_timeout = Duration::from_millis(200);
    options
}

#[test]
fn bytes_that_come_late_and_in_pieces_are_the_same_messages() {
    for seed in 0..12 {
        let mut round = Round::new(seed, Options::default());
        let messages = round.messages(60, 300_000);
        let pause = Fault::Stall(Duration::from_millis(50));
        let (up, down) = (round.place(&messages), round.place(&messages));
        let script = round.script().and(Direction::Up, up, pause).and(Direction::Down, down, pause);
        let client = round.client(script);
        let (heard, ending) = block_on(async {
            let socket = client.connect().await.expect("a connection");
            let (heard, ended) = converse(&socket, &messages).await;
            assert!(ended.is_none(), "{ended:?}");
            let ending = socket.close(CloseCode::NORMAL, "that was all").await;
            (heard, ending)
        });
        assert!(heard == messages, "not what was sent");
        assert!(matches!(ending, Disconnect::Local { .. }), "{ending}");
        let (heard, ending) = round.seen(true).expect("a connection");
        assert!(heard == messages, "not what was sent");
        assert!(matches!(ending, Disconnect::Peer { .. }), "{ending}");
        assert_eq!((ending.code(), ending.reason()), (1000, "that was all".into()));
    }
}

#[test]
fn a_connection_that_is_cut_or_reset_anywhere_is_over_once_for_both_and_was_right_until_then() {
    let mut connected = 0;
    for seed in 0..60 {
        let mut round = Round::new(seed, Options::default());
        let messages = round.messages(20, 50_000);
        let way = round.either_way();
        let fault = if round.dice.bool() { Fault::Cut } else { Fault::Reset };
        // In every third round it happens early.
        let few = if seed % 3 == 0 { &messages[..0] } else { &messages };
        let place = round.place(few);
        let client = round.client(round.script().and(way, place, fault));
        let visited = visit(client, &messages);
        let seen = round.seen(visited.is_some());
        if let Some((heard, ending)) = &visited {
            let (said, _) = seen.as_ref().expect("both were connected");
            assert_begins(said, heard);
            assert!(is_gone(ending), "{ending}");
            connected += 1;
        }
        if let Some((heard, ending)) = seen {
            assert_begins(&messages, &heard);
            assert!(is_gone(&ending), "{ending}");
        }
    }
    assert!((30..60).contains(&connected), "{connected} of 60 were connected");
}

#[test]
fn a_connection_that_stands_still_is_dead_for_both() {
    for seed in 0..5 {
        let mut round = Round::new(seed, alert());
        let messages = round.messages(20, 1000);
        let way = round.either_way();
        let place = round.place_behind_head(&messages);
        let client = round.client(round.script().and(way, place, Fault::Freeze(FOR_EVER)));
        let (heard, ending) = visit(client, &messages).expect("a connection");
        assert!(is_taken_for_dead(&ending), "{ending}");
        let (said, ending) = round.seen(true).expect("a connection");
        assert_begins(&said, &heard);
        assert_begins(&messages, &said);
        assert!(is_taken_for_dead(&ending), "{ending}");
    }
}

#[test]
fn a_client_whose_bytes_vanish_is_dead_for_the_server_and_told_so() {
    for seed in 0..5 {
        let mut round = Round::new(seed, alert());
        round.options = patient();
        let messages = round.messages(20, 1000);
        let up = round.place_behind_head(&messages);
        let client = round.client(round.script().and(Direction::Up, up, Fault::Swallow));
        let (heard, ending) = visit(client, &messages).expect("a connection");
        assert!(matches!(ending, Disconnect::Peer { .. }), "{ending}");
        assert_eq!(ending.code(), 1011, "{ending}");
        let (said, ending) = round.seen(true).expect("a connection");
        assert!(heard == said, "the way back was open all the time");
        assert_begins(&messages, &said);
        assert!(is_taken_for_dead(&ending), "{ending}");
    }
}

#[test]
fn a_server_whose_bytes_vanish_is_dead_for_the_client_and_told_so() {
    for seed in 0..5 {
        let mut round = Round::new(seed, patient());
        round.options = alert();
        let messages = round.messages(20, 1000);
        let down = round.place_behind_head(&messages);
        let client = round.client(round.script().and(Direction::Down, down, Fault::Swallow));
        let (heard, ending) = visit(client, &messages).expect("a connection");
        assert!(is_taken_for_dead(&ending), "{ending}");
        let (said, ending) = round.seen(true).expect("a connection");
        assert!(said == messages, "the way there was open all the time");
        assert_begins(&said, &heard);
        assert!(matches!(ending, Disconnect::Peer { .. }), "{ending}");
        assert_eq!(ending.code(), 1011, "{ending}");
    }
}

#[test]
fn a_client_that_is_cut_off_one_way_is_answered_the_other_way() {
    for seed in 0..12 {
        let mut round = Round::new(seed, Options::default());
        let messages = round.messages(20, 50_000);
        let up = round.place_behind_head(&messages);
        let client = round.client(round.script().and(Direction::Up, up, Fault::HalfCut));
        let (heard, ending) = visit(client, &messages).expect("a connection");
        assert!(is_gone(&ending), "{ending}");
        let (said, ending) = round.seen(true).expect("a connection");
        assert!(heard == said, "the way back was open to the end");
        assert_begins(&messages, &said);
        assert!(is_gone(&ending), "{ending}");
    }
}
