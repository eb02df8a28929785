//! [`Load`]: messages at a fixed rate to rooms of one node, and how long they take to the members on the other node.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::Events;

use super::{Measurement, RECEIVERS, clients::Clients, protocol::Protocol};
use crate::load::{CpuTime, Latency, Process, Sample};

/// How many messages that are due are sent before deliveries are read again.
const BURST: usize = 16;

/// How many connections are read before the next look for more of them.
const EVENTS: usize = 64;

/// How long to wait for the last deliveries.
const GRACE: Duration = Duration::from_secs(2);

/// By how much the load generator may exceed its time, as a factor, before it gives up.
const MAX_STRETCH: u32 = 2;

/// Messages that are published at fixed times, in one room after the other, whether or not earlier ones have been
/// delivered.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    nodes: [SocketAddr; 2],
    protocol: Protocol,
    /// The nodes and Redis.
    processes: [Process; 3],
    rate: f64,
    warm_up: Duration,
    duration: Duration,
}

impl Load {
    /// Parses `ADDR_A ADDR_B PROTOCOL PID_A PID_B PID_REDIS RATE WARM_UP SECONDS`.
    ///
    /// # Errors
    /// If a word is missing, or is not of its kind.
    pub fn parse(words: &[String]) -> Result<Self, Box<dyn std::error::Error>> {
        let [a, b, protocol, pid_a, pid_b, pid_redis, rate, warm_up, seconds] = words else {
            return Err(
                "load ADDR_A ADDR_B PROTOCOL PID_A PID_B PID_REDIS RATE WARM_UP SECONDS".into()
            );
        };
        let process = |word: &String| word.parse().map(Process);
        Ok(Self {
            nodes: [a.parse()?, b.parse()?],
            protocol: protocol.parse()?,
            processes: [process(pid_a)?, process(pid_b)?, process(pid_redis)?],
            rate: rate.parse()?,
            warm_up: Duration::try_from_secs_f64(warm_up.parse()?)?,
            duration: Duration::try_from_secs_f64(seconds.parse()?)?,
        })
    }

    /// Measures. It never sleeps, so that the time for waking it is not part of the result.
    ///
    /// # Errors
    /// If a node fails, or the load generator cannot keep up.
    pub fn run(&self) -> io::Result<Measurement> {
        let mut run = Run::new(self, Clients::open(self.nodes, self.protocol)?);
        let mut events = Events::with_capacity(EVENTS);
        while run.began.elapsed() < self.warm_up {
            run.turn(&mut events)?;
        }
        let (began, count, before) = (Instant::now(), run.delivered, self.cpu_times()?);
        while run.next < run.end {
            run.turn(&mut events)?;
            if began.elapsed() > self.duration * MAX_STRETCH {
                return Err(io::Error::other("the load generator cannot keep up with its rate"));
            }
        }
        let (seconds, count) = (began.elapsed().as_secs_f64(), run.delivered - count);
        let after = self.cpu_times()?;
        let cpu = [0, 1, 2].map(|process| Sample {
            count,
            seconds,
            cpu: after[process].since(before[process]),
        });
        let deadline = Instant::now() + GRACE;
        while run.trips.len() < run.expected() && Instant::now() < deadline {
            run.turn(&mut events)?;
        }
        run.measurement(cpu)
    }

    fn cpu_times(&self) -> io::Result<[CpuTime; 3]> {
        let [a, b, redis] = self.processes;
        Ok([a.cpu_time()?, b.cpu_time()?, redis.cpu_time()?])
    }
}

struct Run {
    clients: Clients,
    began: Instant,
    /// The time from one message to the next, in seconds.
    every: f64,
    /// The number of the next message, of the first one that counts, and of the one after the last.
    next: u64,
    first: u64,
    end: u64,
    /// All deliveries so far.
    delivered: u64,
    /// How long the deliveries took that count.
    trips: Vec<Duration>,
    lates: Vec<Duration>,
}

impl Run {
    fn new(load: &Load, clients: Clients) -> Self {
        let number = |time: Duration| (load.rate * time.as_secs_f64()).ceil() as u64;
        let (first, end) = (number(load.warm_up), number(load.warm_up + load.duration));
        let counted = (end - first) as usize;
        Self {
            clients,
            began: Instant::now(),
            every: 1.0 / load.rate,
            next: 0,
            first,
            end,
            delivered: 0,
            // Growing while it runs would make it late.
            trips: Vec::with_capacity(counted * RECEIVERS),
            lates: Vec::with_capacity(counted),
        }
    }

    /// Sends what is due, and reads what has arrived.
    fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        self.send()?;
        self.clients.poll(events, Duration::ZERO)?;
        for event in &*events {
            self.receive(event.token().0)?;
            self.send()?;
        }
        Ok(())
    }

    fn send(&mut self) -> io::Result<()> {
        for _ in 0..BURST {
            if self.next == self.end {
                break;
            }
            let due = self.due(self.next);
            let Some(late) = Instant::now().checked_duration_since(due) else { break };
            self.clients.publish(self.next)?;
            if self.next >= self.first {
                self.lates.push(late);
            }
            self.next += 1;
        }
        Ok(())
    }

    fn receive(&mut self, place: usize) -> io::Result<()> {
        let (began, every, first) = (self.began, self.every, self.first);
        let (trips, delivered) = (&mut self.trips, &mut self.delivered);
        let mut now = None;
        self.clients.receive(place, |number| {
            *delivered += 1;
            if number >= first {
                // What arrives in one read arrives at once.
                let now = *now.get_or_insert_with(Instant::now);
                trips.push(now - due(began, every, number));
            }
        })
    }

    fn due(&self, number: u64) -> Instant {
        due(self.began, self.every, number)
    }

    /// Returns how many deliveries count.
    const fn expected(&self) -> usize {
        (self.end - self.first) as usize * RECEIVERS
    }

    fn measurement(mut self, cpu: [Sample; 3]) -> io::Result<Measurement> {
        let lost = self.expected().checked_sub(self.trips.len());
        let lost = lost.ok_or_else(|| io::Error::other("messages have arrived more than once"))?;
        self.trips.resize(self.expected(), GRACE);
        let quantiles = |times| {
            Latency::of(times).ok_or_else(|| io::Error::other("no message was due in that time"))
        };
        let (latency, late) = (quantiles(self.trips)?, quantiles(self.lates)?.p99);
        Ok(Measurement { latency, late, lost: lost as u64, cpu })
    }
}

/// Returns when a message is due.
fn due(began: Instant, every: f64, number: u64) -> Instant {
    began + Duration::from_secs_f64(every * number as f64)
}
