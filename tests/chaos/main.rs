//! `chaos SCENARIO redis|valkey`: lets something happen to a cluster of three nodes, each a process on another runtime
//! (see `prism_node`), and checks what their members notice of it. Without arguments, it prints all arguments that
//! there are, a line each. `.ci/cluster` runs them.
//!
//! In each scenario, each node sends 66 messages per second to twelve rooms, with members at each node. No message may
//! arrive twice or out of order, and each that does not arrive has to be reported. At its own node, each message has to
//! arrive within a second. Each node shows the people of all nodes that are there, and no others.

mod node_process;
mod scenarios;
mod traffic;
mod world;

use std::{env, time::Duration};

use prism_tests::redis_server::Kind;
use tokio::time::timeout;

/// How long a scenario may take.
const LIMIT: Duration = Duration::from_secs(100);

macro_rules! scenarios {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        async fn run(name: &str, kind: Kind) {
            let Some(program) = kind.find() else { return };
            let title = format!("{name} {kind:?}");
            match name {
                $(stringify!($name) => scenarios::$name(&title, program).await,)*
                _ => panic!("there is no scenario {name:?}"),
            }
        }
    };
}

scenarios! {
    node_killed node_paused redis_paused redis_killed failover listeners_killed listener_too_slow stalled_up stalled_down
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (name, kind) = match words[..] {
        [] => return NAMES.iter().for_each(|name| println!("{name} redis\n{name} valkey")),
        [name, "redis"] => (name, Kind::Redis),
        [name, "valkey"] => (name, Kind::Valkey),
        _ => panic!("chaos SCENARIO redis|valkey"),
    };
    timeout(LIMIT, run(name, kind)).await.expect("the scenario finishes in time");
}
