//! `max_buffered`: the total that a server buffers for its peers is bounded. Beyond it, the connection
//! that has been stalled for longest is evicted.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use async_channel::{Receiver, Sender, bounded, unbounded};
use bytes::Bytes;
use futures_lite::{AsyncWriteExt, future::poll_once};
use prism_driver::{
    Connection, Disconnect, Handler, Message, PreparedMessage, ProtocolError, Runtime, SendError,
    Server, ServerOptions, ServerStats, WhenSlow,
};
use prism_test::{Faults, Peer, Received, Sim};

use crate::common::{
    binary,
    handlers::Log,
    http::{REQUEST, read_head},
    net::Net,
    s, text,
};

const EVICTED: &str = "evicted: the server held too much for peers that do not read";

/// The server's limit: room for three outboxes with a message each, but not for four.
const MAX_BUFFERED: usize = 100_000;

/// Two messages fill an outbox.
const MARK: usize = 40_000;

/// The length of a message.
const LEN: usize = 24_000;

/// Returns a message that differs from all others, so that outboxes cannot share it.
fn unique_message() -> Vec<u8> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    COUNT.fetch_add(1, Relaxed).to_ne_bytes().repeat(LEN / size_of::<usize>())
}

/// Hands its connections out, and logs which one ended, and how. It answers a message by sending until
/// it is refused; it answers `gate` with one message, after the gate has opened and all is flushed.
struct ScriptedHandler {
    log: Log,
    hand: Sender<Connection>,
    gate: Receiver<()>,
    when_slow: WhenSlow,
}

impl Handler for ScriptedHandler {
    async fn on_connect(&self, connection: &Connection) {
        connection.set_when_slow(self.when_slow);
        self.hand.send(connection.clone()).await.unwrap();
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        if message == Message::Text("gate") {
            self.gate.recv().await.unwrap();
            connection.flush().await.unwrap();
            return connection.send(&unique_message()).await.unwrap();
        }
        self.log.add("message");
        while connection.send(&unique_message()).await.is_ok() {}
        self.log.add("refused");
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.log.add(format!("{}: {reason}", connection.query().unwrap()));
    }
}

struct TestServer {
    sim: Sim,
    net: Net,
    stats: ServerStats,
    log: Log,
    out: Receiver<Connection>,
    gate: Sender<()>,
}

/// A connection and its peer, which reads nothing until it is allowed to.
struct TestClient {
    connection: Connection,
    /// The first message, if the connection is opened stalled.
    first: Vec<u8>,
    peer: Peer,
    faults: Faults,
}

impl TestServer {
    fn new(when_slow: WhenSlow) -> Self {
        let (sim, log) = (Sim::default(), Log::default());
        let ((hand, out), (open, gate)) = (unbounded(), unbounded());
        let net = Net::new(&sim);
        let mut options = ServerOptions::default();
        (options.max_buffered, options.connection.high_water_mark) = (MAX_BUFFERED, MARK);
        options.connection.protocol.ping_interval = None;
        let server = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
        let server = server.options(options);
        let stats = server.stats();
        let handler = ScriptedHandler { log: log.clone(), hand, gate, when_slow };
        sim.spawn(server.websocket("/chat", handler).serve());
        Self { sim, net, stats, log, out, gate: open }
    }

    async fn open(&self, name: &str) -> TestClient {
        let (mut io, faults) = self.net.connect_raw().unwrap();
        io.write_all(REQUEST.replace("room=1", name).as_bytes()).await.unwrap();
        assert!(read_head(&mut io).await.starts_with("HTTP/1.1 101 "));
        faults.to_client().set_capacity(0);
        let connection = self.out.recv().await.unwrap();
        TestClient { connection, first: unique_message(), peer: Peer::new(io), faults }
    }

    /// Opens a connection, and sends it a message that its peer does not read.
    async fn open_stalled(&self, name: &str) -> TestClient {
        let client = self.open(name).await;
        client.connection.send(&client.first).await.unwrap();
        self.sim.settle().await;
        client
    }

    fn evicted(&self, name: &str) -> bool {
        self.log.contains(&format!("{name}: {EVICTED}"))
    }

    /// Asserts that nothing is counted any more, and how many connections were evicted.
    async fn check(&self, evicted: u64) {
        self.sim.settle().await;
        let counts = self.stats.counts();
        assert_eq!((counts.buffered, counts.evicted), (0, evicted), "{counts:?}");
    }
}

impl TestClient {
    /// Lets the peer take this many bytes, and nothing after that.
    async fn take(&self, sim: &Sim, bytes: usize) {
        let before = self.faults.to_client().unread();
        self.faults.to_client().allow(bytes);
        self.faults.to_client().set_capacity(usize::MAX);
        sim.settle().await;
        assert_eq!(self.faults.to_client().unread(), before + bytes);
    }

    /// Lets the peer take everything, and returns what it received.
    async fn take_all(&mut self, sim: &Sim) -> Vec<Received> {
        self.faults.to_client().allow(usize::MAX);
        self.faults.to_client().set_capacity(usize::MAX);
        sim.settle().await;
        let mut all = Vec::new();
        while let Some(seen) = poll_once(self.peer.next()).await {
            all.push(seen.clone());
            if matches!(seen, Received::End(_)) {
                break;
            }
        }
        all
    }
}

#[test]
fn the_connection_stalled_for_longest_is_evicted() {
    let server = TestServer::new(WhenSlow::Wait);
    server.sim.run(async {
        let mut clients = Vec::new();
        for name in ["a", "b", "c"] {
            clients.push(server.open_stalled(name).await);
            server.sim.pass(s(1)).await;
        }
        assert!(server.stats.counts().buffered > 3 * LEN as u64);
        // The first one makes some progress after the others have stalled.
        clients[0].take(&server.sim, 1_000).await;
        server.sim.pass(s(1)).await;
        clients.push(server.open_stalled("d").await);
        assert_eq!(server.log.lines(), [format!("b: {EVICTED}")]);
        assert!(clients[1].faults.dropped_by_server());
        assert_eq!(
            clients[1].take_all(&server.sim).await,
            [Received::End(Err(ProtocolError::UnexpectedEof))]
        );
        clients.remove(1);
        for client in &mut clients {
            assert_eq!(client.connection.try_send("last"), Ok(()));
            let expected = [binary(client.first.clone()), text("last")];
            assert!(client.take_all(&server.sim).await == expected);
        }
        server.check(1).await;
    });
}

#[test]
fn only_senders_to_the_evicted_connection_are_refused() {
    let server = TestServer::new(WhenSlow::Wait);
    server.sim.run(async {
        let mut clients = [server.open_stalled("a").await, server.open_stalled("b").await];
        let [first, second] = clients.each_ref().map(|client| client.connection.clone());
        while first.try_send(unique_message()).is_ok() {}
        let mut waiting = pin!(first.send("for room"));
        assert!(poll_once(&mut waiting).await.is_none());
        let mut flushing = pin!(first.flush());
        assert!(poll_once(&mut flushing).await.is_none());
        // No task has run when this returns, yet the unsent bytes are gone.
        while first.is_open() {
            assert_eq!(second.try_send(unique_message()), Ok(()));
        }
        assert_eq!(first.buffered(), 0);
        assert_eq!(first.send("late").await, Err(SendError::Closed));
        assert_eq!(poll_once(&mut waiting).await, Some(Err(SendError::Closed)));
        assert_eq!(poll_once(&mut flushing).await, Some(Err(SendError::Closed)));
        assert!(server.stats.counts().buffered <= MAX_BUFFERED as u64);
        server.sim.settle().await;
        assert!(server.evicted("a") && second.is_open());
        first.closed().await;
        assert_eq!(
            clients[1].take_all(&server.sim).await.len(),
            2,
            "the other one has received everything"
        );
        server.check(1).await;
    });
}

#[test]
fn eviction_runs_no_hooks_under_the_senders_locks() {
    let server = TestServer::new(WhenSlow::Wait);
    server.sim.run(async {
        let first = server.open_stalled("a").await;
        let members = Arc::new(Mutex::new(vec![first.connection.clone()]));
        let hook = members.clone();
        first.connection.on_end(move || hook.try_lock().expect("it is free").clear());
        let second = server.open_stalled("b").await;
        let _third = server.open_stalled("c").await;
        let sending = members.lock().unwrap();
        assert_eq!(second.connection.try_send(unique_message()), Ok(()));
        assert!(!first.connection.is_open());
        drop(sending);
        first.connection.closed().await;
        assert!(members.lock().unwrap().is_empty());
    });
}

#[test]
fn a_handler_waiting_for_room_is_refused_and_learns_why() {
    let server = TestServer::new(WhenSlow::Wait);
    server.sim.run(async {
        let mut first = server.open("a").await;
        first.peer.send_together(&["send", "another", "and another"]).await;
        server.sim.settle().await;
        assert_eq!(server.log.lines(), ["message"]);
        let _second = server.open_stalled("b").await;
        let _third = server.open_stalled("c").await;
        let end = format!("a: {EVICTED}");
        assert_eq!(server.log.lines(), ["message", "refused", &end], "no further message");
        assert!(first.faults.dropped_by_server());
        assert_eq!(server.sim.now(), s(0));
    });
}

#[test]
fn a_peer_that_sends_constantly_but_never_reads_is_evicted() {
    let server = TestServer::new(WhenSlow::Wait);
    server.sim.run(async {
        let mut first = server.open_stalled("a").await;
        let second = server.open_stalled("b").await;
        let _third = server.open_stalled("c").await;
        first.faults.to_server().set_capacity(usize::MAX);
        let pongs = [0x8a, 0x80, 0, 0, 0, 0].repeat(1 << 20);
        first.peer.raw(&pongs).await;
        assert_eq!(second.connection.try_send(unique_message()), Ok(()));
        server.sim.settle().await;
        assert!(server.evicted("a"));
        assert!(
            first.faults.to_server().unread() > pongs.len() / 2,
            "its pongs were read after the eviction"
        );
    });
}

#[test]
fn a_shared_message_is_counted_once() {
    let server = TestServer::new(WhenSlow::Wait);
    server.sim.run(async {
        let bytes = Bytes::from(vec![7; 60_000]);
        let message = PreparedMessage::new(&bytes);
        for prepared in [true, false] {
            let mut clients = Vec::new();
            for number in 0..20 {
                let client = server.open(&number.to_string()).await;
                match prepared {
                    true => client.connection.try_send(&message).unwrap(),
                    false => client.connection.try_send(&bytes).unwrap(),
                }
                clients.push(client);
            }
            server.sim.settle().await;
            let buffered = server.stats.counts().buffered as usize;
            assert!((60_000..MAX_BUFFERED).contains(&buffered), "{buffered} bytes");
            for client in &mut clients {
                assert!(client.take_all(&server.sim).await == [binary(message.payload())]);
            }
            server.check(0).await;
        }
    });
}

#[test]
fn messages_dropped_for_newer_ones_are_no_longer_counted() {
    let server = TestServer::new(WhenSlow::DropOldest);
    server.sim.run(async {
        let mut client = server.open_stalled("a").await;
        let mut most = 0;
        for _ in 0..100 {
            client.connection.send(unique_message()).await.unwrap();
            most = most.max(server.stats.counts().buffered as usize);
        }
        assert!((2 * LEN..MAX_BUFFERED).contains(&most), "{most} bytes");
        client.take_all(&server.sim).await;
        server.check(0).await;
    });
}

#[test]
fn nothing_is_counted_for_a_connection_that_has_ended() {
    let server = TestServer::new(WhenSlow::Wait);
    let ways: [fn(&TestClient); 4] = [
        |client| client.connection.abort(),
        |client| client.faults.to_client().fail(std::io::ErrorKind::BrokenPipe),
        |client| client.faults.to_server().fail(std::io::ErrorKind::ConnectionReset),
        |_| {}, // stalls until the write timeout
    ];
    server.sim.run(async {
        for (number, end) in ways.iter().enumerate() {
            let client = server.open_stalled(&number.to_string()).await;
            assert!(server.stats.counts().buffered > 0);
            end(&client);
            server.sim.pass(s(31)).await;
            client.connection.closed().await;
            server.check(0).await;
        }
    });
}

#[test]
fn a_slow_peer_is_counted_but_receives_everything() {
    let server = TestServer::new(WhenSlow::Wait);
    server.sim.run(async {
        let mut client = server.open("a").await;
        client.faults.to_client().set_capacity(10_000);
        let (done, told) = bounded(1);
        let sending = client.connection.clone();
        server.sim.spawn(async move {
            for _ in 0..10 {
                sending.send(&unique_message()).await.unwrap();
            }
            done.send(()).await.unwrap();
        });
        let mut most = 0;
        for _ in 0..10 {
            assert!(
                matches!(client.peer.next().await, Received::Binary(message) if message.len() == LEN)
            );
            most = most.max(server.stats.counts().buffered);
        }
        told.recv().await.unwrap();
        assert!(most > 0);
        server.check(0).await;
    });
}

#[test]
fn a_connection_that_stalls_again_is_counted_again() {
    let server = TestServer::new(WhenSlow::Wait);
    server.sim.run(async {
        let mut client = server.open_stalled("a").await;
        client.peer.send("gate").await;
        server.sim.settle().await;
        assert!(server.stats.counts().buffered > 0);
        // The handler flushes and sends again before its session checks the progress.
        client.faults.to_client().allow(LEN + 4);
        client.faults.to_client().set_capacity(usize::MAX);
        server.gate.send(()).await.unwrap();
        server.sim.settle().await;
        assert_eq!(client.connection.buffered(), LEN + 4);
        assert!(server.stats.counts().buffered > 0);
        assert_eq!(client.take_all(&server.sim).await.len(), 2);
        server.check(0).await;
    });
}
