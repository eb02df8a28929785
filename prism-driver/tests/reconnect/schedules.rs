//! Thousands of random schedules: outages, refusals, short lives, long lives. A model says what may be seen.

use std::{
    collections::VecDeque,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    thread::spawn,
    time::Duration,
};

use allocation_counter::measure;
use futures_lite::future::yield_now;
use prism_driver::{
    Backoff, CloseCode, Connection, ConnectionHandler, ConnectionId, Disconnect, Message, Runtime,
    serve_stream,
};
use prism_test::Sim;

use super::{SERVER, accept_and_drop, network, quiet, refuse, run};
use crate::common::{
    handlers::MessageLog,
    http::read_head,
    ms,
    net::{
        Net,
        Reach::{After, Never, RefusedAfter},
    },
    s,
};

const SCHEDULES: u64 = 10_000;
const THREADS: u64 = 4;

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The connection is refused after this time.
    Unreachable(Duration),
    /// The connection is not established within the connect timeout.
    Silent,
    /// The server drops the handshake.
    Dropped,
    /// The server refuses with this status, and may ask to wait for so many seconds.
    Refused(u16, Option<u64>),
    /// The connection lives for this long. Then the server closes it with this code, or drops it.
    Lives(Duration, Option<u16>),
}

/// What has happened, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Attempt(Duration),
    Connect(ConnectionId),
    Message(ConnectionId),
    Disconnect(ConnectionId, Duration),
    Retry(u32, Duration, Duration),
    Over,
}

type Record = Arc<Mutex<Vec<Seen>>>;

fn transient(random: &mut fastrand::Rng) -> Event {
    match random.u8(..9) {
        0 => Event::Unreachable(ms(random.u64(..3_000))),
        1 => Event::Silent,
        2 => Event::Dropped,
        3 => Event::Refused(random.choice([408, 425, 429, 500, 502, 504]).unwrap(), None),
        4 => Event::Refused(503, Some(random.choice([0, 1, 7, 30, 60, 61, 100_000]).unwrap())),
        5 | 6 => Event::Lives(Duration::ZERO, None),
        _ => {
            let span =
                ms(random.choice([1, 9_999, 10_000, 19_999, 20_000, 40_000, 60_000]).unwrap());
            let code = random.choice([None, Some(1001), Some(1011), Some(1012), Some(1013)]);
            Event::Lives(span, code.unwrap())
        }
    }
}

fn last(random: &mut fastrand::Rng) -> Event {
    match random.bool() {
        true => Event::Refused(random.choice([401, 403, 404, 302]).unwrap(), Some(5)),
        false => Event::Lives(s(1), random.choice([1000, 1008, 4000]).map(Some).unwrap()),
    }
}

fn schedule(seed: u64) -> Vec<Event> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut events: Vec<_> = (0..random.u8(..10)).map(|_| transient(&mut random)).collect();
    events.push(last(&mut random));
    events
}

/// Records what it sees.
struct Recorder(Record, Sim);

impl Recorder {
    fn add(&self, seen: Seen) {
        self.0.lock().unwrap().push(seen);
    }
}

impl ConnectionHandler for Recorder {
    async fn on_connect(&mut self, connection: &Connection) {
        yield_now().await;
        self.add(Seen::Connect(connection.id()));
    }

    async fn on_message(&mut self, connection: &Connection, _: Message<'_>) {
        self.add(Seen::Message(connection.id()));
    }

    async fn on_disconnect(&mut self, connection: &Connection, _: Disconnect) {
        let now = self.1.now();
        yield_now().await;
        self.add(Seen::Disconnect(connection.id(), now));
    }
}

/// Plays a schedule. Returns what has been seen.
fn play(events: &[Event]) -> Vec<Seen> {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let record = Record::default();
    let recorder = || Recorder(record.clone(), sim.clone());
    let (attempts, retries, over) = (recorder(), recorder(), recorder());
    let (outside, mut plan) = (net.clone(), VecDeque::from(events.to_vec()));
    let reconnect = reconnect
        .before_each(move |client| {
            attempts.add(Seen::Attempt(attempts.1.now()));
            let reach = match plan.pop_front().expect("no attempt after the last event") {
                Event::Unreachable(after) => RefusedAfter(after),
                Event::Silent => Never,
                _ => After(Duration::ZERO),
            };
            outside.address(SERVER, reach);
            async { Ok::<_, String>(client) }
        })
        .on_retry(move |retry| {
            retries.add(Seen::Retry(retry.attempt, retry.delay, retries.1.now()));
        })
        .on_giving_up(move |_| over.add(Seen::Over));
    let ended = run(&sim, reconnect, recorder());
    sim.run(async {
        for event in events {
            serve(&sim, &net, *event).await;
        }
        ended.recv().await.unwrap();
        // The ends of the transports, too.
        sim.pass(s(100)).await;
    });
    assert_eq!(net.tasks(), 0);
    record.lock().unwrap().clone()
}

/// Plays the server's part of an event.
async fn serve(sim: &Sim, net: &Net, event: Event) {
    match event {
        Event::Unreachable(_) | Event::Silent => {}
        Event::Dropped => {
            let (_, mut io, _) = net.arrival().await;
            read_head(&mut io).await;
        }
        Event::Refused(status, None) => drop(refuse(net, status, "").await),
        Event::Refused(status, Some(seconds)) => {
            refuse(net, status, &format!("Retry-After: {seconds}\r\n")).await;
        }
        Event::Lives(span, code) => {
            let (_, io, _) = net.arrival().await;
            let (handler, _, out) = MessageLog::new();
            let runtime = sim.clone();
            sim.spawn(async move {
                // It may be aborted.
                let _ = serve_stream(runtime, io, &quiet(), handler).await;
            });
            let connection = out.recv().await.unwrap();
            sim.settle().await;
            if !span.is_zero() {
                connection.send("update").await.unwrap();
                sim.sleep(span).await;
            }
            match code {
                Some(code) => assert!(connection.close(CloseCode::new(code).unwrap(), "")),
                None => connection.abort(),
            }
        }
    }
}

/// The sum of the random parts of all delays, and of their limits.
#[derive(Default)]
struct Sums {
    random: Duration,
    limits: Duration,
}

/// Checks what has been seen against a model of what may be seen.
fn check(events: &[Event], seen: Vec<Seen>, sums: &mut Sums) {
    let mut seen = seen.into_iter();
    let mut next = || seen.next().expect("something more happens");
    let (mut failed, mut due) = (0, Duration::ZERO);
    let mut connections = Vec::new();
    for (n, event) in events.iter().enumerate() {
        assert_eq!(next(), Seen::Attempt(due));
        if let Event::Lives(span, _) = event {
            let Seen::Connect(id) = next() else { panic!("no on_connect") };
            assert!(!connections.contains(&id), "each connection once");
            connections.push(id);
            if !span.is_zero() {
                assert_eq!(next(), Seen::Message(id));
            }
            assert_eq!(next(), Seen::Disconnect(id, due + *span));
            if *span >= s(10).max(limit(failed - 1)) {
                failed = 0;
            }
        }
        if n + 1 == events.len() {
            assert_eq!(next(), Seen::Over);
            break;
        }
        let Seen::Retry(attempt, delay, at) = next() else { panic!("no on_retry") };
        let asked = match event {
            Event::Refused(_, asked) => s(asked.unwrap_or(0)).min(s(60)),
            _ => Duration::ZERO,
        };
        let limit = limit(failed);
        failed += 1;
        assert_eq!(attempt, failed as u32);
        assert!(asked <= delay && delay <= asked + limit, "{delay:?}");
        sums.random += delay - asked;
        sums.limits += limit;
        due = at + delay;
    }
    assert_eq!(seen.next(), None);
}

/// Returns the limit of the delay after this many failures.
fn limit(failed: i32) -> Duration {
    s(5 << failed.clamp(0, 4)).min(s(60))
}

/// Plays and checks the schedules of these seeds.
fn run_all(seeds: Range<u64>, sums: &mut Sums) {
    for seed in seeds {
        let events = schedule(seed);
        let seen = play(&events);
        let checked = catch_unwind(AssertUnwindSafe(|| check(&events, seen.clone(), sums)));
        assert!(checked.is_ok(), "seed {seed}: {events:?}\n{seen:?}");
    }
}

/// Does the same in one of several threads. Returns the sums.
fn run_without_a_leak(seeds: Range<u64>) -> Sums {
    let mut sums = Sums::default();
    let (first, others) = (seeds.start..seeds.start + 100, seeds.start + 100..seeds.end);
    run_all(first, &mut sums); // fills the pools of this thread
    let held = measure(|| run_all(others, &mut sums)).bytes_current;
    assert!(held <= 0, "{held} bytes left behind");
    sums
}

#[test]
fn ten_thousand_schedules_end_as_the_model_says_and_leave_no_memory_behind() {
    let each = SCHEDULES / THREADS;
    let seeds = (0..THREADS).map(|n| n * each..(n + 1) * each);
    let threads: Vec<_> = seeds.map(|seeds| spawn(|| run_without_a_leak(seeds))).collect();
    let sums =
        threads.into_iter().map(|thread| thread.join().unwrap()).fold(Sums::default(), |a, b| {
            Sums { random: a.random + b.random, limits: a.limits + b.limits }
        });
    let mean = sums.random.as_secs_f64() / sums.limits.as_secs_f64();
    assert!((0.48..0.52).contains(&mean), "{mean} of the limit instead of one half");
}

struct Quiet;

impl ConnectionHandler for Quiet {
    async fn on_message(&mut self, _: &Connection, _: Message<'_>) {}
}

#[test]
fn a_client_does_not_grow_with_the_number_of_its_connections() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let reconnect = reconnect.backoff(Backoff::default().most(s(1)));
    run(&sim, reconnect, Quiet);
    let rounds = |count| {
        for _ in 0..count {
            sim.run(async {
                accept_and_drop(&sim, &net).await;
                refuse(&net, 503, "Retry-After: 1\r\n").await;
                sim.settle().await;
            });
        }
        net.forget_attempts();
    };
    rounds(100);
    let grown = measure(|| rounds(1_000)).bytes_current;
    assert!(grown < 1_000, "{grown} bytes more after 1,000 connections");
}
