//! `soak [SECONDS] [CONNECTIONS] [SEED] [RUNTIME]`: runs a server in its own process against good
//! clients, slow readers, abusers, and clients behind a faulty network. Every message of the good
//! clients is checked. `tests/README.md` lists the rules that must hold; if one is broken, the exit
//! status is 1.
//!
//! ```text
//!   main ──► server ── counting_network       the server process
//!     └────► monitor ──► server_process       samples its metrics, and checks the rules (verdict)
//!              └───────► clients
//!                          ├── echo_clients ── conversation, endpoint    with two libraries,
//!                          │                                             also through the proxy
//!                          ├── slow_readers
//!                          └── abusers ── abuse
//! ```

mod abuse;
mod abusers;
mod clients;
mod conversation;
mod counting_network;
mod echo_clients;
mod endpoint;
mod metrics;
mod monitor;
#[path = "../runtimes/mod.rs"]
mod runtimes;
mod server;
mod server_process;
mod slow_readers;
mod tally;
mod verdict;

use std::{env, fmt::Debug, process::ExitCode, str::FromStr, time::Duration};

use peak_alloc::PeakAlloc;
use prism_tests::process::allow_descriptors;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Effectively no limit: the run has its own.
const FOR_EVER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

const USAGE: &str = "soak [SECONDS] [CONNECTIONS] [SEED] [RUNTIME]";

/// The parameters of a run.
#[derive(Clone, Debug)]
struct Plan {
    span: Duration,
    connections: usize,
    seed: u64,
    runtime: String,
}

/// Calls an async function with the network of a runtime, and runs it there.
macro_rules! on {
    ($runtime:expr, $make:expr) => {
        match $runtime.as_str() {
            "tokio" => on!(tokio $make),
            "smol" => on!(smol $make),
            "async-std" => on!(async_std $make),
            other => panic!("no such runtime: {other}; {USAGE}"),
        }
    };
    ($runtime:ident $make:expr) => {
        runtimes::$runtime::block_on(FOR_EVER, async {
            $make(runtimes::$runtime::Network::default()).await
        })
    };
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [first, runtime] = &words[..]
        && first == "server"
    {
        on!(runtime, server::serve);
        return ExitCode::SUCCESS;
    }
    let plan = Plan {
        span: Duration::from_secs(word(&words, 0, 600)),
        connections: word(&words, 1, 2000),
        seed: word(&words, 2, fastrand::u64(..1 << 32)),
        runtime: word(&words, 3, "tokio".to_owned()),
    };
    println!("{plan:?}");
    // The proxy needs two descriptors per connection. The server process inherits the limit.
    allow_descriptors(plan.connections * 2 + 500);
    let runtime = plan.runtime.clone();
    let broken = on!(runtime, |network| monitor::run(network, plan));
    for rule in &broken {
        println!("FAILED: {rule}");
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Parses the argument at a position, or returns the default.
fn word<T: FromStr<Err: Debug>>(words: &[String], at: usize, otherwise: T) -> T {
    let Some(word) = words.get(at) else { return otherwise };
    word.parse().unwrap_or_else(|error| panic!("{word}: {error:?}; {USAGE}"))
}
