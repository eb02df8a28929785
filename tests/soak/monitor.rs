//! Starts the server and the clients, and samples the metrics of the server every second.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use prism_driver::{Client, CloseCode, Network};

use crate::{
    Plan,
    clients::Clients,
    metrics::Metrics,
    server_process::ServerProcess,
    verdict::{Run, broken_rules},
};

const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// The number of samples per printed line.
const SAMPLES_PER_LINE: usize = 10;

/// How long clients may take to finish after the end: more than the deadlines of both sides
/// together.
const TIMEOUT: Duration = Duration::from_secs(90);

/// Runs the whole plan, and returns the rules that were broken.
pub(crate) async fn run<N: Network>(network: N, plan: Plan) -> Vec<String> {
    let mut server = ServerProcess::start(&plan.runtime);
    match observe(&network, &plan, &mut server).await {
        Ok(run) => broken_rules(&plan, &run, server.stop()),
        Err(what) => vec![what],
    }
}

async fn observe<N: Network>(
    network: &N,
    plan: &Plan,
    server: &mut ServerProcess,
) -> Result<Run, String> {
    warm_up(network, server).await?;
    let before = settle(network, server, |metrics| metrics.handled() == 0).await?;
    let began = Instant::now();
    let clients = Clients::start(network, server.address, plan);
    let mut samples = Vec::new();
    while began.elapsed() < plan.span {
        network.sleep(SAMPLE_INTERVAL).await;
        let metrics = server.metrics()?;
        samples.push((began.elapsed(), metrics));
        if samples.len().is_multiple_of(SAMPLES_PER_LINE) {
            println!("{:>5} s  {}\n         {}", began.elapsed().as_secs(), metrics, clients.tally);
        }
    }
    let ended = Instant::now();
    while clients.tally.unfinished.load(Relaxed) > 0 && ended.elapsed() < TIMEOUT {
        network.sleep(SAMPLE_INTERVAL).await;
    }
    let left_over = clients.tally.unfinished.load(Relaxed);
    let tally = clients.tally.clone();
    drop(clients); // also drops the proxy and its frozen connections
    let after = settle(network, server, |metrics| metrics.is_as_before(&before)).await?;
    println!("at the end  {after}\n         {tally}\nconnections: {}", tally.connection_counts());
    Ok(Run { before, samples, after, left_over, tally })
}

/// Connects once, so that one-time allocations happen before the first sample.
async fn warm_up<N: Network>(network: &N, server: &ServerProcess) -> Result<(), String> {
    let url = format!("ws://{}/talk/idle", server.address);
    let client = Client::new_on(network.clone(), &url).expect("a good address");
    let socket = client.connect().await.map_err(|error| error.to_string())?;
    socket.close(CloseCode::NORMAL, "").await;
    Ok(())
}

/// Samples the metrics until a condition holds or the timeout passes, and returns the last ones.
async fn settle<N: Network>(
    network: &N,
    server: &mut ServerProcess,
    holds: impl Fn(&Metrics) -> bool,
) -> Result<Metrics, String> {
    let began = Instant::now();
    loop {
        network.sleep(SAMPLE_INTERVAL).await;
        let metrics = server.metrics()?;
        if holds(&metrics) || began.elapsed() > TIMEOUT {
            return Ok(metrics);
        }
    }
}
