//! Prism servers whose authorization takes a while, as a look-up in a database does.

use std::{io, sync::Arc, time::Duration};

use prism_driver::{Counts, Network, Reply, Server, ServerStats, shared};

use super::{announce, on_tokio, prism::Echo};

/// How long an authorization takes.
const TAKES: Duration = Duration::from_millis(100);

pub(super) fn on_tokio(address: &str, threads: usize) -> io::Result<()> {
    on_tokio::block_on(threads, async {
        let network = prism_tokio::Tokio;
        serve(prism_tokio::Server::bind_on(network, address).await?, network).await
    })?
}

pub(super) fn on_smol(address: &str, _: usize) -> io::Result<()> {
    let executor = Arc::new(smol::Executor::new());
    smol::block_on(executor.run(async {
        let network = prism_smol::Smol::on(executor.clone());
        serve(prism_smol::Server::bind_on(network.clone(), address).await?, network).await
    }))
}

/// Serves echoes on `/` and, after an authorization, on `/authorized`; and the counters on `/counts`.
async fn serve<N: Network>(server: Server<N>, network: N) -> io::Result<()> {
    announce(server.local_addr()?);
    let stats = server.stats();
    let authorized = shared(Echo).authorize(move |_| {
        let wait = network.sleep(TAKES);
        async {
            wait.await;
            Ok::<_, Reply>(())
        }
    });
    server
        .websocket("/", Echo)
        .websocket("/authorized", authorized)
        .get("/counts", move |_| counts(&stats))
        .serve()
        .await;
    Ok(())
}

/// Returns how many handshakes are in progress, how many connections are open, and how many peers have left or
/// were refused.
fn counts(stats: &ServerStats) -> Reply {
    let Counts { in_handshake, open, refused, .. } = stats.counts();
    Reply::text(200, format!("{in_handshake} {open} {} {}", refused.left, refused.total()))
}
