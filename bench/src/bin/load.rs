//! Puts load on a server, and prints the measurement.
//!
//! ```text
//! load echo|handshakes|broadcast|slow|memory|stalled|idle|crowd ADDR --pid PID [--connections N] [--silent N]
//!      [--payload BYTES] [--depth N] [--warm-up SECONDS] [--seconds SECONDS] [--fresh]
//!      [--deflate] [--takeover] [--tls] [--resume] [--http2 N]
//!      [--poll] [--peak]
//! load open-loop ADDR --pid PID --rate PER_SECOND [--connections N] [--payload BYTES] [--warm-up SECONDS]
//!      [--seconds SECONDS]
//! load talk|ping|arrivals ADDR --pid PID [--path PATH] [--every SECONDS] [--warm-up SECONDS]
//!      [--seconds SECONDS]
//! load flood ADDR --kind empty|fragments|large|bombs|blocks|final-blocks|pings [--connections N] [--seconds SECONDS]
//! load residents ADDR [--connections N] [--together] [--seconds SECONDS]
//! load renewals ADDR [--connections N] [--seconds SECONDS]
//! load askers ADDR --kind state|change [--connections N] [--depth N] [--seconds SECONDS]
//! load authorize ADDR --pid PID [--path PATH] [--connections N] [--seconds SECONDS] [--some-leave]
//! load attack ADDR --pid PID --kind NAME
//! ```
//!
//! Most modes print `COUNT SECONDS CPU_NS USER_TICKS KERNEL_TICKS`; ticks are 10 ms. The others:
//!
//! - `memory` prints bytes per connection, fresh and after an echo (not with `--fresh`).
//! - `stalled` prints bytes per connection, idle, and when its messages are not read.
//! - `idle` adds the server's bytes of memory.
//! - `slow` is a broadcast, and prints `P50_NS P99_NS`, how long the last reader waits for a message, the
//!   server's bytes of memory, and the number of dropped deliveries.
//! - `crowd` prints bytes per connection at the peak, in all and beyond idle.
//! - `talk`, `ping` and `arrivals` print `COUNT P50_NS P99_NS P999_NS MAX_NS BUSY`. The last is the share of a
//!   core that the server used.
//! - `open-loop` prints the same with `LATE_NS` before `BUSY`: the 99th percentile of how late messages were sent.
//! - `flood` prints bytes per second, `askers` handled requests per second, and `renewals` the number of dropped
//!   peers. Each first prints a line when it has begun.
//! - `authorize` first prints a line when it has begun, and then `COUNT P50_NS P99_NS P999_NS MAX_NS LEFT GROWTH`: of
//!   the handshakes, the number of clients that left, and the growth of the server's memory in bytes.
//! - `attack` prints `BYTES_SENT BYTES_OF_MEMORY`.
//!
//! A text payload is `text-BYTES`.
//!
//! With `--deflate` or `--takeover`, the modes `echo`, `broadcast` and `memory` offer compression, without or with
//! context takeover of the server's messages, and send JSON. `echo` and `broadcast` then add the median length of the
//! payloads of replies, and the bits of their window.
//!
//! With `--poll`, the mode `echo` never sleeps, and with `--peak` it adds the server's bytes of memory at the peak: for
//! each connection, beyond that with 64 others, and in all.
//!
//! With `--tls`, the modes `echo`, `memory` and `handshakes` speak TLS 1.3; with `--resume`, a handshake resumes the
//! session of an earlier connection.
//!
//! With `--http2 N`, the mode `memory` speaks HTTP/2, with N WebSockets on each connection, and the mode `stalled`
//! always does.

use std::{error::Error, net::SocketAddr, time::Duration};

use prism_bench::load::{
    ATTACKS, Arrivals, Askers, Authorize, Authorized, Broadcast, Compressed, Content, Crowd,
    Deliveries, Echo, Flood, Handshakes, Http2, Idle, Latency, Memory, OpenLoop, Payload, Process,
    Renewals, Residents, Sample, Talk, Tls,
};

/// How long to wait for the last handshakes.
const GRACE: Duration = Duration::from_secs(5);

struct Arguments {
    mode: String,
    address: SocketAddr,
    server: Process,
    connections: usize,
    silent: usize,
    payload: Payload,
    /// Whether to compress, and whether replies may then refer to earlier ones.
    compression: Option<bool>,
    tls: Option<Tls>,
    /// How many WebSockets a connection of HTTP/2 has.
    http2: Option<usize>,
    depth: usize,
    warm_up: Duration,
    duration: Duration,
    polls: bool,
    peak: bool,
    rate: f64,
    fresh: bool,
    together: bool,
    some_leave: bool,
    kind: String,
    path: String,
    every: Duration,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    let &Arguments { address, server, connections, payload, tls, depth, warm_up, duration, .. } =
        &arguments;
    match arguments.mode.as_str() {
        "echo" => {
            let content = arguments.content();
            let polls = arguments.polls;
            let echo = Echo { connections, content, tls, depth, polls, warm_up, duration };
            if arguments.peak {
                let (measured, peak) = echo.run_with_peak(address, server)?;
                println!("{measured} {peak}");
            } else {
                println!("{}", echo.run(address, server)?);
            }
        }
        "open-loop" => {
            let rate = arguments.rate;
            let open_loop = OpenLoop { connections, payload, rate, warm_up, duration };
            println!("{}", open_loop.run(address, server)?);
        }
        "handshakes" => {
            println!("{}", Handshakes { warm_up, duration, tls }.run(address, server)?);
        }
        "broadcast" => {
            println!("{}", arguments.broadcast().run(address, server)?.measured);
        }
        "slow" => {
            let Deliveries { mut lags, memory, dropped, .. } =
                arguments.broadcast().run(address, server)?;
            lags.sort_unstable();
            let at = |percent| lags.get(lags.len() * percent / 100).ok_or("no message arrived");
            let (p50, p99) = (at(50)?.as_nanos(), at(99)?.as_nanos());
            println!("{p50} {p99} {memory} {dropped}");
        }
        mode @ ("memory" | "stalled") if let Some(streams) = arguments.http2 => {
            let stalled = mode == "stalled";
            let http2 = Http2 { websockets: connections, streams, payload, stalled };
            let (before, after) = http2.run(address, server)?;
            println!("{before} {after}");
        }
        "memory" => {
            let content = arguments.content();
            let memory = Memory { connections, content, tls, echo: !arguments.fresh };
            match memory.run(address, server)? {
                (fresh, Some(after)) => println!("{fresh} {after}"),
                (fresh, None) => println!("{fresh}"),
            }
        }
        "idle" => {
            let idle = Idle { connections, settle: warm_up, duration };
            let (sample, memory) = idle.run(address, server)?;
            println!("{sample} {memory}");
        }
        "crowd" => {
            let (peak, over_idle) = Crowd { connections, payload }.run(address, server)?;
            println!("{peak} {over_idle}");
        }
        "flood" => {
            let kind = arguments.kind.parse()?;
            println!("{}", Flood { kind, attackers: connections, duration }.run(address)?);
        }
        "residents" => {
            Residents { connections, together: arguments.together, duration }.run(address)?;
        }
        "askers" => {
            let question = arguments.kind.parse()?;
            let askers = Askers { question, attackers: connections, questions: depth, duration };
            println!("{}", askers.run(address)?);
        }
        "renewals" => println!("{}", Renewals { peers: connections, duration }.run(address)?),
        "authorize" => {
            let Authorized { handshakes, left, growth } =
                arguments.authorize().run(address, server)?;
            println!("{handshakes} {left} {growth}");
        }
        "attack" => {
            let attack = ATTACKS.iter().find(|attack| attack.name == arguments.kind);
            let attack = attack.ok_or_else(|| format!("no attack is called {}", arguments.kind))?;
            let (sent, memory) = attack.run(address, server)?;
            println!("{sent} {memory}");
        }
        _ => {
            let (latency, sample) = arguments.latency()?;
            println!("{latency} {}", sample.busy());
        }
    }
    Ok(())
}

impl Arguments {
    const fn broadcast(&self) -> Broadcast {
        let Self { connections: members, silent, depth, warm_up, duration, .. } = *self;
        Broadcast { members, silent, content: self.content(), depth, warm_up, duration }
    }

    const fn content(&self) -> Content {
        match self.compression {
            None => Content::Plain(self.payload),
            Some(takeover) => Content::Compressed(Compressed { size: self.payload.size, takeover }),
        }
    }

    fn authorize(&self) -> Authorize {
        let Self { connections: clients, duration, some_leave, .. } = *self;
        Authorize { path: self.path.clone(), clients, duration, some_leave }
    }

    /// Measures how long the server takes to answer.
    fn latency(&self) -> Result<(Latency, Sample), Box<dyn Error>> {
        let &Self { address, server, every, warm_up, duration, .. } = self;
        let talk =
            |payload| Talk { payload, every, warm_up, duration }.run(address, &self.path, server);
        match self.mode.as_str() {
            "talk" => Ok(talk(Some(self.payload))?),
            "ping" => Ok(talk(None)?),
            "arrivals" => Ok(Arrivals { every, duration, grace: GRACE }.run(address, server)?),
            mode => Err(format!("unknown mode {mode}").into()),
        }
    }

    fn parse() -> Result<Self, Box<dyn Error>> {
        let mut words = std::env::args().skip(1);
        let mut arguments = Self {
            mode: words.next().ok_or("which mode?")?,
            address: words.next().ok_or("which address?")?.parse()?,
            server: Process(0),
            connections: 64,
            silent: 0,
            payload: Payload { size: 32, text: false },
            compression: None,
            tls: None,
            http2: None,
            depth: 1,
            warm_up: Duration::from_millis(200),
            duration: Duration::from_millis(500),
            polls: false,
            peak: false,
            rate: 1000.0,
            fresh: false,
            together: false,
            some_leave: false,
            kind: String::new(),
            path: "/".into(),
            every: Duration::from_millis(5),
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--pid" => arguments.server = Process(value()?.parse()?),
                "--connections" => arguments.connections = value()?.parse()?,
                "--silent" => arguments.silent = value()?.parse()?,
                "--payload" => arguments.payload = value()?.parse()?,
                "--depth" => arguments.depth = value()?.parse()?,
                "--warm-up" => arguments.warm_up = Duration::from_secs_f64(value()?.parse()?),
                "--seconds" => arguments.duration = Duration::from_secs_f64(value()?.parse()?),
                "--kind" => arguments.kind = value()?,
                "--path" => arguments.path = value()?,
                "--every" => arguments.every = Duration::from_secs_f64(value()?.parse()?),
                "--deflate" => arguments.compression = Some(false),
                "--takeover" => arguments.compression = Some(true),
                "--tls" => arguments.tls = Some(Tls::Full),
                "--resume" => arguments.tls = Some(Tls::Resumed),
                "--http2" => arguments.http2 = Some(value()?.parse()?),
                "--poll" => arguments.polls = true,
                "--peak" => arguments.peak = true,
                "--rate" => arguments.rate = value()?.parse()?,
                "--fresh" => arguments.fresh = true,
                "--together" => arguments.together = true,
                "--some-leave" => arguments.some_leave = true,
                _ => return Err(format!("unknown argument {word}").into()),
            }
        }
        Ok(arguments)
    }
}
