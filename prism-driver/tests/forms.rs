//! The forms in which a message can be sent, and large messages that are kept instead of copied.

#[macro_use]
#[path = "common/forms.rs"]
mod every_form;

use std::{borrow::Cow, thread};

use allocation_counter::measure;
use bytes::{Bytes, BytesMut};
use futures_lite::future::{poll_once, zip};
use prism_driver::{
    Client, CloseCode, Connection, Message, Options, Outgoing, OwnedMessage, PreparedMessage,
    SendError, Sending, TrySendError, WhenSlow,
};
use prism_test::{Received, Sim};

use crate::common::{
    binary, handed_out,
    handlers::{HandOut, MessageLog},
    serve, serve_handshake, stuck, text,
};

/// From messages that are copied to those that are kept, with every length of a header.
const LENGTHS: [usize; 5] = [3, 300, 16_383, 16_384, 100_000];

/// Long enough to be kept.
const LARGE: usize = 50_000;

#[derive(Clone, Copy, Debug)]
enum How {
    Send,
    TrySend,
}

async fn send(connection: &Connection, how: How, message: impl Outgoing) {
    match how {
        How::Send => connection.send(message).await.expect("the connection is open"),
        How::TrySend => connection.try_send(message).expect("there is room"),
    }
}

/// Sends a text and bytes of each length in every form. Returns what has to arrive.
async fn send_every_form(connection: &Connection, how: How) -> Vec<Received> {
    let mut expected = Vec::new();
    for len in LENGTHS {
        every_text!(len, |message| {
            send(connection, how, message).await;
            expected.push(text(&"x".repeat(len)));
        });
        every_binary!(len, |message| {
            send(connection, how, message).await;
            expected.push(binary(vec![7; len]));
        });
    }
    send(connection, how, &[1, 2, 3]).await;
    send(connection, how, [4; 20_000]).await;
    expected.extend([binary([1, 2, 3]), binary([4; 20_000])]);
    expected
}

#[test]
fn every_form_arrives_as_what_it_is() {
    for when_slow in [WhenSlow::Wait, WhenSlow::DropOldest] {
        // The transport takes everything at once, or a part, or nothing yet.
        for capacity in [usize::MAX, 30_000, 0] {
            for (how, piece) in
                [(How::Send, usize::MAX), (How::TrySend, usize::MAX), (How::TrySend, 5_000)]
            {
                let sim = Sim::default();
                let mut options = Options::default();
                options.high_water_mark = 64 << 20;
                let (handler, out) = HandOut::when_slow(when_slow);
                let (mut peer, faults, _) = serve(&sim, handler, options);
                sim.run(async {
                    let connection = out.recv().await.unwrap();
                    sim.settle().await;
                    faults.to_client().set_capacity(capacity);
                    faults.set_piece(piece);
                    let expected = send_every_form(&connection, how).await;
                    faults.to_client().set_capacity(usize::MAX);
                    for (nth, expected) in expected.into_iter().enumerate() {
                        let seen = peer.next_but_pings().await;
                        assert!(
                            seen == expected,
                            "message {nth}, {when_slow:?}, {how:?}, {capacity}"
                        );
                    }
                    assert_eq!((connection.buffered(), connection.missed()), (0, 0));
                });
            }
        }
    }
}

#[test]
fn a_client_sends_every_form_masked() {
    for how in [How::Send, How::TrySend] {
        let sim = Sim::default();
        let mut options = Options::default();
        options.high_water_mark = 64 << 20;
        let (handler, log, _) = MessageLog::new();
        let (io, _, _) = serve_handshake(&sim, handler, options.clone());
        sim.run(async {
            let client = Client::new_on(sim.clone(), "ws://example.org/").unwrap();
            let (handler, out) = HandOut::new();
            let running = async {
                client.options(options).run_stream(io, handler).await.unwrap();
            };
            let sending = async {
                let connection = out.recv().await.unwrap();
                let mut expected = Vec::new();
                for len in LENGTHS {
                    every_text!(len, |message| {
                        send(&connection, how, message).await;
                        expected.push("x".repeat(len));
                    });
                }
                assert!(connection.close(CloseCode::NORMAL, ""));
                expected
            };
            let ((), expected) = zip(running, sending).await;
            assert!(log.lines()[..expected.len()] == expected);
        });
    }
}

/// Returns how many bytes are allocated while a message is sent to a peer that then takes a few bytes of it, or that
/// has taken nothing since another message.
fn allocated(when_slow: WhenSlow, something_waits: bool, message: impl Outgoing) -> u64 {
    let sim = Sim::default();
    let mut options = Options::default();
    options.high_water_mark = 1 << 20;
    let (handler, out) = HandOut::when_slow(when_slow);
    let (mut peer, faults, _) = serve(&sim, handler, options);
    let connection = sim.run(async { out.recv().await.unwrap() });
    sim.run(sim.settle());
    faults.to_client().set_capacity(if something_waits { 0 } else { 5 });
    if something_waits {
        connection.try_send("first").unwrap();
    }
    let bytes = measure(|| connection.try_send(message).unwrap()).bytes_total;
    sim.run(async {
        faults.to_client().set_capacity(usize::MAX);
        if something_waits {
            assert_eq!(peer.next().await, text("first"));
        }
        let seen = peer.next().await;
        assert!(seen == text(&"x".repeat(LARGE)) || seen == binary(vec![7; LARGE]));
    });
    bytes
}

/// The same on a new thread, whose pools have no buffers.
fn allocated_afresh(when_slow: WhenSlow, something_waits: bool, message: impl Outgoing) -> u64 {
    thread::scope(|scope| {
        let sending = scope.spawn(|| allocated(when_slow, something_waits, message));
        sending.join().expect("the thread has not panicked")
    })
}

#[test]
fn a_large_message_that_is_given_away_is_not_copied_when_it_waits() {
    for when_slow in [WhenSlow::Wait, WhenSlow::DropOldest] {
        for something_waits in [true, false] {
            let (text, vec) = ("x".repeat(LARGE), vec![7; LARGE]);
            let bytes = Bytes::from(vec.clone());
            every!(|message| {
                let bytes = allocated_afresh(when_slow, something_waits, message);
                assert!(bytes < 8 << 10, "{bytes} bytes, {when_slow:?}, {something_waits}");
            };
                text.clone(), Cow::<str>::Owned(text.clone()), vec.clone(), &bytes, bytes.clone(),
                BytesMut::from(&vec[..]), OwnedMessage::Text(text.clone()),
                OwnedMessage::Binary(vec.clone()));
            let copied = allocated_afresh(when_slow, something_waits, &text);
            assert!(
                copied >= LARGE as u64 - 5,
                "{copied} bytes for a message that is only borrowed"
            );
        }
    }
}

#[test]
fn a_short_rest_does_not_keep_the_whole_message() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = handed_out(&sim, Options::default());
    sim.run(async {
        sim.settle().await;
        faults.to_client().set_capacity(LARGE);
        let message = vec![7; LARGE];
        let held = measure(|| connection.try_send(message).unwrap()).bytes_current;
        assert_eq!(connection.buffered(), 4);
        // The pipe has a copy of what it has taken, but the message is gone.
        assert!(held < 8 << 10, "{held} bytes");
        faults.to_client().set_capacity(usize::MAX);
        assert!(peer.next().await == binary(vec![7; LARGE]));
    });
}

#[test]
fn a_message_is_kept_without_its_spare_capacity() {
    let sim = Sim::default();
    let (_peer, _, _, connection) = stuck(&sim, 1 << 20);
    let held = measure(|| {
        let mut text = String::with_capacity(100 * LARGE);
        text.extend(std::iter::repeat_n('x', LARGE));
        connection.try_send(text).unwrap();
    });
    assert!(held.bytes_current < 2 * LARGE as i64, "{} bytes", held.bytes_current);
}

#[test]
fn a_kept_message_counts_in_full() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim, 2 * LARGE);
    sim.run(async {
        connection.try_send("x".repeat(LARGE)).unwrap();
        assert_eq!(connection.buffered(), 4 + LARGE);
        connection.try_send(Bytes::from(vec![7; 10 * LARGE]).slice(LARGE..2 * LARGE)).unwrap();
        assert_eq!(connection.buffered(), 2 * (4 + LARGE));
        assert!(connection.is_full());
        assert_eq!(connection.try_send(vec![7; LARGE]), Err(TrySendError::Full));
        faults.to_client().set_capacity(usize::MAX);
        assert!(peer.next().await == text(&"x".repeat(LARGE)));
        assert!(peer.next().await == binary(vec![7; LARGE]));
        connection.flush().await.unwrap();
        assert_eq!(connection.buffered(), 0);
    });
}

#[test]
fn a_dropped_send_of_a_large_message_has_sent_nothing() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim, 1);
    sim.run(async {
        connection.try_send("first").unwrap();
        let mut dropped = Box::pin(connection.send(vec![1; LARGE]));
        let mut waiting = Box::pin(connection.send(vec![2; LARGE]));
        assert_eq!(poll_once(&mut dropped).await, None);
        assert_eq!(poll_once(&mut waiting).await, None);
        assert_eq!(connection.buffered(), 2 + "first".len());
        drop(dropped);
        faults.to_client().set_capacity(usize::MAX);
        waiting.await.unwrap();
        connection.send("last").await.unwrap();
        assert_eq!(peer.next().await, text("first"));
        assert!(peer.next().await == binary(vec![2; LARGE]));
        assert_eq!(peer.next().await, text("last"));
    });
}

#[test]
fn a_large_message_is_refused_once_closing() {
    for when_slow in [WhenSlow::Wait, WhenSlow::DropOldest] {
        let sim = Sim::default();
        let (handler, out) = HandOut::when_slow(when_slow);
        let (_peer, faults, _) = serve(&sim, handler, Options::default());
        sim.run(async {
            let connection = out.recv().await.unwrap();
            sim.settle().await;
            faults.to_client().set_capacity(0);
            assert!(connection.close(CloseCode::NORMAL, ""));
            let before = connection.buffered();
            assert_eq!(connection.send(vec![7; LARGE]).await, Err(SendError::Closed));
            let refused = connection.try_send("x".repeat(LARGE));
            assert_eq!(refused, Err(TrySendError::Refused(SendError::Closed)));
            assert_eq!(connection.buffered(), before);
        });
    }
}

#[test]
fn dropping_the_oldest_drops_kept_messages_as_a_whole() {
    let sim = Sim::default();
    let mut options = Options::default();
    options.high_water_mark = 3 * LARGE;
    let (handler, out) = HandOut::when_slow(WhenSlow::DropOldest);
    let (mut peer, faults, _) = serve(&sim, handler, options);
    sim.run(async {
        let connection = out.recv().await.unwrap();
        sim.settle().await;
        faults.to_client().set_capacity(3); // within the first header
        for number in 0..10 {
            connection.try_send(vec![number; LARGE]).unwrap();
            sim.settle().await;
            connection.try_send(vec![number; 20]).unwrap();
        }
        faults.to_client().set_capacity(usize::MAX);
        let mut seen = vec![peer.next_but_pings().await];
        while seen.last() != Some(&binary([9; 20])) {
            seen.push(peer.next_but_pings().await);
        }
        assert!(seen[0] == binary(vec![0; LARGE]), "it was written in part");
        assert!(seen[seen.len() - 2] == binary(vec![9; LARGE]));
        assert_eq!(seen.len() as u64, 20 - connection.missed());
        assert!(connection.missed() > 10, "{} are missed", connection.missed());
    });
}

#[test]
fn preparing_keeps_the_kind_and_the_bytes() {
    for len in LENGTHS {
        let (text, bytes) = ("x".repeat(len), vec![7; len]);
        every_text!(len, |message| assert_eq!(message.prepare(), PreparedMessage::new(&text)));
        every_binary!(len, |message| assert_eq!(message.prepare(), PreparedMessage::new(&bytes)));
    }
    let prepared = PreparedMessage::new("news");
    assert!(std::ptr::eq((&prepared).prepare().frame(), prepared.frame()), "it is shared");
}

#[test]
fn a_send_takes_little_memory_besides_its_message() {
    // Most handlers' futures hold one.
    const BESIDES: usize = 3 * size_of::<usize>();
    assert_eq!(size_of::<Sending<'_, Message<'_>>>(), BESIDES + size_of::<Message<'_>>());
    assert_eq!(size_of::<Sending<'_, &str>>(), BESIDES + size_of::<&str>());
    assert_eq!(size_of::<Sending<'_, &PreparedMessage>>(), BESIDES + size_of::<usize>());
}
