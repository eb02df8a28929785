//! One read may bring ten thousand messages: who sends them gets a turn like everybody, no more.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::{peer::Peer, pipe::pipe, sim::Sim};
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
