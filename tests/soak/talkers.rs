//! Those who talk: good ones, by two libraries, and those behind a network that fails.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use fastrand::Rng;
use prism_driver::{Client, Network, Runtime};
use prism_tests::proxy::{Direction, Fault, Script};
use prism_tokio::Tokio;
use tokio_tungstenite::connect_async;

use crate::{
    crowd::Visitor,
    ends::End,
    server::{ROOMS, options},
    talk::{Talk, Trouble},
    tally::Kind,
};

/// A client of Prism's that comes, talks and leaves, again and again.
pub(crate) async fn prism<N: Network>(network: N, visitor: Visitor) {
    let own = network.clone();
    let connect = move |url: String| {
        let client = Client::new_on(own.clone(), &url).expect("a good address");
        async { client.options(options()).connect().await.map_err(|error| error.to_string()) }
    };
    visit(network, visitor, connect).await;
}

/// A client of tungstenite's that does the same. It needs tokio, whatever Prism runs on.
pub(crate) async fn tungstenite(visitor: Visitor) {
    let connect = |url: String| async {
        connect_async(url).await.map(|(socket, _)| socket).map_err(|error| error.to_string())
    };
    visit(Tokio, visitor, connect).await;
}

async fn visit<E: End, C: Future<Output = Result<E, String>>>(
    runtime: impl Runtime,
    mut visitor: Visitor,
    connect: impl Fn(String) -> C,
) {
    runtime.sleep(visitor.first.saturating_duration_since(Instant::now())).await;
    while !visitor.is_over() {
        let url = format!("ws://{}/talk/{}", visitor.address, visitor.dice.usize(..ROOMS));
        let (leave, dice) = (visitor.leave(), visitor.dice.fork());
        let outcome = match connect(url).await {
            Ok(end) => {
                let _here = visitor.tally.comes(visitor.kind);
                Talk::new(end, dice, &visitor.tally).hold(&runtime, leave).await
            }
            Err(error) => Err(Trouble::Broken(error)),
        };
        match outcome {
            Ok(()) => {}
            Err(Trouble::Broken(_)) if visitor.kind == Kind::Faulty => {
                visitor.tally.broken.fetch_add(1, Relaxed);
            }
            Err(Trouble::Broken(what) | Trouble::Wrong(what)) => {
                visitor.tally.complain(visitor.kind, &what);
            }
        }
        runtime.sleep(visitor.pause()).await;
    }
}

/// What goes wrong with the connections of the faulty.
pub(crate) struct Faults(Rng);

impl Faults {
    pub(crate) const fn new(dice: Rng) -> Self {
        Self(dice)
    }

    /// A fault soon or late, or none before the client leaves.
    pub(crate) fn script(&mut self) -> Script {
        let dice = &mut self.0;
        let way = if dice.bool() { Direction::Up } else { Direction::Down };
        let far = 1 << dice.u32(7..18);
        let place = dice.u64(..far);
        let fault = match dice.u8(..6) {
            0 => Fault::Cut,
            1 => Fault::Freeze(Duration::from_secs(dice.u64(1..30))),
            2 => Fault::HalfCut,
            3 => Fault::Reset,
            4 => Fault::Stall(Duration::from_millis(dice.u64(1..3000))),
            _ => Fault::Swallow,
        };
        Script::new(dice.u64(..)).and(way, place, fault)
    }
}
