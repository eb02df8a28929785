//! Clients that hold conversations: good ones with two libraries, and those behind a faulty
//! network.

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
    clients::ClientTask,
    conversation::{Conversation, ConversationError},
    endpoint::Endpoint,
    server::{ROOMS, options},
    tally::Kind,
};

/// Holds one conversation after another with Prism's client.
pub(crate) async fn prism<N: Network>(network: N, task: ClientTask) {
    let own = network.clone();
    let connect = move |url: String| {
        let client = Client::new_on(own.clone(), &url).expect("a good address");
        async { client.options(options()).connect().await.map_err(|error| error.to_string()) }
    };
    run_task(network, task, connect).await;
}

/// Holds one conversation after another with tungstenite's client. It needs tokio, whichever
/// runtime Prism uses.
pub(crate) async fn tungstenite(task: ClientTask) {
    let connect = |url: String| async {
        connect_async(url).await.map(|(socket, _)| socket).map_err(|error| error.to_string())
    };
    run_task(Tokio, task, connect).await;
}

async fn run_task<E: Endpoint, C: Future<Output = Result<E, String>>>(
    runtime: impl Runtime,
    mut task: ClientTask,
    connect: impl Fn(String) -> C,
) {
    runtime.sleep(task.starts_at.saturating_duration_since(Instant::now())).await;
    while !task.is_finished() {
        let url = format!("ws://{}/talk/{}", task.address, task.rng.usize(..ROOMS));
        let (leave, rng) = (task.next_end(), task.rng.fork());
        let outcome = match connect(url).await {
            Ok(end) => {
                let _connected = task.tally.connected(task.kind);
                Conversation::new(end, rng, &task.tally).run(&runtime, leave).await
            }
            Err(error) => Err(ConversationError::Broken(error)),
        };
        match outcome {
            Ok(()) => {}
            Err(ConversationError::Broken(_)) if task.kind == Kind::Faulty => {
                task.tally.broken.fetch_add(1, Relaxed);
            }
            Err(ConversationError::Broken(what) | ConversationError::Wrong(what)) => {
                task.tally.report(task.kind, &what);
            }
        }
        runtime.sleep(task.pause()).await;
    }
}

/// Generates the faults of the connections through the proxy.
pub(crate) struct Faults(Rng);

impl Faults {
    pub(crate) const fn new(rng: Rng) -> Self {
        Self(rng)
    }

    /// Returns a script with one fault, which may lie beyond the end of the connection.
    pub(crate) fn script(&mut self) -> Script {
        let rng = &mut self.0;
        let direction = if rng.bool() { Direction::Up } else { Direction::Down };
        let far = 1 << rng.u32(7..18);
        let place = rng.u64(..far);
        let fault = match rng.u8(..6) {
            0 => Fault::Cut,
            1 => Fault::Freeze(Duration::from_secs(rng.u64(1..30))),
            2 => Fault::HalfCut,
            3 => Fault::Reset,
            4 => Fault::Stall(Duration::from_millis(rng.u64(1..3000))),
            _ => Fault::Discard,
        };
        Script::new(rng.u64(..)).with_fault(direction, place, fault)
    }
}
