//! Watchers that do not read: they share what they are told, and it is not encoded for each.

use std::time::{Duration, Instant};

use prism_rooms::{Change, Presence, PresenceOptions, TrackError, Watch};

use super::support::{
    alone::{alone, peak_heap},
    block_on,
    handlers::{Events, Recorder, recorder},
    peer::{Peer, TEXT},
    server::{Running, serve},
};
use crate::{
    prism::{Connection, Handler, Message, Options},
    runtime::Network,
};

/// As large as metadata may be, but for its quotes.
const META: usize = (4 << 10) - 2;

/// As large as a state may be.
const STATE: usize = 256 << 10;

/// Shows each connection that says something as a person of its own, with as much metadata as there may
/// be, made of what it says; and has each that asks for `/?watch` watch.
struct Lobby {
    presence: Presence<String>,
    told: Recorder,
}

impl Handler for Lobby {
    async fn on_connect(&self, connection: &Connection) {
        if connection.query() == Some("watch") {
            assert_eq!(self.presence.watch(connection, "tea"), Ok(true));
        }
        self.told.on_connect(connection).await;
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let meta = message.as_text().expect("text").repeat(META);
        let shown = self.presence.track(connection, "tea", &connection.id().to_string(), meta);
        let answer = match shown {
            Ok(()) => "shown",
            Err(TrackError::StateTooLarge { .. }) => "too large",
            Err(other) => panic!("{other}"),
        };
        let _ = connection.send(answer).await; // or it has gone
    }
}

struct Open {
    server: Running,
    presence: Presence<String>,
    watch: Watch<String>,
    events: Events,
    /// Those who are shown.
    people: Vec<Peer>,
}

/// A room with as many people as its state takes.
fn open() -> Open {
    let mut options = PresenceOptions::default();
    options = options.window(Duration::from_millis(1));
    let presence = block_on(async { Presence::with_options(Network::default(), options) });
    let (told, events) = recorder();
    let lobby = Lobby { presence: presence.clone(), told };
    let server = serve(|server| server.options(Options::default()).websocket("/", lobby));
    let watch = presence.watch_here("tea");
    assert!(matches!(&*block_on(watch.recv()).expect("news"), Change::State { number: 0, .. }));
    let mut people = Vec::new();
    loop {
        let mut peer = server.open("/");
        events.connected();
        peer.send(TEXT, b"a");
        if peer.next().expect("an answer").payload == b"too large" {
            break;
        }
        people.push(peer);
        until_told(&watch);
    }
    assert!((STATE / (META + 200)..STATE / META).contains(&people.len()), "{}", people.len());
    Open { server, presence, watch, events, people }
}

fn until_told(watch: &Watch<String>) {
    assert!(matches!(&*block_on(watch.recv()).expect("news"), Change::Diff { .. }));
}

impl Open {
    /// Peers that watch, and do not read; `between` is done after each has come.
    fn come(&mut self, count: usize, between: impl Fn(&mut Self, usize)) -> Vec<Peer> {
        (0..count)
            .map(|number| {
                let mut peer = self.server.dial();
                peer.write(Peer::request("/?watch").as_bytes());
                self.events.connected();
                between(self, number);
                peer
            })
            .collect()
    }

    /// Has one person look different, and waits until that has been told.
    fn change(&mut self, number: usize) {
        let word = if number.is_multiple_of(2) { "b" } else { "c" };
        self.people[0].send(TEXT, word.as_bytes());
        self.people[0].expect(TEXT, b"shown");
        until_told(&self.watch);
    }
}

#[test]
fn watchers_that_do_not_read_share_a_state_however_often_it_changes() {
    alone(&watchers_that_do_not_read_share_a_state_however_often_it_changes, || {
        const SLOW: usize = 60;
        /// What a connection holds by itself, and a peer here.
        const EACH: usize = 16 << 10;
        let mut room = open();
        let mut slow = Vec::new();
        let (began, mut states) = (Instant::now(), 0);
        let cost = peak_heap(|| {
            slow.extend(room.come(SLOW, |_, _| {}));
            slow.extend(room.come(SLOW, Open::change));
            // One a second, and the one before.
            states = 2 + began.elapsed().as_secs() as usize;
        });
        eprintln!("{} that do not read: {cost} bytes, for at most {states} states", 2 * SLOW);
        // Each is text before it is encoded.
        assert!(cost < 2 * STATE * states + 2 * SLOW * EACH, "they cost {cost} bytes");
        assert_eq!(room.presence.count("tea"), room.people.len());
        // And those who read are told.
        let mut reader = room.server.open("/?watch");
        let state = reader.next().expect("a state");
        assert!(state.payload.starts_with(br#"{"presence":"state","room":"tea","number":"#));
        assert!((STATE - 2 * META..=STATE).contains(&state.payload.len()));
    });
}
