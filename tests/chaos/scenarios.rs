//! What happens to a cluster. The times are those of the failures in `prism-rooms/docs/cluster.md`.

use std::time::Duration;

use prism_tests::{
    proxy::{Direction, Fault, Script},
    redis_server::RedisServer,
    sentinels::Sentinels,
};
use rustix::process::Signal;
use tokio::time::sleep;

use crate::{
    broker::{Broker, Program},
    node_process::{NodeProcess, now},
    traffic::ROOMS,
    world::{SPARE, World},
};

const SECOND: Duration = Duration::from_secs(1);

/// Until when the others know that a node has crashed.
const SILENCE: Duration = Duration::from_millis(9_300);

/// Until when a node knows that nothing comes back: the next heartbeat, and 5 s.
const NO_ECHO: Duration = Duration::from_millis(7_200);

/// Until when a node that is cut off has withdrawn the people of the others.
const WITHDRAWN: Duration = Duration::from_secs(16);

/// Until when all works again once the server answers.
const RECOVERY: Duration = Duration::from_secs(10);

/// The size of a message.
const SMALL: usize = 100;

pub(crate) async fn node_killed(name: &str, program: Program) {
    let mut world = World::start(program, SMALL).await;
    let (killed, left) = (now(), format!("left {}", world.nodes[2].id));
    world.kill(2);
    let took = world.all_report(&left, killed, SILENCE + SPARE);
    world.all_show_all(killed, SILENCE + SPARE);
    let started = now();
    let successor = NodeProcess::start("async-std", &world.broker.url());
    let joined = format!("joined {}", successor.id);
    let joined = world.all_report(&joined, started, SECOND + SPARE);
    world
        .finish(name, &format!("left after {took:.1?}, its successor joined after {joined:.1?}"))
        .await;
}

pub(crate) async fn node_paused(name: &str, program: Program) {
    let mut world = World::start(program, SMALL).await;
    let (paused, id) = (now(), world.nodes[2].id.clone());
    world.pause(2);
    for node in 0..2 {
        world.nodes[node].event(&format!("left {id}"), paused, SILENCE + SPARE);
        world.nodes[node].shows("0,1", paused, SILENCE + SPARE);
    }
    sleep((paused + 10 * SECOND).saturating_sub(now())).await;
    let woken = now();
    world.nodes[2].signal(Signal::CONT);
    for node in 0..2 {
        world.nodes[node].event(&format!("joined {id}"), woken, 2 * SECOND + SPARE);
    }
    let back = world.all_rooms_are_back(2 * SECOND).await;
    let people = world.all_show_all(woken, 2 * SECOND + SPARE);
    let measured =
        format!("rooms back {back:.1?} after it was woken, its people after {people:.1?}");
    world.finish(name, &measured).await;
}

pub(crate) async fn server_paused(name: &str, program: Program, outage: Option<Duration>) {
    let mut world = World::start(program, SMALL).await;
    let paused = now();
    world.broker.process().pause();
    let noticed = world.all_report("disconnected", paused, NO_ECHO + SPARE);
    let left = world.all_report("left", paused, WITHDRAWN + SPARE);
    for node in 0..3 {
        world.nodes[node].shows(&node.to_string(), paused, WITHDRAWN + SPARE);
    }
    sleep((paused + outage.unwrap_or(20 * SECOND)).saturating_sub(now())).await;
    let resumed = now();
    world.broker.process().resume();
    let connected = world.all_report("connected", resumed, RECOVERY);
    let back = world.all_rooms_are_back(RECOVERY - connected).await;
    let people = world.all_show_all(resumed, RECOVERY);
    let measured = format!(
        "noticed after {noticed:.1?}, others withdrawn after {left:.1?}; connected {connected:.1?} after it was \
         resumed, rooms back {back:.1?} later, people back after {people:.1?}"
    );
    world.finish(name, &measured).await;
}

pub(crate) async fn server_killed(name: &str, program: Program, outage: Option<Duration>) {
    let mut world = World::start(program, SMALL).await;
    let mut measured = Vec::new();
    for outage in [Duration::ZERO, outage.unwrap_or(6 * SECOND)] {
        let killed = now();
        world.broker.process_mut().kill();
        world.all_report("disconnected", killed, SECOND + SPARE);
        sleep(outage).await;
        world.broker.process_mut().start_again();
        let started = now();
        let connected = world.all_report("connected", started, RECOVERY);
        let back = world.all_rooms_are_back(RECOVERY - connected).await;
        measured.push(format!(
            "after {outage:?}: connected after {connected:.1?}, rooms back {back:.1?} later"
        ));
        sleep(SECOND).await;
    }
    world.finish(name, &measured.join("; ")).await;
}

/// The master is killed, and Sentinels promote its replica.
pub(crate) async fn failover(name: &str, program: Program) {
    let master = RedisServer::start(program.path.clone(), &[]);
    let sentinels = Sentinels::watch(&program.path, &master);
    let url = sentinels.url();
    let mut world = World::start_at(Broker::Redis(master), [&url, &url, &url], SMALL).await;
    let killed = now();
    world.broker.process_mut().kill();
    world.all_report("disconnected", killed, SECOND + SPARE);
    let mut promoted = killed; // it was not promoted before this
    loop {
        let asked = now();
        if sentinels.replica.is_master() {
            break;
        }
        promoted = asked;
        assert!(promoted - killed < 30 * SECOND, "the replica is not promoted");
        sleep(SECOND / 50).await;
    }
    let connected = world.all_report("connected", promoted, RECOVERY);
    let back = world.all_rooms_are_back(RECOVERY - connected).await;
    world.all_show_all(promoted, RECOVERY);
    let measured = format!(
        "promoted after {:.1?}; connected {connected:.1?} later, rooms back {back:.1?} after that",
        promoted - killed
    );
    world.finish(name, &measured).await;
}

pub(crate) async fn listeners_killed(name: &str, program: Program) {
    let mut world = World::start(program, SMALL).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..3 {
        let killed = now();
        world.broker.redis().command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        world.all_report("disconnected", killed, SPARE);
        let back = world.all_rooms_are_back(3 * SECOND).await;
        slowest = slowest.max(back);
        sleep(SECOND).await;
    }
    world.finish(name, &format!("rooms back after {slowest:.1?} at most")).await;
}

/// The server closes the connection of a node that does not read, as soon as TCP's buffers are full, too. Valkey counts
/// only messages of less than 16 KiB for its limit: connections share the longer ones.
pub(crate) async fn listener_too_slow(name: &str, program: Program) {
    let limit = ["--client-output-buffer-limit", "pubsub 1mb 0 0"];
    let server = Broker::Redis(RedisServer::start(program.path, &limit));
    let mut world = World::start_with(server, None, 12 << 10).await;
    let paused = now();
    world.pause(2);
    while world.broker.redis().listeners() == world.nodes.len() {
        assert!(now() - paused < 20 * SECOND, "the server does not close the connection");
        sleep(SECOND / 20).await;
    }
    let cut = now() - paused;
    world.nodes[2].signal(Signal::CONT);
    world.nodes[2].event("disconnected", paused, cut + SPARE);
    let back = world.all_rooms_are_back(3 * SECOND).await;
    world.nodes[2].event("gap", paused, cut + 5 * SECOND + SPARE);
    let measured = format!("closed after {cut:.1?}, rooms back {back:.1?} after it was woken");
    world.finish(name, &measured).await;
}

/// Nothing passes between the last node and the server, on the connections that are open, and on new ones.
pub(crate) async fn partitioned(name: &str, program: Program, outage: Option<Duration>) {
    let script = Box::new(|| Script::new(0));
    let mut world = World::start_with(Broker::start(program), Some(script), SMALL).await;
    let ids: Vec<_> = world.nodes.iter().map(|node| node.id.clone()).collect();
    let (cut, partition) = (now(), world.cut_off_last());
    let mut left = Duration::ZERO;
    for node in 0..2 {
        let took = world.nodes[node].event(&format!("left {}", ids[2]), cut, SILENCE + SPARE);
        left = left.max(took);
        world.nodes[node].shows("0,1", cut, SILENCE + SPARE);
    }
    let noticed = world.nodes[2].event("disconnected", cut, NO_ECHO + SPARE);
    let withdrawn = world.nodes[2].shows("2", cut, WITHDRAWN + SPARE);
    for other in &ids[..2] {
        world.nodes[2].event(&format!("left {other}"), cut, WITHDRAWN + SPARE);
    }
    sleep((cut + outage.unwrap_or(20 * SECOND)).saturating_sub(now())).await;
    let healed = now();
    drop(partition);
    let connected = world.nodes[2].event("connected", healed, RECOVERY);
    let back = world.all_rooms_are_back(RECOVERY - connected).await;
    let people = world.all_show_all(healed, RECOVERY);
    for (node, other) in [(0, 2), (1, 2), (2, 0), (2, 1)] {
        world.nodes[node].event(&format!("joined {}", ids[other]), healed, RECOVERY);
        world.nodes[node].event(&format!("gap {}", ids[other]), healed, RECOVERY);
    }
    for node in 0..2 {
        let events = world.nodes[node].since(cut);
        assert!(!events.iter().any(|event| event.starts_with("disconnected")), "{events:?}");
    }
    let measured = format!(
        "left after {left:.1?}; it noticed after {noticed:.1?}, others withdrawn after {withdrawn:.1?}; connected \
         {connected:.1?} after it was healed, rooms back {back:.1?} later, people back after {people:.1?}"
    );
    world.finish(name, &measured).await;
}

pub(crate) async fn stalled_up(name: &str, program: Program) {
    stalled(name, program, Direction::Up).await;
}

pub(crate) async fn stalled_down(name: &str, program: Program) {
    stalled(name, program, Direction::Down).await;
}

/// The first connections of the last node stall in a direction, after a few seconds. Those that follow do not.
async fn stalled(name: &str, program: Program, direction: Direction) {
    let broker = Broker::start(program);
    let first = broker.connections();
    let mut connections = 0;
    let script = move || {
        connections += 1;
        let script = Script::new(connections);
        let stall = Fault::Stall(120 * SECOND);
        if connections > first { script } else { script.with_fault(direction, 100_000, stall) }
    };
    let mut world = World::start_with(broker, Some(Box::new(script)), SMALL).await;
    let (receiver, sender) = if direction == Direction::Up { (0, 2) } else { (2, 0) };
    let last_arrived = |world: &World| {
        let rooms = (0..ROOMS).map(|room| world.received((receiver, sender, room)).last_sent);
        rooms.max().expect("a room")
    };
    let deadline = now() + 30 * SECOND;
    let stalled = loop {
        let last = last_arrived(&world);
        if last + SECOND < world.traffic.now() {
            break now() - (world.traffic.now() - last);
        }
        assert!(now() < deadline, "nothing has stalled");
        sleep(Duration::from_millis(50)).await;
    };
    let lost = "disconnected what was published did not come back in time";
    let noticed = world.nodes[2].event(lost, stalled, NO_ECHO + SPARE);
    let back = world.all_rooms_are_back(3 * SECOND).await;
    world.finish(name, &format!("noticed after {noticed:.1?}, rooms back {back:.1?} later")).await;
}
