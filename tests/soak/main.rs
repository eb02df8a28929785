//! `soak [SECONDS] [CONNECTIONS] [SEED] [RUNTIME]`: a server in a process of its own, to which come
//! good clients, slow readers, abusers, and clients behind a network that fails. Each message of the
//! good ones is checked. `tests/README.md` says what holds at the end; if it does not, the exit
//! status is 1.
//!
//! ```text
//!   main ──► server ── counted      the process that serves
//!     └────► watch ──► served       the other: asks it for its figures, and judges them (verdict)
//!              └─────► crowd        who comes:
//!                        ├── talkers ── talk, ends      echoes and news, by two libraries,
//!                        │                              also through the proxy
//!                        ├── slow                       readers
//!                        └── abusers ── abuse
//! ```

mod abuse;
mod abusers;
mod counted;
mod crowd;
mod ends;
mod figures;
#[path = "../runtimes/mod.rs"]
mod runtimes;
mod served;
mod server;
mod slow;
mod talk;
mod talkers;
mod tally;
mod verdict;
mod watch;

use std::{env, fmt::Debug, process::ExitCode, str::FromStr, time::Duration};

use peak_alloc::PeakAlloc;
use prism_tests::process::allow_descriptors;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// No limit: the run has its own.
const FOR_EVER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

const USAGE: &str = "soak [SECONDS] [CONNECTIONS] [SEED] [RUNTIME]";

/// What to do.
#[derive(Clone, Debug)]
struct Plan {
    span: Duration,
    connections: usize,
    seed: u64,
    runtime: String,
}

/// Runs what a function makes of a runtime's network, on that runtime.
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
    // The proxy has two for each connection; and the server's process inherits this.
    allow_descriptors(plan.connections * 2 + 500);
    let runtime = plan.runtime.clone();
    let broken = on!(runtime, |network| watch::watch(network, plan));
    for rule in &broken {
        println!("FAILED: {rule}");
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The argument at a place, or what it is without one.
fn word<T: FromStr<Err: Debug>>(words: &[String], at: usize, otherwise: T) -> T {
    let Some(word) = words.get(at) else { return otherwise };
    word.parse().unwrap_or_else(|error| panic!("{word}: {error:?}; {USAGE}"))
}
