//! Compression and turns: a session that compresses or decompresses a lot lets others go on, and none pays for another.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_lite::future::block_on;
use prism_core::{Config, MaskKeys, Message as CoreMessage, WebSocket};
use prism_driver::{Connection, Deflate, Handler, Message, PreparedMessage, WhenSlow};
use prism_test::Sim;

use crate::common::{
    compressed::{open_with, options, received},
    text,
};

/// The settings for both ways to compress.
fn both() -> [Deflate; 2] {
    [Deflate::default(), Deflate::default().with_takeover()]
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Handler for Count {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Answers each message with a long one that compresses well.
#[derive(Default)]
struct AnswerAtLength(AtomicUsize);

impl Handler for AnswerAtLength {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        let answer = "x".repeat(100_000);
        match message.as_text() {
            Some("prepared") => connection.send(&PreparedMessage::new(&answer)).await.unwrap(),
            Some("droppable") => {
                connection.set_when_slow(WhenSlow::DropOldest);
                connection.try_send(answer).unwrap();
            }
            _ => connection.send(answer).await.unwrap(),
        }
    }
}

/// What leaves is short, so the high-water mark would not end a turn for a long time.
#[test]
fn a_poll_compresses_a_bounded_number_of_bytes() {
    const MESSAGES: usize = 20;
    for (kind, deflate) in ["whole", "prepared", "droppable"]
        .into_iter()
        .flat_map(|kind| both().map(|deflate| (kind, deflate)))
    {
        let sim = Sim::default();
        let count = Arc::<AnswerAtLength>::default();
        let (mut peer, _) = open_with(&sim, count.clone(), options(deflate.clone()), deflate);
        sim.run(async {
            for _ in 0..MESSAGES {
                peer.send(CoreMessage::Text(kind)).await;
            }
            let mut before = 0;
            while before < MESSAGES {
                assert!(sim.tick(), "the session goes on");
                let handled = count.0.load(Ordering::Relaxed);
                assert!(handled - before <= 1, "{kind}: {} in one turn", handled - before);
                before = handled;
            }
        });
    }
}

/// Sends ten messages in one call.
#[derive(Default)]
struct AnswerTenTimes(AtomicUsize);

impl Handler for AnswerTenTimes {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        for _ in 0..10 {
            let sending = connection.send("x".repeat(16 << 10));
            match message.as_text() {
                Some("blocking") => block_on(sending).unwrap(),
                _ => sending.await.unwrap(),
            }
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_handler_that_sends_on_and_on_yields_after_16_kib() {
    for deflate in both() {
        let sim = Sim::default();
        let count = Arc::<AnswerTenTimes>::default();
        let (mut peer, _) = open_with(&sim, count.clone(), options(deflate.clone()), deflate);
        sim.run(async {
            peer.send(CoreMessage::Text("ten")).await;
            let mut before = 0;
            while before < 10 {
                assert!(sim.tick(), "the handler goes on");
                let sent = count.0.load(Ordering::Relaxed);
                assert!(sent - before <= 1, "{} in one turn", sent - before);
                before = sent;
            }
        });
        assert!(received(&sim, &mut peer) == vec![text(&"x".repeat(16 << 10)); 10]);
    }
}

/// It waits for the future itself, so it cannot yield.
#[test]
fn a_handler_that_blocks_on_a_send_goes_on() {
    let sim = Sim::default();
    let deflate = Deflate::default();
    let count = Arc::<AnswerTenTimes>::default();
    let (mut peer, _) = open_with(&sim, count.clone(), options(deflate.clone()), deflate);
    sim.run(async { peer.send(CoreMessage::Text("blocking")).await });
    assert_eq!(received(&sim, &mut peer).len(), 10);
    assert_eq!(count.0.load(Ordering::Relaxed), 10);
}

/// Compresses, and then waits for something else.
struct SendAndWait;

impl Handler for SendAndWait {
    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        connection.try_send("x".repeat(100_000)).unwrap();
        pending::<()>().await;
    }
}

#[test]
fn what_a_waiting_handler_has_compressed_shortens_no_turn_of_others() {
    const MESSAGES: usize = 20;
    let sim = Sim::default();
    let deflate = Deflate::default();
    let (mut busy, _) = open_with(&sim, SendAndWait, options(deflate.clone()), deflate.clone());
    let count = Arc::<Count>::default();
    let (mut other, _) = open_with(&sim, count.clone(), options(deflate.clone()), deflate);
    sim.run(async {
        sim.settle().await;
        busy.send(CoreMessage::Text("go")).await;
        sim.settle().await;
        for _ in 0..MESSAGES {
            other.send(CoreMessage::Text("x")).await;
        }
        while count.0.load(Ordering::Relaxed) == 0 {
            assert!(sim.tick(), "the session goes on");
        }
        assert_eq!(count.0.load(Ordering::Relaxed), MESSAGES, "in one turn");
    });
}

/// A thousand bytes can become a message of the largest size.
#[test]
fn a_poll_decompresses_a_bounded_number_of_bytes() {
    const LEN: usize = 100_000;
    const MESSAGES: usize = 60;
    let sim = Sim::default();
    let count = Arc::<Count>::default();
    let deflate = Deflate::default();
    let (mut peer, _) = open_with(&sim, count.clone(), options(deflate.clone()), deflate.clone());
    let mut out = bytes::BytesMut::new();
    let keys = MaskKeys::new(|bytes| bytes.fill(0x5a));
    let params = peer.deflate_params().expect("agreed");
    let mut sender =
        WebSocket::client(&Config::default(), keys).with_deflate(Arc::new(deflate), params);
    for _ in 0..MESSAGES {
        sender.send(CoreMessage::Binary(&[0; LEN]), &mut out).unwrap();
    }
    assert!(out.len() < 64 << 10, "they arrive in one read: {}", out.len());
    sim.run(async {
        peer.raw(&out).await;
        let (mut before, mut polls) = (0, 0);
        while before < MESSAGES {
            assert!(sim.tick(), "the session goes on");
            let handled = count.0.load(Ordering::Relaxed);
            assert!(handled - before <= (2048 * 512) / LEN + 1, "{}", handled - before);
            (before, polls) = (handled, polls + 1);
        }
        assert!(polls >= MESSAGES / 11, "{polls}");
    });
}
