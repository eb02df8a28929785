//! `churn [SECONDS] [ROOMS] [PER_MINUTE] [presence]`: rooms that come and go on two nodes over a Redis server, and
//! whether the memory of all three stays the same. `tests/README.md` lists the rules that must hold; if one is broken,
//! the exit status is 1.
//!
//! ```text
//!   main ──► world ──► node, node      processes of their own: `churn node REDIS_URL [presence]`
//!              └─────► redis-server
//!            memory                    the samples, and the rules
//! ```

mod memory;
mod node;
mod node_process;
mod world;

use std::{
    env,
    process::ExitCode,
    time::{Duration, Instant},
};

use peak_alloc::PeakAlloc;
use prism_tests::{process::allow_descriptors, redis_server::Kind};
use tokio::time::interval;

use self::{memory::Samples, world::World};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const USAGE: &str = "churn [SECONDS] [ROOMS] [PER_MINUTE] [presence]";

const TICK: Duration = Duration::from_millis(100);

/// How many messages are sent in each tick, besides the first one to each room.
const MESSAGES: usize = 20;

/// How many ticks there are between two samples.
const SAMPLING: usize = 10;

/// How many samples there are between two that are printed.
const PRINTING: usize = 10;

/// The parameters of a run.
#[derive(Clone, Copy, Debug)]
struct Plan {
    span: Duration,
    /// How many rooms there are at any time.
    rooms: usize,
    /// How many of them appear, and as many vanish, in a minute.
    per_minute: usize,
    /// Whether the members are present, too.
    presence: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let ["node", url, ref rest @ ..] = words[..] {
        node::run(url, rest.contains(&"presence")).await;
        return ExitCode::SUCCESS;
    }
    let Some(program) = Kind::Redis.find() else { return ExitCode::SUCCESS };
    allow_descriptors(1024);
    let plan = Plan::parse(&words);
    println!("{plan:?}");
    let broken = run(plan, World::start(program, plan).await).await;
    broken.iter().for_each(|rule| println!("BROKEN: {rule}"));
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns the rules that were broken.
async fn run(plan: Plan, mut world: World) -> Vec<String> {
    let mut samples = Samples::default();
    let (began, mut ticks, mut changed) = (Instant::now(), interval(TICK), 0);
    for tick in 0.. {
        ticks.tick().await;
        let elapsed = began.elapsed();
        if elapsed >= plan.span {
            break;
        }
        let due = (elapsed.as_secs_f64() * plan.per_minute as f64 / 60.0) as usize;
        for _ in changed..due {
            world.replace_oldest().await;
        }
        changed = due;
        for _ in 0..MESSAGES {
            world.send_somewhere().await;
        }
        world.take_received().await;
        if tick % SAMPLING == 0 {
            samples.take(&mut world);
        }
        if tick % (SAMPLING * PRINTING) == 0 {
            println!("{:4} s: {}; {world}", elapsed.as_secs(), samples.last());
        }
    }
    world.wait_for_messages(0).await;
    let mut broken = samples.broken_rules();
    println!("{changed} rooms have come, and as many have gone: {world}");
    broken.extend(world.vacate().await);
    samples.take(&mut world);
    println!("without rooms: {}", samples.last());
    broken
}

impl Plan {
    fn parse(words: &[&str]) -> Self {
        let (words, presence) = match words {
            [words @ .., "presence"] => (words, true),
            words => (words, false),
        };
        let number = |place: usize, default: usize| {
            words
                .get(place)
                .map_or(default, |word| word.parse().unwrap_or_else(|_| panic!("{USAGE}")))
        };
        assert!(words.len() <= 3, "{USAGE}");
        Self {
            span: Duration::from_secs(number(0, 300) as u64),
            rooms: number(1, 50_000),
            per_minute: number(2, 10_000),
            presence,
        }
    }
}
