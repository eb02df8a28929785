//! Runs a scenario with many seeds: ten messages and one fault each, over a server and a client in memory.
//!
//! `cargo run --release -p prism-test --example seeds -- [COUNT] [FIRST]` runs `COUNT` seeds from `FIRST` on, and
//! prints how many it ran in a second. If a scenario fails, it prints the seed, which repeats the scenario.

use std::{
    env,
    io::ErrorKind,
    panic,
    time::{Duration, Instant},
};

use fastrand::Rng;
use prism_driver::{Connection, Handler, Message, Runtime};
use prism_test::{Faults, Sim};

const MESSAGES: usize = 10;

struct Echo;

impl Handler for Echo {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails only if the connection is closing
    }
}

/// What goes wrong, before one of the messages.
fn strike(random: &mut Rng, faults: &Faults) {
    match random.usize(..5) {
        0 => faults.set_piece(random.usize(1..4)),
        1 => faults.reset(),
        2 => faults.stall(),
        3 => faults.to_client().fail_after(random.usize(..200), ErrorKind::TimedOut),
        _ => faults.to_client().set_capacity(random.usize(1..20)),
    }
}

/// Sends messages and receives the answers until something fails. The answers have to be the first messages, in order.
fn scenario(seed: u64) {
    let mut random = Rng::with_seed(seed);
    let sim = Sim::new();
    let stats = sim.start_server("echo.example", |server| server.websocket("/", Echo));
    let fault_at = random.usize(..MESSAGES);
    sim.run(async {
        let socket = sim.client("ws://echo.example/").connect().await.expect("nothing fails yet");
        for n in 0..MESSAGES {
            if n == fault_at {
                strike(&mut random, &sim.last_connection().expect("there is one"));
            }
            let text = format!("message {n} of seed {seed}");
            if socket.send(&text).await.is_err() {
                break;
            }
            match socket.recv().await {
                Ok(answer) => assert_eq!(answer.as_text(), Some(&*text)),
                Err(_) => break,
            }
        }
        drop(socket);
        while stats.counts().open > 0 {
            sim.sleep(Duration::from_secs(1)).await;
        }
    });
    sim.drop_tasks();
}

fn main() {
    let mut args = env::args().skip(1).map(|arg| arg.parse::<u64>().expect("a number"));
    let (count, first) = (args.next().unwrap_or(10_000), args.next().unwrap_or(0));
    let began = Instant::now();
    for seed in first..first + count {
        let outcome = panic::catch_unwind(|| scenario(seed));
        assert!(outcome.is_ok(), "seed {seed} failed");
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    println!("{count} seeds of {MESSAGES} messages and one fault: {rate:.0} a second");
}
