//! Watchers that do not read: they share each state, which is encoded once.

use std::time::{Duration, Instant};

use prism_rooms::{Change, Presence, PresenceOptions, TrackError, Watch};

use super::support::{
    block_on,
    handlers::{Events, Recorder, recorder},
    own_process::{in_own_process, peak_heap},
    peer::{Peer, TEXT},
    server::{TestServer, serve},
};
use crate::{
    prism::{Connection, Handler, Message, Options},
    runtime::Network,
};

/// The largest size of metadata, without the quotes.
const META: usize = (4 << 10) - 2;

/// The largest size of a state.
const STATE: usize = 256 << 10;

/// Tracks each connection that sends a message as a person of its own, with as much metadata as
/// possible, made of that message. Connections to `/?watch` watch.
struct PresenceHandler {
    presence: Presence<String>,
    recorder: Recorder,
}

impl Handler for PresenceHandler {
    async fn on_connect(&self, connection: &Connection) {
        if connection.query() == Some("watch") {
            assert_eq!(self.presence.watch(connection, "tea"), Ok(true));
        }
        self.recorder.on_connect(connection).await;
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let meta = message.as_text().expect("text").repeat(META);
        let tracked = self.presence.track(connection, "tea", &connection.id().to_string(), meta);
        let answer = match tracked {
            Ok(()) => "tracked",
            Err(TrackError::StateTooLarge { .. }) => "too large",
            Err(other) => panic!("{other}"),
        };
        let _ = connection.send(answer).await; // fails if the connection is closing
    }
}

struct Room {
    server: TestServer,
    presence: Presence<String>,
    watch: Watch<String>,
    events: Events,
    /// The peers that are tracked.
    people: Vec<Peer>,
}

/// Creates a room with as many people as fit into its state.
fn open() -> Room {
    let mut options = PresenceOptions::default();
    options = options.window(Duration::from_millis(1));
    let presence = block_on(async { Presence::with_options(Network::default(), options) });
    let (recorder, events) = recorder();
    let handler = PresenceHandler { presence: presence.clone(), recorder };
    let server = serve(|server| server.options(Options::default()).websocket("/", handler));
    let watch = presence.watch_here("tea");
    assert!(matches!(&*block_on(watch.recv()).expect("a change"), Change::State { number: 0, .. }));
    let mut people = Vec::new();
    loop {
        let mut peer = server.open("/");
        events.connected();
        peer.send(TEXT, b"a");
        if peer.next().expect("an answer").payload == b"too large" {
            break;
        }
        people.push(peer);
        await_diff(&watch);
    }
    assert!((STATE / (META + 200)..STATE / META).contains(&people.len()), "{}", people.len());
    Room { server, presence, watch, events, people }
}

fn await_diff(watch: &Watch<String>) {
    assert!(matches!(&*block_on(watch.recv()).expect("a change"), Change::Diff { .. }));
}

impl Room {
    /// Connects peers that watch and do not read, and calls `between` after each.
    fn connect_watchers(&mut self, count: usize, between: impl Fn(&mut Self, usize)) -> Vec<Peer> {
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

    /// Changes the metadata of one person, and waits until the change was announced.
    fn change(&mut self, number: usize) {
        let word = if number.is_multiple_of(2) { "b" } else { "c" };
        self.people[0].send(TEXT, word.as_bytes());
        self.people[0].expect(TEXT, b"tracked");
        await_diff(&self.watch);
    }
}

#[test]
fn stalled_watchers_share_each_state() {
    in_own_process(&stalled_watchers_share_each_state, || {
        const SLOW: usize = 60;
        /// The memory of a connection without messages, and of its peer in this test.
        const EACH: usize = 16 << 10;
        let mut room = open();
        let mut slow = Vec::new();
        let (began, mut states) = (Instant::now(), 0);
        let cost = peak_heap(|| {
            slow.extend(room.connect_watchers(SLOW, |_, _| {}));
            slow.extend(room.connect_watchers(SLOW, Room::change));
            // One per second, and the one before.
            states = 2 + began.elapsed().as_secs() as usize;
        });
        eprintln!("{} stalled watchers: {cost} bytes for at most {states} states", 2 * SLOW);
        // Each state exists as text and as an encoded frame.
        assert!(cost < 2 * STATE * states + 2 * SLOW * EACH, "they cost {cost} bytes");
        assert_eq!(room.presence.count("tea"), room.people.len());
        // A watcher that reads gets the state.
        let mut reader = room.server.open("/?watch");
        let state = reader.next().expect("a state");
        assert!(state.payload.starts_with(br#"{"presence":"state","room":"tea","number":"#));
        assert!((STATE - 2 * META..=STATE).contains(&state.payload.len()));
    });
}
