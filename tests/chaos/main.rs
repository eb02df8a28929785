//! `chaos SCENARIO redis|valkey|nats [SECONDS]`: lets something happen to a cluster of three nodes, each a process on
//! another runtime (see `prism_node`), and checks what their members notice of it. SECONDS is how long an outage takes,
//! in the scenarios that have one. Without arguments, it prints all arguments that there are, a line each.
//! `.ci/cluster` runs them.
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

const USAGE: &str = "chaos SCENARIO redis|valkey|nats [SECONDS]";

/// How long a scenario may take, besides the outage that was asked for.
const LIMIT: Duration = Duration::from_secs(100);

macro_rules! scenarios {
    (outage: $($outage:ident)*; any: $($any:ident)*; redis: $($redis:ident)*;) => {
        /// The scenarios that run with any server, and those that NATS has no commands for.
        const ANY: &[&str] = &[$(stringify!($outage),)* $(stringify!($any)),*];
        const REDIS: &[&str] = &[$(stringify!($redis)),*];

        async fn run(name: &str, kind: Kind, outage: Option<Duration>) {
            let Some(program) = kind.find() else { return };
            let title = format!("{name} {kind:?}");
            match (name, outage) {
                $((stringify!($outage), _) => scenarios::$outage(&title, program, outage).await,)*
                $((stringify!($any), None) => scenarios::$any(&title, program).await,)*
                $((stringify!($redis), None) => scenarios::$redis(&title, program).await,)*
                (_, None) => panic!("there is no scenario {name:?}"),
                (_, Some(_)) => panic!("there is no scenario {name:?} with an outage"),
            }
        }
    };
}

scenarios! {
    outage: partitioned server_paused server_killed;
    any: node_killed node_paused stalled_up stalled_down;
    redis: failover listeners_killed listener_too_slow;
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (name, kind, outage) = match words[..] {
        [name, kind] => (name, kind, None),
        [name, kind, seconds] => (name, kind, Some(seconds.parse().expect(USAGE))),
        [] => {
            ANY.iter().chain(REDIS).for_each(|name| println!("{name} redis\n{name} valkey"));
            return ANY.iter().for_each(|name| println!("{name} nats"));
        }
        _ => panic!("{USAGE}"),
    };
    let (kind, outage) = (Kind::parse(kind).expect(USAGE), outage.map(Duration::from_secs));
    let limit = LIMIT + outage.unwrap_or_default();
    timeout(limit, run(name, kind, outage)).await.expect("the scenario finishes in time");
}
