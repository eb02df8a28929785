//! What a server holds for peers that take nothing is bounded in all: then the one is evicted whose peer
//! has taken nothing for longest.

mod common;

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use async_channel::{Receiver, Sender, bounded, unbounded};
use common::{
    binary,
    handlers::Log,
    http::{REQUEST, read_head},
    net::Net,
    peer::{Peer, Seen},
    pipe::Script,
    s,
    sim::Sim,
    text,
};
use futures_lite::{AsyncWriteExt, future::poll_once};
use prism_driver::{
    Connection, Disconnect, Handler, Message, PreparedMessage, ProtocolError, Runtime, SendError,
    Server, ServerOptions, ServerStats, WhenSlow,
};

const EVICTED: &str = "evicted: the server held too much for peers that do not read";

/// Room for three outboxes with a message each, and not for four.
const MOST: usize = 100_000;

/// With two messages an outbox is full.
const MARK: usize = 40_000;

/// How long a message is.
const LEN: usize = 24_000;

/// A message that is like no other, so that no outbox could share it.
fn unlike_others() -> Vec<u8> {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    MADE.fetch_add(1, Relaxed).to_ne_bytes().repeat(LEN / size_of::<usize>())
}

/// Hands its connections out, and writes down whose connection ended, and how. At a message it sends
/// until it is refused; at `gate`, a message behind all that waits, when the gate has opened.
struct Guide {
    log: Log,
    hand: Sender<Connection>,
    gate: Receiver<()>,
    when_slow: WhenSlow,
}

impl Handler for Guide {
    fn when_slow(&self, _: &Connection) -> WhenSlow {
        self.when_slow
    }

    async fn on_connect(&self, connection: &Connection) {
        self.hand.send(connection.clone()).await.unwrap();
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        if message == Message::Text("gate") {
            self.gate.recv().await.unwrap();
            connection.flush().await.unwrap();
            return connection.send(&unlike_others()).await.unwrap();
        }
        self.log.add("message");
        while connection.send(&unlike_others()).await.is_ok() {}
        self.log.add("refused");
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.log.add(format!("{}: {reason}", connection.query().unwrap()));
    }
}

struct World {
    sim: Sim,
    net: Net,
    stats: ServerStats,
    log: Log,
    out: Receiver<Connection>,
    gate: Sender<()>,
}

/// A connection, and its peer, which takes nothing unless it is allowed to.
struct Guest {
    connection: Connection,
    /// What it is sent first, if it is opened stalled.
    first: Vec<u8>,
    peer: Peer,
    script: Script,
}

impl World {
    fn new(when_slow: WhenSlow) -> Self {
        let (sim, log) = (Sim::default(), Log::default());
        let ((hand, out), (open, gate)) = (unbounded(), unbounded());
        let net = Net::new(&sim);
        let mut options = ServerOptions::default();
        (options.max_buffered, options.connection.high_water_mark) = (MOST, MARK);
        options.connection.protocol.ping_interval = None;
        let server = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
        let server = server.options(options);
        let stats = server.stats();
        let guide = Guide { log: log.clone(), hand, gate, when_slow };
        sim.spawn(server.websocket("/chat", guide).serve());
        Self { sim, net, stats, log, out, gate: open }
    }

    async fn open(&self, name: &str) -> Guest {
        let (mut io, script) = self.net.knock().unwrap();
        io.write_all(REQUEST.replace("room=1", name).as_bytes()).await.unwrap();
        assert!(read_head(&mut io).await.starts_with("HTTP/1.1 101 "));
        script.set_capacity_to_client(0);
        let connection = self.out.recv().await.unwrap();
        Guest { connection, first: unlike_others(), peer: Peer::open(io), script }
    }

    /// Opens one, and sends it a message that its peer does not take.
    async fn open_stalled(&self, name: &str) -> Guest {
        let guest = self.open(name).await;
        guest.connection.send(&guest.first).await.unwrap();
        self.sim.settle().await;
        guest
    }

    fn evicted(&self, name: &str) -> bool {
        self.log.contains(&format!("{name}: {EVICTED}"))
    }

    /// Nothing is counted any more, and so many were evicted.
    async fn check(&self, evicted: u64) {
        self.sim.settle().await;
        let counts = self.stats.counts();
        assert_eq!((counts.buffered, counts.evicted), (0, evicted), "{counts:?}");
    }
}

impl Guest {
    /// Its peer takes so many bytes, and then nothing.
    async fn take(&self, sim: &Sim, bytes: usize) {
        let before = self.script.unread_by_client();
        self.script.allow_to_client(bytes);
        self.script.set_capacity_to_client(usize::MAX);
        sim.settle().await;
        assert_eq!(self.script.unread_by_client(), before + bytes);
    }

    /// Its peer takes all that there is; what that was.
    async fn take_all(&mut self, sim: &Sim) -> Vec<Seen> {
        self.script.allow_to_client(usize::MAX);
        self.script.set_capacity_to_client(usize::MAX);
        sim.settle().await;
        let mut all = Vec::new();
        while let Some(seen) = poll_once(self.peer.next()).await {
            all.push(seen.clone());
            if matches!(seen, Seen::End(_)) {
                break;
            }
        }
        all
    }
}

#[test]
fn the_one_whose_peer_has_taken_nothing_for_longest_is_evicted() {
    let world = World::new(WhenSlow::Wait);
    world.sim.run(async {
        let mut guests = Vec::new();
        for name in ["a", "b", "c"] {
            guests.push(world.open_stalled(name).await);
            world.sim.pass(s(1)).await;
        }
        assert!(world.stats.counts().buffered > 3 * LEN as u64);
        // The first to stall has taken something since the others did.
        guests[0].take(&world.sim, 1_000).await;
        world.sim.pass(s(1)).await;
        guests.push(world.open_stalled("d").await);
        assert_eq!(world.log.lines(), [format!("b: {EVICTED}")]);
        assert!(guests[1].script.dropped_by_server());
        assert_eq!(
            guests[1].take_all(&world.sim).await,
            [Seen::End(Err(ProtocolError::UnexpectedEof))]
        );
        guests.remove(1);
        for guest in &mut guests {
            assert_eq!(guest.connection.try_send("last"), Ok(()));
            let expected = [binary(guest.first.clone()), text("last")];
            assert!(guest.take_all(&world.sim).await == expected);
        }
        world.check(1).await;
    });
}

#[test]
fn who_sends_to_others_notices_nothing_and_who_sends_to_the_evicted_one_is_refused() {
    let world = World::new(WhenSlow::Wait);
    world.sim.run(async {
        let mut guests = [world.open_stalled("a").await, world.open_stalled("b").await];
        let [first, second] = guests.each_ref().map(|guest| guest.connection.clone());
        while first.try_send(&unlike_others()).is_ok() {}
        let mut waiting = pin!(first.send("for room"));
        assert!(poll_once(&mut waiting).await.is_none());
        let mut flushing = pin!(first.flush());
        assert!(poll_once(&mut flushing).await.is_none());
        // Nobody has had a turn when this returns, and what is unsent is gone all the same.
        while first.is_open() {
            assert_eq!(second.try_send(&unlike_others()), Ok(()));
        }
        assert_eq!(first.buffered(), 0);
        assert_eq!(first.send("late").await, Err(SendError::Closed));
        assert_eq!(poll_once(&mut waiting).await, Some(Err(SendError::Closed)));
        assert_eq!(poll_once(&mut flushing).await, Some(Err(SendError::Closed)));
        assert!(world.stats.counts().buffered <= MOST as u64);
        world.sim.settle().await;
        assert!(world.evicted("a") && second.is_open());
        first.closed().await;
        assert_eq!(
            guests[1].take_all(&world.sim).await.len(),
            2,
            "the other has all that it was sent"
        );
        world.check(1).await;
    });
}

#[test]
fn the_hooks_of_the_evicted_one_may_need_a_lock_that_the_sender_holds() {
    let world = World::new(WhenSlow::Wait);
    world.sim.run(async {
        let first = world.open_stalled("a").await;
        let members = Arc::new(Mutex::new(vec![first.connection.clone()]));
        let hook = members.clone();
        first.connection.on_end(move || hook.try_lock().expect("it is free").clear());
        let second = world.open_stalled("b").await;
        let _third = world.open_stalled("c").await;
        let sending = members.lock().unwrap();
        assert_eq!(second.connection.try_send(&unlike_others()), Ok(()));
        assert!(!first.connection.is_open());
        drop(sending);
        first.connection.closed().await;
        assert!(members.lock().unwrap().is_empty());
    });
}

#[test]
fn a_handler_that_waits_for_room_is_refused_and_hears_why_when_it_is_done() {
    let world = World::new(WhenSlow::Wait);
    world.sim.run(async {
        let mut first = world.open("a").await;
        first.peer.send_together(&["send", "another", "and another"]).await;
        world.sim.settle().await;
        assert_eq!(world.log.lines(), ["message"]);
        let _second = world.open_stalled("b").await;
        let _third = world.open_stalled("c").await;
        let end = format!("a: {EVICTED}");
        assert_eq!(world.log.lines(), ["message", "refused", &end], "nothing more is heard");
        assert!(first.script.dropped_by_server());
        assert_eq!(world.sim.now(), s(0));
    });
}

#[test]
fn one_that_sends_without_a_pause_and_does_not_read_is_evicted_all_the_same() {
    let world = World::new(WhenSlow::Wait);
    world.sim.run(async {
        let mut first = world.open_stalled("a").await;
        let second = world.open_stalled("b").await;
        let _third = world.open_stalled("c").await;
        first.script.set_capacity_to_server(usize::MAX);
        let pongs = [0x8a, 0x80, 0, 0, 0, 0].repeat(1 << 20);
        first.peer.raw(&pongs).await;
        assert_eq!(second.connection.try_send(&unlike_others()), Ok(()));
        world.sim.settle().await;
        assert!(world.evicted("a"));
        assert!(
            first.script.unread_by_server() > pongs.len() / 2,
            "its pongs were read to the end"
        );
    });
}

#[test]
fn a_message_that_many_share_is_held_once() {
    let world = World::new(WhenSlow::Wait);
    world.sim.run(async {
        let message = PreparedMessage::new(&vec![7; 60_000]);
        let mut guests = Vec::new();
        for number in 0..20 {
            let guest = world.open(&number.to_string()).await;
            assert_eq!(guest.connection.try_send_prepared(&message), Ok(()));
            guests.push(guest);
        }
        world.sim.settle().await;
        let buffered = world.stats.counts().buffered as usize;
        assert!((60_000..MOST).contains(&buffered), "{buffered} bytes");
        for guest in &mut guests {
            assert!(guest.take_all(&world.sim).await == [binary(message.payload())]);
        }
        world.check(0).await;
    });
}

#[test]
fn what_is_dropped_for_newer_messages_is_held_no_more() {
    let world = World::new(WhenSlow::DropOldest);
    world.sim.run(async {
        let mut guest = world.open_stalled("a").await;
        let mut most = 0;
        for _ in 0..100 {
            guest.connection.send(&unlike_others()).await.unwrap();
            most = most.max(world.stats.counts().buffered as usize);
        }
        assert!((2 * LEN..MOST).contains(&most), "{most} bytes");
        guest.take_all(&world.sim).await;
        world.check(0).await;
    });
}

#[test]
fn however_a_connection_ends_nothing_is_held_for_it_any_more() {
    let world = World::new(WhenSlow::Wait);
    let ways: [fn(&Guest); 4] = [
        |guest| guest.connection.abort(),
        |guest| guest.script.break_to_client(std::io::ErrorKind::BrokenPipe),
        |guest| guest.script.break_to_server(std::io::ErrorKind::ConnectionReset),
        |_| {}, // it stalls until the write timeout
    ];
    world.sim.run(async {
        for (number, end) in ways.iter().enumerate() {
            let guest = world.open_stalled(&number.to_string()).await;
            assert!(world.stats.counts().buffered > 0);
            end(&guest);
            world.sim.pass(s(31)).await;
            guest.connection.closed().await;
            world.check(0).await;
        }
    });
}

#[test]
fn a_peer_that_reads_slowly_is_counted_while_something_waits_and_gets_everything() {
    let world = World::new(WhenSlow::Wait);
    world.sim.run(async {
        let mut guest = world.open("a").await;
        guest.script.set_capacity_to_client(10_000);
        let (done, told) = bounded(1);
        let sending = guest.connection.clone();
        world.sim.spawn(async move {
            for _ in 0..10 {
                sending.send(&unlike_others()).await.unwrap();
            }
            done.send(()).await.unwrap();
        });
        let mut most = 0;
        for _ in 0..10 {
            assert!(
                matches!(guest.peer.next().await, Seen::Binary(message) if message.len() == LEN)
            );
            most = most.max(world.stats.counts().buffered);
        }
        told.recv().await.unwrap();
        assert!(most > 0);
        world.check(0).await;
    });
}

#[test]
fn one_that_stalls_again_before_its_task_has_seen_that_all_was_taken_is_counted_again() {
    let world = World::new(WhenSlow::Wait);
    world.sim.run(async {
        let mut guest = world.open_stalled("a").await;
        guest.peer.send("gate").await;
        world.sim.settle().await;
        assert!(world.stats.counts().buffered > 0);
        // The handler flushes, and sends again, before its session looks.
        guest.script.allow_to_client(LEN + 4);
        guest.script.set_capacity_to_client(usize::MAX);
        world.gate.send(()).await.unwrap();
        world.sim.settle().await;
        assert_eq!(guest.connection.buffered(), LEN + 4);
        assert!(world.stats.counts().buffered > 0);
        assert_eq!(guest.take_all(&world.sim).await.len(), 2);
        world.check(0).await;
    });
}
