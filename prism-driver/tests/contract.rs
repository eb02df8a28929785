//! The contract of handlers, a test for each line, named after it. All in one thread, with a clock
//! that jumps and pipes in memory.

mod common;

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_channel::{Receiver, Sender, bounded, unbounded};
use common::{
    peer::{Peer, Seen},
    pipe::{Script, pipe},
    sim::Sim,
};
use prism_driver::{
    CloseCode, Connection, Disconnect, Failure, Handler, Message, Options, ProtocolError, Runtime,
    SendError, TrySendError, serve_upgraded,
};

/// Serves a handler on a new pipe; the peer, the script, and how it ended.
fn serve(
    sim: &Sim,
    handler: impl Handler,
    options: Options,
) -> (Peer, Script, Receiver<Disconnect>) {
    let (server, client, script) = pipe();
    let (ended, end) = bounded(1);
    let runtime = sim.clone();
    sim.spawn(async move {
        let reason = serve_upgraded(runtime, server, "/", &options, &handler).await;
        ended.send(reason).await.unwrap();
    });
    (Peer::open(client), script, end)
}

/// Writes down what it is told, and does what messages say:
/// `echo ...`, `wait` (until the gate opens), `panic`, `close`.
struct Recorder {
    log: Log,
    gate: Receiver<()>,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Recorder {
    fn new() -> (Self, Log, Sender<()>) {
        let log = Log::default();
        let (open, gate) = unbounded();
        (Self { log: log.clone(), gate }, log, open)
    }
}

impl Handler for Recorder {
    async fn on_connect(&self, connection: &Connection) {
        self.log.add("connect");
        connection.send("welcome").await.unwrap();
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let text = message.as_text().unwrap().to_owned();
        self.log.add(format!("begin {text}"));
        match text.as_str() {
            "wait" => self.gate.recv().await.unwrap(),
            "panic" => panic!("on purpose"),
            "close" => connection.close(CloseCode::NORMAL, "enough").unwrap(),
            _ => connection.send(message).await.unwrap(),
        }
        self.log.add(format!("end {text}"));
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.log.add(format!("disconnect {reason}"));
    }
}

fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

fn close(code: u16, reason: &str) -> Seen {
    Seen::Close(code, reason.to_owned())
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

// ---- 1. `on_connect` runs first, once. It may send before anything was read.

#[test]
fn on_connect_runs_first_and_once_and_may_send_before_anything_was_read() {
    let sim = Sim::default();
    let (recorder, log, _gate) = Recorder::new();
    let (mut peer, _, _) = serve(&sim, recorder, Options::default());
    sim.run(async {
        // The peer has sent nothing.
        assert_eq!(peer.next().await, text("welcome"));
        peer.send_together(&["a", "b"]).await;
        assert_eq!((peer.next().await, peer.next().await), (text("a"), text("b")));
    });
    assert_eq!(log.lines(), ["connect", "begin a", "end a", "begin b", "end b"]);
}

// ---- 2. `on_message` runs one at a time per connection, in wire order. Different connections run
// ----    in parallel.

#[test]
fn on_message_runs_one_at_a_time_in_wire_order() {
    let sim = Sim::default();
    let (recorder, log, gate) = Recorder::new();
    let (mut peer, _, _) = serve(&sim, recorder, Options::default());
    sim.run(async {
        peer.send_together(&["wait", "a", "b"]).await;
        sim.settle().await;
        assert_eq!(log.lines(), ["connect", "begin wait"], "a and b wait for their turn");
        gate.send(()).await.unwrap();
        sim.settle().await;
    });
    let order = ["connect", "begin wait", "end wait", "begin a", "end a", "begin b", "end b"];
    assert_eq!(log.lines(), order);
}

#[test]
fn different_connections_run_in_parallel() {
    let sim = Sim::default();
    let (recorder, log, gate) = Recorder::new();
    let recorder = Arc::new(recorder);
    let (mut first, _, _) = serve(&sim, recorder.clone(), Options::default());
    let (mut second, _, _) = serve(&sim, recorder, Options::default());
    sim.run(async {
        first.send("wait").await;
        sim.settle().await;
        second.send("hello").await;
        assert_eq!((second.next().await, second.next().await), (text("welcome"), text("hello")));
        assert!(!log.lines().contains(&"end wait".to_owned()), "the first is still waiting");
        gate.send(()).await.unwrap();
        sim.settle().await;
    });
    assert_eq!(log.lines().last().unwrap(), "end wait");
}

// ---- 3. `on_disconnect` runs exactly once if `on_connect` ran, last, with the reason.

/// Lets something end a connection; what the handler and `serve` were told.
fn ending(end: impl AsyncFnOnce(&Sim, &mut Peer, &Script)) -> Disconnect {
    let sim = Sim::default();
    let (recorder, log, _gate) = Recorder::new();
    let (mut peer, script, ended) = serve(&sim, recorder, Options::default());
    let reason = sim.run(async {
        assert_eq!(peer.next().await, text("welcome"));
        end(&sim, &mut peer, &script).await;
        // The peer takes part until the end.
        while !matches!(peer.next().await, Seen::End(_)) {}
        drop(peer);
        ended.recv().await.unwrap()
    });
    let lines = log.lines();
    assert_eq!(lines.last().unwrap(), &format!("disconnect {reason}"));
    assert_eq!(lines.iter().filter(|line| line.starts_with("disconnect")).count(), 1);
    reason
}

#[test]
fn on_disconnect_runs_once_last_with_the_peers_code_and_reason() {
    let reason = ending(async |_, peer, _| peer.close(4001, "bye").await);
    assert!(matches!(&reason, Disconnect::Peer { reason, .. } if reason == "bye"), "{reason:?}");
    assert_eq!(reason.code(), 4001);
}

#[test]
fn on_disconnect_runs_once_last_when_we_closed() {
    let reason = ending(async |_, peer, _| peer.send("close").await);
    assert!(matches!(&reason, Disconnect::Local { reason, .. } if reason == "enough"));
    assert_eq!(reason.code(), 1000);
}

#[test]
fn on_disconnect_runs_once_last_with_the_peers_error() {
    let reason = ending(async |_, peer, _| peer.raw(b"\x83\x80\0\0\0\0").await);
    let expected = ProtocolError::ReservedOpcode(3);
    assert!(matches!(reason, Disconnect::Failed(Failure::Protocol(error)) if error == expected));
}

#[test]
fn on_disconnect_runs_once_last_when_the_transport_fails() {
    let reset = io::ErrorKind::ConnectionReset;
    let reason = ending(async |_, _, script| script.break_to_server(reset));
    let Disconnect::Failed(Failure::Io(error)) = reason else { panic!("{reason:?}") };
    assert_eq!(error.kind(), reset);
}

#[test]
fn on_disconnect_runs_once_last_when_the_peer_goes_silent() {
    // A peer that is not asked does not answer.
    let reason = ending(async |sim, _, _| sim.pass(s(41)).await);
    let expected = ProtocolError::KeepaliveTimeout;
    assert!(matches!(reason, Disconnect::Failed(Failure::Protocol(error)) if error == expected));
}

#[test]
fn on_disconnect_runs_once_last_when_the_peer_leaves_without_a_word() {
    let sim = Sim::default();
    let (recorder, log, _gate) = Recorder::new();
    let (peer, _, ended) = serve(&sim, recorder, Options::default());
    sim.run(async {
        drop(peer);
        let reason = ended.recv().await.unwrap();
        assert_eq!(reason.code(), 1006);
        assert_eq!(log.lines(), ["connect".to_owned(), format!("disconnect {reason}")]);
    });
}

// ---- 4. Prism never drops a handler's future half-way. Closing makes its pending sends fail
// ----    instead.

/// Sends until it can not, and says when its future ends, and how.
struct Flood {
    log: Log,
}

/// Speaks when it is dropped, so that a future that is cut off is heard too.
struct Witness(Log);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.add("dropped");
    }
}

impl Handler for Flood {
    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        let _witness = Witness(self.log.clone());
        let error = loop {
            if let Err(error) = connection.send(&[0; 1000]).await {
                break error;
            }
        };
        self.log.add(format!("send: {error:?}"));
    }

    async fn on_disconnect(&self, _: &Connection, _: Disconnect) {
        self.log.add("disconnect");
    }
}

#[test]
fn a_handler_is_never_dropped_half_way_but_its_pending_sends_fail() {
    let sim = Sim::default();
    let log = Log::default();
    let (mut peer, script, ended) = serve(&sim, Flood { log: log.clone() }, Options::default());
    sim.run(async {
        script.set_capacity_to_client(10_000);
        peer.send("go").await;
        sim.settle().await;
        assert!(log.lines().is_empty(), "the handler waits for room");
        script.break_to_client(io::ErrorKind::ConnectionReset);
        ended.recv().await.unwrap();
    });
    assert_eq!(log.lines(), ["send: Closed", "dropped", "disconnect"]);
}

#[test]
fn a_handler_that_outlives_its_connection_runs_to_its_end() {
    let sim = Sim::default();
    let (recorder, log, gate) = Recorder::new();
    let (mut peer, script, ended) = serve(&sim, recorder, Options::default());
    sim.run(async {
        peer.send("wait").await;
        sim.settle().await;
        script.break_to_server(io::ErrorKind::ConnectionReset);
        drop(peer);
        sim.pass(s(3600)).await;
        assert_eq!(log.lines(), ["connect", "begin wait"]);
        gate.send(()).await.unwrap();
        ended.recv().await.unwrap();
    });
    assert_eq!(log.lines()[2], "end wait");
}

// ---- 5. What was accepted before `close()` is written before the close frame; after it `send`
// ----    returns `Closed`.

/// Sends three messages, closes, and tries to send another.
struct Farewell;

impl Handler for Farewell {
    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        for text in ["one", "two", "three"] {
            connection.send(text).await.unwrap();
        }
        connection.close(CloseCode::new(4000).unwrap(), "done").unwrap();
        assert_eq!(connection.send("late").await, Err(SendError::Closed));
        assert_eq!(connection.try_send("late"), Err(TrySendError::Refused(SendError::Closed)));
    }
}

#[test]
fn what_was_accepted_is_written_before_the_close_frame_and_nothing_after_it() {
    let sim = Sim::default();
    let (mut peer, script, ended) = serve(&sim, Farewell, Options::default());
    sim.run(async {
        script.set_piece(1); // whatever the transport takes at a time
        peer.send("go").await;
        for expected in [text("one"), text("two"), text("three"), close(4000, "done")] {
            assert_eq!(peer.next().await, expected);
        }
        assert_eq!(peer.next().await, Seen::End(Ok(())));
        drop(peer);
        assert_eq!(ended.recv().await.unwrap().code(), 4000);
    });
}

// ---- 6. A panic in a handler ends only its own connection (1011); `on_disconnect` still runs; the
// ----    server lives.

#[test]
fn a_panic_ends_only_its_own_connection() {
    let sim = Sim::default();
    let (recorder, log, _gate) = Recorder::new();
    let recorder = Arc::new(recorder);
    let (mut doomed, _, ended) = serve(&sim, recorder.clone(), Options::default());
    let (mut other, _, _) = serve(&sim, recorder, Options::default());
    sim.run(async {
        assert_eq!((doomed.next().await, other.next().await), (text("welcome"), text("welcome")));
        doomed.send("panic").await;
        assert_eq!(doomed.next().await, close(1011, "internal error"));
        assert_eq!(doomed.next().await, Seen::End(Ok(())));
        drop(doomed);
        let reason = ended.recv().await.unwrap();
        assert!(matches!(reason, Disconnect::Failed(Failure::HandlerPanicked)), "{reason:?}");
        other.send("still here").await;
        assert_eq!(other.next().await, text("still here"));
    });
    assert!(log.lines().contains(&"disconnect the handler panicked".to_owned()));
}

// ---- 7. A `send` future that is dropped while waiting has sent nothing. Reading is cancel-safe.

/// Hands its connection out.
struct HandOut(Sender<Connection>);

impl Handler for HandOut {
    async fn on_connect(&self, connection: &Connection) {
        self.0.send(connection.clone()).await.unwrap();
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        connection.send(message).await.unwrap();
    }
}

#[test]
fn a_send_that_is_dropped_while_it_waits_has_sent_nothing() {
    let sim = Sim::default();
    let (hand, out) = bounded(1);
    let mut options = Options::default();
    options.high_water_mark = 10;
    let (mut peer, script, _) = serve(&sim, HandOut(hand), options);
    sim.run(async {
        let connection = out.recv().await.unwrap();
        script.set_capacity_to_client(0);
        connection.send("0123456789").await.unwrap();
        let waiting = connection.send("dropped");
        assert_eq!(futures_lite::future::poll_once(waiting).await, None, "there is no room");
        let mut second = Box::pin(connection.send("kept"));
        assert_eq!(futures_lite::future::poll_once(&mut second).await, None);
        script.set_capacity_to_client(1000);
        second.await.unwrap();
        assert_eq!((peer.next().await, peer.next().await), (text("0123456789"), text("kept")));
    });
}

// ---- 8. A handler may be slow; while it runs its peer's pings wait. Spawn long work: the handle is
// ----    `Clone`.

#[test]
fn while_a_handler_runs_its_peers_pings_wait_and_the_peer_is_not_blamed() {
    let sim = Sim::default();
    let (recorder, _, gate) = Recorder::new();
    let (mut peer, _, _) = serve(&sim, recorder, Options::default());
    sim.run(async {
        assert_eq!(peer.next().await, text("welcome"));
        peer.send("wait").await;
        peer.raw(b"\x89\x84\0\0\0\0ping").await;
        // Far beyond the keepalive's patience: the peer may be there, nobody looks.
        sim.pass(s(600)).await;
        gate.send(()).await.unwrap();
        assert_eq!(peer.next_but_pings().await, Seen::Pong(b"ping".to_vec()));
        peer.send("fine").await;
        assert_eq!(peer.next_but_pings().await, text("fine"));
    });
}

#[test]
fn the_handle_is_a_clone_that_sends_from_anywhere() {
    let sim = Sim::default();
    let (hand, out) = bounded(1);
    let (mut peer, _, _) = serve(&sim, HandOut(hand), Options::default());
    sim.run(async {
        let connection = out.recv().await.unwrap();
        let clone = connection.clone();
        sim.spawn(async move { clone.send("from a task").await.unwrap() });
        assert_eq!(peer.next().await, text("from a task"));
        std::thread::scope(|scope| {
            scope.spawn(|| connection.try_send("from a thread").unwrap());
        });
        assert_eq!(peer.next().await, text("from a thread"));
    });
}

// ---- 9. An outbox is never larger than its high-water mark plus one message. What the policy
// ----    drops is counted and visible.

#[test]
fn an_outbox_is_never_larger_than_its_mark_plus_one_message() {
    const MARK: usize = 5_000;
    const MESSAGE: usize = 700;
    const FRAME: usize = MESSAGE + 4;
    let sim = Sim::default();
    let (hand, out) = bounded(1);
    let mut options = Options::default();
    options.high_water_mark = MARK;
    let (mut peer, script, _) = serve(&sim, HandOut(hand), options);
    let most = Arc::new(AtomicUsize::new(0));
    sim.run(async {
        let connection = out.recv().await.unwrap();
        script.set_capacity_to_client(0);
        for _ in 0..50 {
            let (connection, most) = (connection.clone(), most.clone());
            sim.spawn(async move {
                connection.send(&[7; MESSAGE]).await.unwrap();
                most.fetch_max(connection.buffered(), Ordering::Relaxed);
            });
        }
        sim.settle().await;
        assert_eq!(connection.buffered(), MARK.div_ceil(FRAME) * FRAME);
        assert_eq!(connection.try_send("more"), Err(TrySendError::Full));
        script.set_capacity_to_client(3_000);
        for _ in 0..50 {
            assert_eq!(peer.next().await, Seen::Binary(vec![7; MESSAGE]));
        }
    });
    let most = most.load(Ordering::Relaxed);
    assert!(most < MARK + FRAME, "{most} bytes were waiting");
}
