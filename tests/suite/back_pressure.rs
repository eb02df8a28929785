//! Peers that do not read, and handlers that are slow: each slows the other side down, and no queue
//! grows in between.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use super::support::{
    TIMEOUT, block_on,
    handlers::{Events, Gate, Recorder, Seen, recorder},
    kinds::on_both_kinds,
    peer::{BINARY, TEXT},
    server::serve,
};
use crate::prism::{
    CloseCode, Connection, Disconnect, Failure, Handler, Message, Options, Rate, SendError,
    TrySendError,
};

const MARK: usize = 64 << 10;
const MESSAGE: usize = 24 << 10;

/// Far more than the sockets of both ends can buffer.
const MUCH: usize = 128 << 20;

/// Sends messages, and reports the largest number of buffered bytes.
struct Flood {
    messages: usize,
    recorder: Recorder,
    fullest: Sender<usize>,
}

impl Handler for Flood {
    async fn on_connect(&self, connection: &Connection) {
        let message = vec![b'x'; MESSAGE];
        let mut fullest = 0;
        for _ in 0..self.messages {
            if connection.send(&message).await.is_err() {
                break;
            }
            fullest = fullest.max(connection.buffered());
        }
        self.fullest.send(fullest).expect("the scenario waits");
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.recorder.record(Seen::Ended(reason));
    }
}

fn flood(messages: usize) -> (Flood, Receiver<usize>, Events) {
    let (recorder, events) = recorder();
    let (fullest, receiver) = channel();
    (Flood { messages, recorder, fullest }, receiver, events)
}

#[test]
fn contract_9_an_outbox_holds_at_most_its_mark_and_a_message() {
    on_both_kinds(|kind| {
        let (flood, fullest, _) = flood(500);
        let server = serve(|server| server.websocket("/", kind.route(flood)));
        let mut peer = server.open("/");
        for _ in 0..500 {
            assert_eq!(peer.next().expect("a message").payload.len(), MESSAGE);
        }
        let fullest = fullest.recv_timeout(TIMEOUT).expect("the handler is done");
        assert!(fullest < MARK + MESSAGE + 14, "{fullest} bytes were buffered");
    });
}

#[test]
fn a_peer_that_reads_nothing_is_dropped_at_the_write_timeout() {
    let mut options = Options::default();
    options.write_timeout = Duration::from_millis(500);
    let (flood, fullest, events) = flood(MUCH / MESSAGE);
    let server = serve(|server| server.options(options).websocket("/", flood));
    let peer = server.open("/"); // and never reads
    let ended = events.ended();
    assert!(matches!(ended, Disconnect::Failed(Failure::WriteStalled)), "{ended:?}");
    let fullest = fullest.recv_timeout(TIMEOUT).expect("the handler is done");
    assert!(fullest < MARK + MESSAGE + 14, "{fullest} bytes were buffered");
    drop(peer);
}

#[test]
fn a_slow_reader_does_not_hit_the_write_timeout() {
    let mut options = Options::default();
    options.write_timeout = Duration::from_secs(1);
    let (flood, _fullest, events) = flood(MUCH / MESSAGE);
    let server = serve(|server| server.options(options).websocket("/", flood));
    let mut peer = server.open("/");
    // Reads a third of a megabyte per second, for several times the timeout. The sleep is the
    // subject of this test.
    for _ in 0..60 {
        assert_eq!(peer.next().expect("a message").payload.len(), MESSAGE);
        thread::sleep(Duration::from_millis(75));
    }
    events.nothing_yet();
}

#[test]
fn a_peer_below_the_minimum_write_rate_is_dropped() {
    let mut options = Options::default();
    options.write_timeout = Duration::from_millis(500);
    options.min_write_rate = 100 << 20;
    let (recorder, events) = recorder();
    let server = serve(|server| server.options(options).websocket("/", recorder));
    let mut peer = server.open("/");
    // More than the kernel buffers.
    let large = vec![7; 32 << 20];
    block_on(events.connected().send(&large)).expect("an open connection");
    // The peer never pauses for as long as the timeout, and reads at most 6 MB per second.
    let mut piece = vec![0; 64 << 10];
    while matches!(peer.stream.read(&mut piece), Ok(1..)) {
        thread::sleep(Duration::from_millis(10));
    }
    let ended = events.ended();
    assert!(matches!(ended, Disconnect::Failed(Failure::WriteStalled)), "{ended:?}");
}

#[test]
fn a_client_that_does_not_receive_blocks_the_sender() {
    let mut options = Options::default();
    options.write_timeout = Duration::from_millis(500);
    let (flood, _fullest, events) = flood(MUCH / MESSAGE);
    let server = serve(|server| server.options(options).websocket("/", flood));
    let socket = block_on(server.connect("/")); // and never receives
    let ended = events.ended();
    assert!(matches!(ended, Disconnect::Failed(Failure::WriteStalled)), "{ended:?}");
    drop(socket);
}

#[test]
fn try_send_reports_a_full_outbox_and_recovers() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.open("/");
    let connection = events.connected();
    let message = vec![b'x'; MESSAGE];
    let mut sent = 0;
    while connection.try_send(&message).is_ok() {
        sent += 1;
        assert!(sent < MUCH / MESSAGE, "the outbox is never full");
    }
    for _ in 0..sent {
        assert_eq!(peer.next().expect("a message").payload.len(), MESSAGE);
    }
    // This message was sent after the peer had made room.
    block_on(connection.send("there is room")).expect("an open connection");
    peer.expect(TEXT, b"there is room");
    assert_eq!(connection.try_send("again"), Ok(()));
    peer.expect(TEXT, b"again");
}

#[test]
fn closing_makes_a_waiting_send_fail() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let peer = server.open("/"); // and never reads
    let connection = events.connected();
    let (full, is_full) = channel();
    let sending = thread::spawn({
        let connection = connection.clone();
        move || {
            let message = vec![b'x'; MESSAGE];
            block_on(async {
                for number in 0..MUCH / MESSAGE {
                    match connection.try_send(&message) {
                        Ok(()) => {}
                        Err(TrySendError::Refused(error)) => return Err(error),
                        Err(TrySendError::Full) => {
                            let _ = full.send(number); // the scenario receives only the first
                            connection.send(&message).await?;
                        }
                    }
                }
                Ok(())
            })
        }
    });
    is_full.recv_timeout(TIMEOUT).expect("the outbox is full");
    assert!(connection.close(CloseCode::NORMAL, ""), "an open connection");
    assert_eq!(sending.join().expect("no panic"), Err(SendError::Closed));
    drop(peer);
}

/// Waits at a gate before it handles its first message.
struct Slow {
    gate: Gate,
    recorder: Recorder,
}

impl Handler for Slow {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.gate.pass().await;
        self.recorder.on_message(connection, message).await;
    }
}

#[test]
fn a_slow_handler_blocks_its_peer_and_loses_nothing() {
    let (recorder, events) = recorder();
    let gate = Gate::closed();
    let slow = Slow { gate: gate.clone(), recorder };
    let server = serve(|server| server.websocket("/", slow));
    let mut peer = server.open("/");

    // The peer writes until TCP accepts no more, which the write timeout detects.
    peer.stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a socket");
    let frames = MUCH / MESSAGE;
    let mut written = 0;
    let mut rest = Vec::new();
    for number in 0..frames {
        let frame = peer.encode(true, BINARY, &(number as u32).to_be_bytes().repeat(MESSAGE / 4));
        written += 1;
        if let Some(at) = write_until_blocked(&mut peer.stream, &frame) {
            rest = frame[at..].to_vec();
            break;
        }
    }
    assert!(written < frames, "the peer could write {frames} messages to a blocked handler");
    events.nothing_yet();

    gate.open();
    peer.stream.set_write_timeout(Some(TIMEOUT)).expect("a socket");
    peer.write(&rest);
    for number in 0..written {
        let expected = (number as u32).to_be_bytes().repeat(MESSAGE / 4);
        assert!(events.message().as_message().as_bytes() == expected, "message {number}");
    }
}

#[test]
fn a_peer_over_its_message_rate_is_delayed_without_loss() {
    let mut options = Options::default();
    options.message_rate = Some(Rate { per_second: 20, burst: 3 });
    let (recorder, events) = recorder();
    let server = serve(|server| server.options(options).websocket("/", recorder));
    let mut peer = server.open("/");
    events.connected();
    let began = Instant::now();
    for number in 0..10 {
        peer.send(TEXT, number.to_string().as_bytes());
    }
    for number in 0..10 {
        assert_eq!(events.message().as_message(), Message::Text(&number.to_string()));
    }
    // Three messages arrive at once, and each of the other seven after a twentieth of a second.
    assert!(began.elapsed() >= Duration::from_millis(7 * 50), "{:?}", began.elapsed());
    peer.close_and_expect_disconnect();
    assert_eq!(events.ended().code(), 1000);
}

/// Writes `bytes`. Returns how many were written if the socket accepts no more.
fn write_until_blocked(stream: &mut TcpStream, bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < bytes.len() {
        match stream.write(&bytes[at..]) {
            Ok(count) => at += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Some(at);
            }
            Err(error) => panic!("{error}"),
        }
    }
    None
}
