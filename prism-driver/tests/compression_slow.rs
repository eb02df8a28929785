//! Compression for peers that do not keep up: what they miss never makes the rest unreadable.

use std::thread;

use allocation_counter::measure;
use async_channel::{Receiver, Sender, unbounded};
use fastrand::Rng;
use futures_lite::future::poll_once;
use prism_core::deflate::{Deflater, Engine, Inflater, Settings};
use prism_driver::{Connection, Deflate, Plain, PreparedMessage, TrySendError, WhenSlow};
use prism_test::{Faults, Peer, Received, Sim};

use crate::common::{
    compressed::{json, open, options, received},
    text,
};

fn takeover() -> Deflate {
    Deflate::default().with_takeover()
}

fn stalled(sim: &Sim, deflate: Deflate, mark: usize) -> (Peer, Faults, Connection) {
    let opened = open(sim, options(deflate.clone()).high_water_mark(mark), deflate);
    opened.1.to_client().set_capacity(0);
    opened
}

#[test]
fn a_refused_message_does_not_become_history() {
    let sim = Sim::default();
    let (mut peer, faults, connection) = stalled(&sim, takeover(), 1000);
    let mut accepted = Vec::new();
    for nth in 0..20 {
        match connection.try_send(json(nth)) {
            Ok(()) => accepted.push(text(&json(nth))),
            Err(error) => assert_eq!(error, TrySendError::Full),
        }
        let prepared = PreparedMessage::new(&json(100 + nth));
        if connection.try_send(prepared).is_ok() {
            accepted.push(text(&json(100 + nth)));
        }
        let mut canceled = Box::pin(connection.send(json(200 + nth)));
        if sim.run(poll_once(&mut canceled)).is_some() {
            accepted.push(text(&json(200 + nth)));
        }
        drop(canceled);
        if nth == 10 {
            assert!(connection.is_full());
            faults.to_client().set_capacity(1 << 20);
            sim.run(sim.settle());
        }
    }
    assert!((10..60).contains(&accepted.len()), "{}", accepted.len());
    assert!(received(&sim, &mut peer) == accepted);
}

/// Whatever the policy is, and however it changes.
#[test]
fn a_dropped_message_never_breaks_the_window_of_the_peer() {
    for seed in 0..60 {
        let mut random = Rng::with_seed(seed);
        let sim = Sim::default();
        let deflate = if seed % 3 == 0 { Deflate::default() } else { takeover() };
        let (mut peer, faults, connection) = stalled(&sim, deflate, 3000);
        let (mut sent, mut seen) = (Vec::new(), Vec::new());
        for nth in 0..150 {
            match random.u8(..12) {
                0 => connection.set_when_slow(WhenSlow::DropOldest),
                1 => connection.set_when_slow(WhenSlow::DropNewest),
                2 => connection.set_when_slow(WhenSlow::Wait),
                3 => {
                    let room = random.usize(..4000);
                    faults.to_client().set_capacity(room);
                    seen.extend(received(&sim, &mut peer));
                    faults.to_client().set_capacity(0);
                }
                _ => {}
            }
            // Long enough that a compressed form is shared, and kept as a frame of its own.
            let message = json(nth) + &json(nth + 1000) + &json(nth + 2000);
            let _ = match random.u8(..4) {
                0 => connection.try_send(PreparedMessage::new(&message)),
                1 => connection.try_send(Plain(&message)),
                2 => connection.try_send(message.clone()),
                _ => connection.try_send(&message),
            };
            sent.push(text(&message));
        }
        faults.to_client().set_capacity(1 << 20);
        seen.extend(received(&sim, &mut peer));
        // All that arrives is what was sent, in order; nothing else is left out than what was missed.
        let mut rest = sent.iter();
        for (nth, message) in seen.iter().enumerate() {
            assert!(rest.any(|it| it == message), "seed {seed}, message {nth}");
        }
        assert_eq!((sent.len() - seen.len()) as u64, connection.missed(), "seed {seed}");
        assert!(connection.missed() > 0, "seed {seed}");
        assert!(connection.is_open());
    }
}

#[test]
fn drop_oldest_drops_compressed_messages() {
    let sim = Sim::default();
    for deflate in [Deflate::default(), takeover()] {
        let (mut peer, faults, connection) = stalled(&sim, deflate, 3000);
        connection.set_when_slow(WhenSlow::DropOldest);
        for nth in 0..50 {
            connection.try_send(json(nth)).unwrap();
            assert!(connection.buffered() < 3000 + json(nth).len());
        }
        faults.to_client().set_capacity(1 << 20);
        let seen = received(&sim, &mut peer);
        let last = seen.len();
        assert!(last >= 3 && connection.missed() == 50 - last as u64, "{last}");
        let expected: Vec<_> = (50 - last..50).map(|nth| text(&json(nth))).collect();
        assert!(seen == expected);
    }
}

#[test]
fn threads_can_send_on_one_connection_with_takeover() {
    const MESSAGES: usize = 200;
    let sim = Sim::default();
    let (mut peer, faults, connection) = stalled(&sim, takeover(), 64 << 20);
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let connection = connection.clone();
            thread::spawn(move || {
                for nth in 0..MESSAGES {
                    let message = format!("{thread} {}", json(nth));
                    match nth % 3 {
                        0 => connection.try_send(PreparedMessage::new(&message)),
                        1 => connection.try_send(Plain(message)),
                        _ => connection.try_send(message),
                    }
                    .unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    faults.to_client().set_capacity(64 << 20);
    let mut next = [0; 4];
    for seen in received(&sim, &mut peer) {
        let Received::Text(seen) = seen else { panic!("{seen:?}") };
        let thread: usize = seen[..1].parse().unwrap();
        assert!(seen[2..] == json(next[thread]), "message {} of {thread}", next[thread]);
        next[thread] += 1;
    }
    assert_eq!(next, [MESSAGES; 4]);
}

#[test]
fn stalled_members_with_takeover_share_a_broadcast() {
    let sim = Sim::default();
    let mut rng = fastrand::Rng::with_seed(7);
    let long: String = (0..100_000).map(|_| rng.char('a'..'q')).collect(); // to about half of it
    for when_slow in [WhenSlow::Wait, WhenSlow::DropNewest] {
        let mut members = [(); 3].map(|()| stalled(&sim, takeover(), 1 << 20));
        let message = PreparedMessage::new(&long);
        let mut allocated = 0;
        for (.., connection) in &members {
            connection.set_when_slow(when_slow);
            let info = measure(|| connection.try_send(&message).unwrap());
            assert!(connection.buffered() > 40_000, "{} bytes", connection.buffered());
            allocated = info.bytes_total;
        }
        assert!(allocated < 10_000, "{allocated} bytes for another member");
        for (peer, faults, _) in &mut members {
            faults.to_client().set_capacity(1 << 20);
            assert!(received(&sim, peer) == [text(&long)]);
        }
    }
}

/// An implementation that waits, while it compresses, until it may go on.
#[derive(Debug)]
struct Slow {
    compressing: Sender<()>,
    go_on: Receiver<()>,
}

impl Engine for Slow {
    fn inflater(&self) -> Box<dyn Inflater> {
        unreachable!("the peer does not compress")
    }

    fn deflater(&self, _: Settings) -> Option<Box<dyn Deflater>> {
        let (compressing, go_on) = (self.compressing.clone(), self.go_on.clone());
        Some(Box::new(SlowDeflater { compressing, go_on }))
    }
}

struct SlowDeflater {
    compressing: Sender<()>,
    go_on: Receiver<()>,
}

impl Deflater for SlowDeflater {
    fn deflate(&mut self, _: &[u8], _: &[u8], _: &mut [u8]) -> Option<usize> {
        self.compressing.send_blocking(()).unwrap();
        self.go_on.recv_blocking().unwrap();
        None
    }
}

/// Rooms send it with a lock held.
#[test]
fn a_message_for_many_does_not_wait_for_one_that_is_being_compressed() {
    let sim = Sim::default();
    let (compressing, begun) = unbounded();
    let (may_go_on, go_on) = unbounded();
    let engine: &'static Slow = Box::leak(Box::new(Slow { compressing, go_on }));
    let deflate = takeover().engine(engine);
    let (mut peer, _, connection) = open(&sim, options(deflate), takeover());
    let sender = thread::spawn({
        let connection = connection.clone();
        move || connection.try_send(json(1)).unwrap()
    });
    begun.recv_blocking().unwrap();
    connection.try_send(PreparedMessage::new(&json(2))).unwrap();
    assert_eq!(sim.run(peer.next()), text(&json(2)));
    may_go_on.send_blocking(()).unwrap();
    sender.join().unwrap();
    assert_eq!(sim.run(peer.next()), text(&json(1)));
}
