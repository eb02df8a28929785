//! Presence over real connections: what watchers are told, and that disconnected users never stay
//! listed. `prism-rooms` tests everything that needs no socket, in virtual time.

use std::{env, process::Child, sync::Arc, time::Duration};

use futures_lite::future::or;
use prism_rooms::{Change, Presence, Watch};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::support::{
    block_on,
    own_process::rerun,
    peer::{Peer, TEXT},
    rooms_server::next_text,
    server::{TestServer, serve},
};
use crate::{
    prism::{Client, Connection, Handler, Message, Options, Runtime, Socket},
    runtime::Network,
};

/// Tracks each connection under the name that it sends, and lets it watch.
struct PresenceHandler(Presence<String>);

impl Handler for PresenceHandler {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let name = message.as_text().expect("text");
        assert_ne!(name, "panic", "on purpose");
        let known = self.0.track(connection, "tea", name, "here".to_owned());
        known.expect("text is JSON");
        assert_eq!(self.0.watch(connection, "tea"), Ok(true));
    }
}

/// Runs a server with presence, which the program itself watches as well.
fn open(options: Options) -> (TestServer, Presence<String>, Watch<String>) {
    let presence = block_on(async { Presence::new(Network::default()) });
    let handler = PresenceHandler(presence.clone());
    let server = serve(|server| server.options(options).websocket("/", handler));
    let watch = presence.watch_here("tea");
    assert!(matches!(&*next_change(&watch), Change::State { number: 0, .. }));
    (server, presence, watch)
}

#[track_caller]
fn next_change(watch: &Watch<String>) -> Arc<Change<String>> {
    block_on(watch.recv()).expect("the presence is there")
}

/// Receives a change with the expected number, and returns the keys that joined and left.
#[track_caller]
fn expect_diff(watch: &Watch<String>, expected: u64) -> (Vec<String>, Vec<String>) {
    let (number, joined, left) = diff(&next_change(watch));
    assert_eq!(number, expected);
    (joined, left)
}

#[track_caller]
fn diff(change: &Change<String>) -> (u64, Vec<String>, Vec<String>) {
    match change {
        Change::Diff { number, joined, updated, left, .. } => {
            assert!(updated.is_empty());
            let joined = joined.iter().map(|person| person.key.to_string()).collect();
            (*number, joined, left.iter().map(ToString::to_string).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn keys(name: &str) -> Vec<String> {
    vec![name.to_owned()]
}

#[test]
fn a_watcher_gets_the_state_and_then_the_changes() {
    let (server, presence, watch) = open(Options::default());
    let connect_as = |name: &str| -> Socket {
        block_on(async {
            let socket = server.connect("/").await;
            socket.send(name).await.expect("an open connection");
            socket
        })
    };
    let next_json = |socket: &Socket| -> Value {
        serde_json::from_str(&block_on(next_text(socket))).expect("JSON")
    };
    let ann = connect_as("ann");
    let state = next_json(&ann);
    assert_eq!((&state["presence"], &state["room"]), (&json!("state"), &json!("tea")));
    if state["number"] == 0 {
        // The state was taken before Ann was announced in it.
        assert_eq!(next_json(&ann)["joined"][0]["key"], "ann");
    }
    assert_eq!(expect_diff(&watch, 1), (keys("ann"), vec![]));
    let ben = connect_as("ben");
    let joined = next_json(&ann);
    assert_eq!((&joined["number"], &joined["joined"][0]["key"]), (&json!(2), &json!("ben")));
    assert_eq!(joined["joined"][0]["connections"][0]["meta"], "here");
    assert_eq!(presence.count("tea"), 2);
    drop(ben);
    let left = next_json(&ann);
    assert_eq!((&left["number"], &left["left"]), (&json!(3), &json!(["ben"])));
}

#[test]
fn every_kind_of_departure_is_told_once() {
    let (server, _, watch) = open(Options::default());
    let endings: [fn(Peer); 4] = [
        |mut peer| peer.send(TEXT, b"panic"),
        |mut peer| peer.send_close(1000, ""),
        |mut peer| peer.write(b"rubbish, not a frame"),
        drop,
    ];
    for (round, end) in endings.iter().enumerate() {
        let number = 2 * round as u64 + 1;
        let mut peer = server.open("/");
        peer.send(TEXT, b"ben");
        assert_eq!(expect_diff(&watch, number), (keys("ben"), vec![]));
        end(peer);
        assert_eq!(expect_diff(&watch, number + 1), (vec![], keys("ben")));
    }
}

const ADDRESS: &str = "PRISM_TESTS_ADDRESS";

/// Runs in the process that is to be killed: connects, and stays connected.
fn run_child() {
    let Ok(url) = env::var(ADDRESS) else { return };
    block_on(async {
        let socket = Client::new(&url).expect("an address").connect().await.expect("a server");
        socket.send("ben").await.expect("an open connection");
        while socket.recv().await.is_ok() {}
    });
}

/// A child process that is killed when this is dropped.
struct KillOnDrop(Child);

impl KillOnDrop {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("the child was not waited for yet");
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a client in a process that the signal kills or stops. Asserts that the client leaves
/// exactly once, within the time that the options allow.
#[track_caller]
fn assert_leaves_once_after(test: &impl Fn(), signal: Signal, options: Options) {
    if env::var_os(ADDRESS).is_some() {
        return run_child();
    }
    let (server, presence, watch) = open(options);
    let child = rerun(test).env(ADDRESS, server.url("/")).spawn();
    let child = KillOnDrop(child.expect("this program starts"));
    assert_eq!(expect_diff(&watch, 1), (keys("ben"), vec![]));
    child.signal(signal);
    let left = block_on(or(async { watch.recv().await }, after_deadline()));
    assert_eq!(diff(&left.expect("the client leaves in time")), (2, vec![], keys("ben")));
    assert_eq!(presence.count("tea"), 0);
    drop(child);
    // The next change is that of another client: nothing was announced twice.
    let mut peer = server.open("/");
    peer.send(TEXT, b"eve");
    assert_eq!(expect_diff(&watch, 3), (keys("eve"), vec![]));
}

/// The interval and the timeout of the keepalive that detects a silent client.
const HALF: Duration = Duration::from_millis(500);

/// Returns after twice the allowed time: 1 s of the keepalive and 0.1 s of presence's window. It
/// sleeps in small steps, so that pauses of a busy machine do not count in full.
async fn after_deadline<T>() -> Option<T> {
    for _ in 0..220 {
        Network::default().sleep(Duration::from_millis(10)).await;
    }
    None
}

#[test]
fn a_killed_client_leaves_at_once_and_only_once() {
    let mut options = Options::default();
    options.protocol.ping_interval = None; // the kernel reports the end
    assert_leaves_once_after(&a_killed_client_leaves_at_once_and_only_once, Signal::KILL, options);
}

#[test]
fn a_hung_client_leaves_within_the_keepalive_time() {
    let mut options = Options::default();
    (options.protocol.ping_interval, options.protocol.pong_timeout) = (Some(HALF), HALF);
    let test = &a_hung_client_leaves_within_the_keepalive_time;
    assert_leaves_once_after(test, Signal::STOP, options);
}
