//! Puts load on a server, and prints what it found.
//!
//! ```text
//! load echo|handshakes|broadcast|slow|memory|idle ADDR --pid PID [--connections N] [--silent N]
//!      [--payload BYTES] [--depth N] [--warm-up SECONDS] [--seconds SECONDS] [--fresh]
//! ```
//!
//! It prints `COUNT SECONDS CPU_NS`; `memory` prints bytes per connection, fresh and after an echo
//! (not with `--fresh`); `idle` adds the server's bytes of memory; `slow` is a broadcast, and prints
//! `P50_NS P99_NS`, how long the last reader waits for a message, the server's bytes of memory, and how
//! many deliveries were dropped.
//! A payload of text is `text-BYTES`.

use std::{error::Error, net::SocketAddr, time::Duration};

use prism_bench::load::{Broadcast, Deliveries, Echo, Handshakes, Idle, Memory, Payload, Process};

struct Arguments {
    mode: String,
    address: SocketAddr,
    server: Process,
    connections: usize,
    silent: usize,
    payload: Payload,
    depth: usize,
    warm_up: Duration,
    duration: Duration,
    fresh: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    let Arguments { address, server, connections, payload, depth, warm_up, duration, .. } =
        arguments;
    match arguments.mode.as_str() {
        "echo" => {
            let echo = Echo { connections, payload, depth, warm_up, duration };
            println!("{}", echo.run(address, server)?);
        }
        "handshakes" => {
            println!("{}", Handshakes { warm_up, duration }.run(address, server)?);
        }
        "broadcast" => {
            println!("{}", arguments.broadcast().run(address, server)?.sample);
        }
        "slow" => {
            let Deliveries { mut lags, memory, dropped, .. } =
                arguments.broadcast().run(address, server)?;
            lags.sort_unstable();
            let at = |percent| lags.get(lags.len() * percent / 100).ok_or("nothing came");
            let (p50, p99) = (at(50)?.as_nanos(), at(99)?.as_nanos());
            println!("{p50} {p99} {memory} {dropped}");
        }
        "memory" => {
            let memory = Memory { connections, echo: (!arguments.fresh).then_some(payload) };
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
        mode => return Err(format!("unknown mode {mode}").into()),
    }
    Ok(())
}

impl Arguments {
    const fn broadcast(&self) -> Broadcast {
        let Self { connections: members, silent, payload, depth, warm_up, duration, .. } = *self;
        Broadcast { members, silent, payload, depth, warm_up, duration }
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
            depth: 1,
            warm_up: Duration::from_millis(200),
            duration: Duration::from_millis(500),
            fresh: false,
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
                "--fresh" => arguments.fresh = true,
                _ => return Err(format!("unknown argument {word}").into()),
            }
        }
        Ok(arguments)
    }
}
