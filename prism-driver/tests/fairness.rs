//! One read may return ten thousand messages, or as many fragments. Each poll handles only a bounded
//! number of them, so that other tasks run.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_lite::future::poll_once;
use prism_driver::{Connection, Handler, Message, Options, serve_upgraded};
use prism_test::{Peer, Sim, pipe};

use crate::common::{binary, handed_out, serve};

#[derive(Default)]
struct Count(AtomicUsize);

impl Handler for Count {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_poll_handles_a_bounded_number_of_messages() {
    const MESSAGES: usize = 10_000;
    let sim = Sim::default();
    let (server, client, _) = pipe();
    let (options, count) = (Options::default(), Arc::<Count>::default());
    sim.run(async {
        let mut peer = Peer::new(client);
        peer.send_together(&[""; MESSAGES]).await;
        let mut serving =
            Box::pin(serve_upgraded(sim.clone(), server, "/", &options, count.clone()));
        let mut before = 0;
        while before < MESSAGES {
            assert!(poll_once(&mut serving).await.is_none());
            let handled = count.0.load(Ordering::Relaxed);
            assert!((1..=256).contains(&(handled - before)), "{}", handled - before);
            before = handled;
        }
    });
}

#[test]
fn a_poll_parses_a_bounded_number_of_fragments() {
    const FRAGMENTS: usize = 9_000;
    let sim = Sim::default();
    let (server, client, faults) = pipe();
    let (options, count) = (Options::default(), Arc::<Count>::default());
    sim.run(async {
        let mut peer = Peer::new(client);
        // All of them in one read.
        let mut bytes = b"\x02\x81\0\0\0\0a".to_vec();
        bytes.extend(b"\x00\x81\0\0\0\0a".repeat(FRAGMENTS));
        bytes.extend(b"\x80\x81\0\0\0\0a");
        peer.raw(&bytes).await;
        let mut serving =
            Box::pin(serve_upgraded(sim.clone(), server, "/", &options, count.clone()));
        let mut polls = 0;
        while count.0.load(Ordering::Relaxed) == 0 {
            assert!(poll_once(&mut serving).await.is_none());
            assert_eq!(faults.to_server().unread(), 0);
            polls += 1;
        }
        assert_eq!(polls, FRAGMENTS / 2048 + 1);
    });
}

#[test]
fn a_poll_reads_a_bounded_number_of_bytes() {
    let sim = Sim::default();
    let (server, client, faults) = pipe();
    let (mut options, count) = (Options::default(), Arc::<Count>::default());
    options.protocol.max_message_size = 64 << 20;
    sim.run(async {
        let mut peer = Peer::new(client);
        faults.to_server().set_capacity(usize::MAX);
        peer.send(&vec![7; 10 << 20]).await;
        let mut serving =
            Box::pin(serve_upgraded(sim.clone(), server, "/", &options, count.clone()));
        let mut unread = faults.to_server().unread();
        while unread > 0 {
            assert!(poll_once(&mut serving).await.is_none());
            let read = unread - faults.to_server().unread();
            // The budget is a little more than 1 MiB, and a single read takes at most half of that, however large the
            // buffer is.
            assert!((1..2 << 20).contains(&read), "{read} bytes");
            unread -= read;
        }
    });
}

/// Sends each message to all members, and counts the messages.
struct Hub {
    members: Vec<Connection>,
    count: Arc<Count>,
}

impl Handler for Hub {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        for member in &self.members {
            let _ = member.try_send(message); // one that has no room misses it
        }
        self.count.on_message(connection, message).await;
    }
}

#[test]
fn a_poll_sends_a_bounded_number_of_messages_to_others() {
    const MEMBERS: usize = 1_000;
    const MESSAGES: usize = 600;
    const MOST: usize = 130;
    for capacity in [usize::MAX, 0] {
        let (sim, count) = (Sim::default(), Arc::<Count>::default());
        let (mut members, mut peers) = (Vec::new(), Vec::new());
        for _ in 0..MEMBERS {
            let (peer, faults, _, member) = handed_out(&sim, Options::default());
            faults.to_client().allow(capacity);
            members.push(member);
            peers.push(peer);
        }
        let (server, client, _) = pipe();
        let (options, hub) = (Options::default(), Hub { members, count: count.clone() });
        sim.run(async {
            let mut peer = Peer::new(client);
            peer.send_together(&["a"; MESSAGES]).await;
            let mut serving = Box::pin(serve_upgraded(sim.clone(), server, "/", &options, hub));
            let (mut before, mut longest) = (0, 0);
            while before < MESSAGES {
                assert!(poll_once(&mut serving).await.is_none());
                sim.settle().await;
                let handled = count.0.load(Ordering::Relaxed);
                let in_turn = handled - before;
                assert!(in_turn <= MOST, "{in_turn} times {MEMBERS}");
                longest = longest.max(in_turn);
                before = handled;
            }
            assert!(longest > MOST / 2, "only {longest} times {MEMBERS}");
        });
    }
}

#[test]
fn the_budget_is_renewed_once_others_have_run() {
    let sim = Sim::default();
    let (mut peer, _, _, _) = handed_out(&sim, Options::default());
    sim.run(async {
        for number in 0..1_000_u32 {
            peer.send(&number.to_be_bytes()).await;
            // The task is polled once per message: it never has to yield.
            assert!(sim.tick() && !sim.tick(), "message {number}");
            assert_eq!(peer.next().await, binary(number.to_be_bytes()));
        }
    });
}

#[test]
fn the_budget_is_renewed_while_a_long_message_is_awaited() {
    const LEN: usize = 1_000_000;
    let (sim, count) = (Sim::default(), Arc::<Count>::default());
    let (mut peer, _, _) = serve(&sim, count.clone(), Options::default());
    let mut frame = vec![0x82, 0xff];
    frame.extend((LEN as u64).to_be_bytes());
    frame.resize(frame.len() + 4 + LEN, 0); // the mask, and the payload
    sim.run(async {
        sim.settle().await;
        for (number, piece) in frame.chunks(80 << 10).enumerate() {
            peer.raw(piece).await;
            // All pieces together are more than a turn, but the session has waited for each.
            assert!(sim.tick() && !sim.tick(), "piece {number}");
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    });
}
