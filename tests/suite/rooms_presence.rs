//! Presence on real connections: who is told what, and that nobody stays who is not there. (All that
//! needs no socket is in `prism-rooms`, in virtual time.)

use std::{env, process::Child, sync::Arc, time::Duration};

use futures_lite::future::or;
use prism_rooms::{Change, Presence, Watch};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::support::{
    alone::again,
    block_on,
    hotel::hears,
    peer::{Peer, TEXT},
    server::{Running, serve},
};
use crate::{
    prism::{Client, Connection, Handler, Message, Options, Runtime, Socket},
    runtime::Network,
};

/// Tracks whoever says its name, and has it watch.
struct Lobby(Presence<String>);

impl Handler for Lobby {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let name = message.as_text().expect("text");
        assert_ne!(name, "panic", "on purpose");
        let known = self.0.track(connection, "tea", name, "here".to_owned());
        known.expect("text is JSON");
        assert_eq!(self.0.watch(connection, "tea"), Ok(true));
    }
}

/// A lobby that is open, and what the program itself is told of it.
fn open(options: Options) -> (Running, Presence<String>, Watch<String>) {
    let presence = block_on(async { Presence::new(Network::default()) });
    let lobby = Lobby(presence.clone());
    let server = serve(|server| server.options(options).websocket("/", lobby));
    let watch = presence.watch_here("tea");
    assert!(matches!(&*told(&watch), Change::State { number: 0, .. }));
    (server, presence, watch)
}

#[track_caller]
fn told(watch: &Watch<String>) -> Arc<Change<String>> {
    block_on(watch.recv()).expect("the presence is there")
}

/// Who has joined and who has left, with the next number.
#[track_caller]
fn moves(watch: &Watch<String>, expected: u64) -> (Vec<String>, Vec<String>) {
    let (number, joined, left) = moved(&told(watch));
    assert_eq!(number, expected);
    (joined, left)
}

#[track_caller]
fn moved(change: &Change<String>) -> (u64, Vec<String>, Vec<String>) {
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
fn only(name: &str) -> Vec<String> {
    vec![name.to_owned()]
}

#[test]
fn a_browser_is_told_who_is_there_and_then_who_comes_and_goes() {
    let (server, presence, watch) = open(Options::default());
    let enter = |name: &str| -> Socket {
        block_on(async {
            let socket = server.connect("/").await;
            socket.send(name).await.expect("an open connection");
            socket
        })
    };
    let hears_of = |socket: &Socket| -> Value {
        serde_json::from_str(&block_on(hears(socket))).expect("JSON")
    };
    let ann = enter("ann");
    let state = hears_of(&ann);
    assert_eq!((&state["presence"], &state["room"]), (&json!("state"), &json!("tea")));
    if state["number"] == 0 {
        // She has seen the room before she was shown in it.
        assert_eq!(hears_of(&ann)["joined"][0]["key"], "ann");
    }
    assert_eq!(moves(&watch, 1), (only("ann"), vec![]));
    let ben = enter("ben");
    let joined = hears_of(&ann);
    assert_eq!((&joined["number"], &joined["joined"][0]["key"]), (&json!(2), &json!("ben")));
    assert_eq!(joined["joined"][0]["connections"][0]["meta"], "here");
    assert_eq!(presence.count("tea"), 2);
    drop(ben);
    let left = hears_of(&ann);
    assert_eq!((&left["number"], &left["left"]), (&json!(3), &json!(["ben"])));
}

#[test]
fn however_somebody_goes_it_is_told_once() {
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
        assert_eq!(moves(&watch, number), (only("ben"), vec![]));
        end(peer);
        assert_eq!(moves(&watch, number + 1), (vec![], only("ben")));
    }
}

const ADDRESS: &str = "PRISM_TESTS_ADDRESS";

/// In the process that is to be killed: enters, and stays until then.
fn stay() {
    let Ok(url) = env::var(ADDRESS) else { return };
    block_on(async {
        let socket = Client::new(&url).expect("an address").connect().await.expect("a server");
        socket.send("ben").await.expect("an open connection");
        while socket.recv().await.is_ok() {}
    });
}

/// A process that does not outlive the scenario.
struct Killed(Child);

impl Killed {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("nobody has waited for it");
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process with a client, which the signal ends or silences: it is gone within the time that this
/// takes by the options, and once.
#[track_caller]
fn is_gone_after(test: &impl Fn(), signal: Signal, options: Options) {
    if env::var_os(ADDRESS).is_some() {
        return stay();
    }
    let (server, presence, watch) = open(options);
    let child = again(test).env(ADDRESS, server.url("/")).spawn();
    let child = Killed(child.expect("this program runs again"));
    assert_eq!(moves(&watch, 1), (only("ben"), vec![]));
    child.signal(signal);
    let left = block_on(or(async { watch.recv().await }, too_late()));
    assert_eq!(moved(&left.expect("it is late")), (2, vec![], only("ben")));
    assert_eq!(presence.count("tea"), 0);
    drop(child);
    // The next thing that is told is another one's coming.
    let mut peer = server.open("/");
    peer.send(TEXT, b"eve");
    assert_eq!(moves(&watch, 3), (only("eve"), vec![]));
}

/// Interval and timeout of the keepalive, where somebody is to be found silent.
const HALF: Duration = Duration::from_millis(500);

/// Twice as long as it may take: the keepalive's 1 s and presence's window of 0.1 s. In small steps, so
/// that time in which a busy machine let nobody here run does not count.
async fn too_late<T>() -> Option<T> {
    for _ in 0..220 {
        Network::default().sleep(Duration::from_millis(10)).await;
    }
    None
}

#[test]
fn a_client_whose_process_is_killed_is_gone_at_once_and_once() {
    let mut options = Options::default();
    options.protocol.ping_interval = None; // nobody has to ask
    is_gone_after(
        &a_client_whose_process_is_killed_is_gone_at_once_and_once,
        Signal::KILL,
        options,
    );
}

#[test]
fn a_client_whose_process_hangs_is_gone_within_the_keepalive_time_once() {
    let mut options = Options::default();
    (options.protocol.ping_interval, options.protocol.pong_timeout) = (Some(HALF), HALF);
    let test = &a_client_whose_process_hangs_is_gone_within_the_keepalive_time_once;
    is_gone_after(test, Signal::STOP, options);
}
