//! `chaos SCENARIO redis|valkey|nats`: lets something happen to a cluster of three nodes, each a process on another runtime
//! (see `prism_node`), and checks what their members notice of it. Without arguments, it prints all arguments that
//! there are, a line each. `.ci/cluster` runs them.
//!
//! In each scenario, each node sends 66 messages per second to twelve rooms, with members on each node. No message may
//! arrive twice or out of order, and each that does not arrive has to be reported. At its own node, each message has to
//! arrive within a second. Each node shows the people of all nodes that are there, and no others.

mod broker;
mod node_process;
mod scenarios;
mod traffic;
mod world;

use std::{env, time::Duration};

use tokio::time::timeout;

use crate::broker::Kind;

/// How long a scenario may take.
const LIMIT: Duration = Duration::from_secs(100);

macro_rules! scenarios {
    (any: $($any:ident)*; redis: $($redis:ident)*;) => {
        /// The scenarios that run with any server, and those that NATS has no commands for.
        const ANY: &[&str] = &[$(stringify!($any)),*];
        const REDIS: &[&str] = &[$(stringify!($redis)),*];

        async fn run(name: &str, kind: Kind) {
            let Some(program) = kind.find() else { return };
            let title = format!("{name} {kind:?}");
            match name {
                $(stringify!($any) => scenarios::$any(&title, program).await,)*
                $(stringify!($redis) => scenarios::$redis(&title, program).await,)*
                _ => panic!("there is no scenario {name:?}"),
            }
        }
    };
}

scenarios! {
    any: node_killed node_paused server_paused server_killed stalled_up stalled_down;
    redis: failover listeners_killed listener_too_slow;
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let usage = "chaos SCENARIO redis|valkey|nats";
    let [name, kind] = words[..] else {
        assert!(words.is_empty(), "{usage}");
        ANY.iter().chain(REDIS).for_each(|name| println!("{name} redis\n{name} valkey"));
        return ANY.iter().for_each(|name| println!("{name} nats"));
    };
    let kind = Kind::parse(kind).expect(usage);
    timeout(LIMIT, run(name, kind)).await.expect("the scenario finishes in time");
}
