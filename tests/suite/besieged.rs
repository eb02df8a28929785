//! A measurement, not one of the tests that always run: how a hundred good clients fare while twenty
//! thousand others come, two thousand a second, each to begin a handshake that it never finishes.
//!
//! ```text
//! cargo test --release -p prism-tests --test tokio -- --ignored --nocapture besieged
//! ```

use std::{
    env,
    net::SocketAddr,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use prism_tests::part::Part;

use super::support::{
    alone::{again, allow_descriptors},
    block_on,
    handlers::Echo,
};
use crate::{
    prism::{Client, Network as _, Runtime as _, Server},
    runtime::{Network, spawn},
};

/// What a process is to be: `server`, or `flood ADDRESS`.
const ROLE: &str = "PRISM_TESTS_ROLE";

const GOOD: usize = 100;

/// In each of two processes, because of their descriptors.
const SILENT: usize = 10_000;

/// How long the good clients are watched, before the flood and during it.
const WATCH: Duration = Duration::from_secs(10);

/// How long a good client waits before its next message.
const PAUSE: Duration = Duration::from_millis(20);

#[test]
#[ignore = "a measurement"]
fn besieged() {
    match env::var(ROLE) {
        Ok(role) if role == "server" => return serve(),
        Ok(role) => return flood(role.split_once(' ').expect("flood ADDRESS").1),
        Err(_) => {}
    }
    let server = part("server");
    let address = server.hear("listening on ");
    let (tell, told) = channel();
    for _ in 0..GOOD {
        spawn(talk(format!("ws://{address}/"), tell.clone()));
    }
    report("before the flood", &told);
    let floods = [(); 2].map(|()| part(&format!("flood {address}")));
    floods.iter().for_each(|flood| drop(flood.hear("we come")));
    report("during the flood", &told);
    for _ in 0..5 {
        let began = Instant::now();
        let newcomer = block_on(Client::new(&format!("ws://{address}/")).expect("a URL").connect());
        println!("a newcomer got in after {:?}: {}", began.elapsed(), newcomer.is_ok());
    }
    drop(floods);
    println!("{}", server.hear("counted "));
}

fn part(role: &str) -> Part {
    Part::start(again(&besieged).arg("--ignored").env(ROLE, role))
}

/// The round trips of the next while.
fn report(when: &str, told: &Receiver<Duration>) {
    told.try_iter().for_each(drop);
    thread::sleep(WATCH);
    let mut trips: Vec<_> = told.try_iter().collect();
    trips.sort_unstable();
    let at = |share: f64| trips[((trips.len() - 1) as f64 * share) as usize];
    println!(
        "{when}: {} round trips, p50 {:?}, p99 {:?}, p99.9 {:?}, the longest {:?}",
        trips.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

async fn talk(url: String, tell: Sender<Duration>) {
    let socket = Client::new(&url).expect("a URL").connect().await.expect("a server");
    loop {
        let began = Instant::now();
        let sent = socket.send("are you there?").await;
        // When all is over, the server's process is ended.
        if sent.is_err() || socket.recv().await.is_err() || tell.send(began.elapsed()).is_err() {
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
    // When nobody comes any more, it is over.
    loop {
        thread::sleep(Duration::from_secs(1));
        let counts = stats.counts();
        let came = counts.accepted - before.accepted;
        if before.refused.evicted > 0 && came == 0 {
            break println!("counted {counts:?}");
        }
        before = counts;
    }
}

fn flood(address: &str) {
    allow_descriptors(SILENT + 100);
    let address: SocketAddr = address.parse().expect("an address");
    println!("we come");
    for number in 0..SILENT {
        spawn(async move {
            Network::default().sleep(WATCH * number as u32 / SILENT as u32).await;
            let mut stream = Network::default().connect(address).await.expect("it listens");
            // Until we are dropped, or it is all over.
            let _ = stream.write_all(b"GET / HTTP/1.1\r\n").await;
            let _ = stream.read(&mut [0; 64]).await;
        });
    }
    thread::park();
}
