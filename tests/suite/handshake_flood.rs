//! A measurement that does not run with the tests: the latency of a hundred clients while twenty
//! thousand others connect, two thousand per second, and never finish their handshakes.
//!
//! ```text
//! cargo test --release -p prism-tests --test tokio -- --ignored --nocapture handshake_flood
//! ```

use std::{
    env,
    net::SocketAddr,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use prism_tests::subprocess::Subprocess;

use super::support::{
    block_on,
    handlers::Echo,
    own_process::{allow_descriptors, rerun},
};
use crate::{
    prism::{Client, Network as _, Runtime as _, Server},
    runtime::{Network, spawn},
};

/// Set in a child process: `server`, or `flood ADDRESS`.
const ROLE: &str = "PRISM_TESTS_ROLE";

const GOOD: usize = 100;

/// The number of silent clients in each of two processes, which keeps both within their
/// descriptors.
const SILENT: usize = 10_000;

/// How long the good clients are measured, before the flood and during it.
const WATCH: Duration = Duration::from_secs(10);

/// The interval between two messages of a good client.
const PAUSE: Duration = Duration::from_millis(20);

#[test]
#[ignore = "a measurement"]
fn handshake_flood() {
    match env::var(ROLE) {
        Ok(role) if role == "server" => return serve(),
        Ok(role) => return flood(role.split_once(' ').expect("flood ADDRESS").1),
        Err(_) => {}
    }
    let server = start("server");
    let address = server.wait_for_line("listening on ");
    let (sender, round_trips) = channel();
    for _ in 0..GOOD {
        spawn(talk(format!("ws://{address}/"), sender.clone()));
    }
    report("before the flood", &round_trips);
    let floods = [(); 2].map(|()| start(&format!("flood {address}")));
    floods.iter().for_each(|flood| drop(flood.wait_for_line("flooding")));
    report("during the flood", &round_trips);
    for _ in 0..5 {
        let began = Instant::now();
        let new_client =
            block_on(Client::new(&format!("ws://{address}/")).expect("a URL").connect());
        println!("a new client connected after {:?}: {}", began.elapsed(), new_client.is_ok());
    }
    drop(floods);
    println!("{}", server.wait_for_line("counted "));
}

fn start(role: &str) -> Subprocess {
    Subprocess::start(rerun(&handshake_flood).arg("--ignored").env(ROLE, role))
}

/// Prints the round trip times of the next [`WATCH`].
fn report(when: &str, round_trips: &Receiver<Duration>) {
    round_trips.try_iter().for_each(drop);
    thread::sleep(WATCH);
    let mut trips: Vec<_> = round_trips.try_iter().collect();
    trips.sort_unstable();
    let at = |share: f64| trips[((trips.len() - 1) as f64 * share) as usize];
    println!(
        "{when}: {} round trips, p50 {:?}, p99 {:?}, p99.9 {:?}, maximum {:?}",
        trips.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

async fn talk(url: String, sender: Sender<Duration>) {
    let socket = Client::new(&url).expect("a URL").connect().await.expect("a server");
    loop {
        let began = Instant::now();
        let sent = socket.send("are you there?").await;
        // The server process ends with the measurement.
        if sent.is_err() || socket.recv().await.is_err() || sender.send(began.elapsed()).is_err() {
            return;
        }
        Network::default().sleep(PAUSE).await;
    }
}

fn serve() {
    allow_descriptors(SILENT);
    let server = block_on(Server::bind("127.0.0.1:0")).expect("a free port");
    println!("listening on {}", server.local_addr().expect("a bound listener"));
    let stats = server.stats();
    spawn(server.websocket("/", Echo).serve());
    let mut before = stats.counts();
    // Ends when no more clients connect.
    loop {
        thread::sleep(Duration::from_secs(1));
        let counts = stats.counts();
        let accepted = counts.accepted - before.accepted;
        if before.refused.evicted > 0 && accepted == 0 {
            break println!("counted {counts:?}");
        }
        before = counts;
    }
}

fn flood(address: &str) {
    allow_descriptors(SILENT + 100);
    let address: SocketAddr = address.parse().expect("an address");
    println!("flooding");
    for number in 0..SILENT {
        spawn(async move {
            Network::default().sleep(WATCH * number as u32 / SILENT as u32).await;
            let mut stream = Network::default().connect(address).await.expect("the server listens");
            // Waits until the server drops the connection, or the measurement is over.
            let _ = stream.write_all(b"GET / HTTP/1.1\r\n").await;
            let _ = stream.read(&mut [0; 64]).await;
        });
    }
    thread::park();
}
