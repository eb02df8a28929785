//! One read may bring ten thousand messages, or as many fragments: who sends them gets a turn like
//! everybody, no more.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::{binary, handed_out, peer::Peer, pipe::pipe, sim::Sim};
use futures_lite::future::poll_once;
use prism_driver::{Connection, Handler, Message, Options, serve_upgraded};

#[derive(Default)]
struct Count(AtomicUsize);

impl Handler for Count {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn no_poll_handles_more_than_a_turn_of_messages_and_none_is_left_behind() {
    const MESSAGES: usize = 10_000;
    let sim = Sim::default();
    let (server, client, _) = pipe();
    let (options, count) = (Options::default(), Count::default());
    sim.run(async {
        let mut peer = Peer::open(client);
        peer.send_together(&[""; MESSAGES]).await;
        let mut serving = Box::pin(serve_upgraded(sim.clone(), server, "/", &options, &count));
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
fn no_poll_parses_more_than_a_turn_of_fragments_and_none_is_left_behind() {
    const FRAGMENTS: usize = 9_000;
    let sim = Sim::default();
    let (server, client, script) = pipe();
    let (options, count) = (Options::default(), Count::default());
    sim.run(async {
        let mut peer = Peer::open(client);
        // All of them in one read.
        let mut bytes = b"\x02\x81\0\0\0\0a".to_vec();
        bytes.extend(b"\x00\x81\0\0\0\0a".repeat(FRAGMENTS));
        bytes.extend(b"\x80\x81\0\0\0\0a");
        peer.raw(&bytes).await;
        let mut serving = Box::pin(serve_upgraded(sim.clone(), server, "/", &options, &count));
        let mut polls = 0;
        while count.0.load(Ordering::Relaxed) == 0 {
            assert!(poll_once(&mut serving).await.is_none());
            assert_eq!(script.unread_by_server(), 0);
            polls += 1;
        }
        assert_eq!(polls, FRAGMENTS / 2048 + 1);
    });
}

#[test]
fn no_poll_reads_more_than_a_turn_and_the_read_that_ends_it() {
    let sim = Sim::default();
    let (server, client, script) = pipe();
    let (mut options, count) = (Options::default(), Count::default());
    options.protocol.max_message_size = 64 << 20;
    sim.run(async {
        let mut peer = Peer::open(client);
        script.set_capacity_to_server(usize::MAX);
        peer.send(&vec![7; 5 << 20]).await;
        let mut serving = Box::pin(serve_upgraded(sim.clone(), server, "/", &options, &count));
        let mut unread = script.unread_by_server();
        while unread > 0 {
            assert!(poll_once(&mut serving).await.is_none());
            let read = unread - script.unread_by_server();
            // A turn is a quarter of a megabyte, and one read at most half of that, however large the
            // buffer is.
            assert!((1..(256 << 10) + (128 << 10)).contains(&read), "{read} bytes");
            unread -= read;
        }
    });
}

#[test]
fn a_turn_begins_anew_when_others_have_had_theirs() {
    let sim = Sim::default();
    let (mut peer, _, _, _) = handed_out(&sim, Options::default());
    sim.run(async {
        for number in 0..1_000_u32 {
            peer.send(&number.to_be_bytes()).await;
            // Its task is polled once for each message: it never has to pause.
            assert!(sim.tick() && !sim.tick(), "message {number}");
            assert_eq!(peer.next().await, binary(number.to_be_bytes()));
        }
    });
}
