//! Good clients that connect one after the other, and how long each handshake takes.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Events, Poll};

use super::{
    Latency, Process, Sample,
    client::{Client, Site},
};

/// Handshakes that start at fixed times, however long the others take.
#[derive(Clone, Copy, Debug)]
pub struct Arrivals {
    /// The time from one handshake to the next.
    pub every: Duration,
    /// How long handshakes are started.
    pub duration: Duration,
    /// How long to wait for the last of them.
    pub grace: Duration,
}

impl Arrivals {
    /// Measures each handshake from its first packet to its answer. A handshake without an answer at the
    /// end, or one that is refused, counts for as long as it was watched. The server's CPU time includes all
    /// its work.
    ///
    /// # Errors
    /// If the machine runs out of sockets.
    pub fn run(&self, address: SocketAddr, server: Process) -> io::Result<(Latency, Sample)> {
        let (mut poll, site) = (Poll::new()?, Site::from(address));
        let mut events = Events::with_capacity(256);
        let mut buffer = [0; 4096];
        let mut underway = HashMap::new();
        let (mut trips, mut failed, mut next) = (Vec::new(), 0, 0);
        let (began, cpu) = (Instant::now(), server.cpu_time()?);
        loop {
            let now = began.elapsed();
            let due = self.every * next;
            if now >= due && due < self.duration {
                let client = Client::connect(&site, poll.registry(), next as usize)?;
                underway.insert(next as usize, (client, Instant::now()));
                next += 1;
                continue;
            }
            let comes = due < self.duration;
            if !comes && (underway.is_empty() || now > self.duration + self.grace) {
                break;
            }
            let wait = if comes { due - now } else { Duration::from_millis(100) };
            poll.poll(&mut events, Some(wait))?;
            for event in &events {
                let token = event.token().0;
                let Some((client, since)) = underway.get_mut(&token) else { continue };
                match client.advance(event, &mut buffer) {
                    Ok(false) => {}
                    Ok(true) => {
                        trips.push(since.elapsed());
                        underway.remove(&token);
                    }
                    Err(_) => {
                        failed += 1;
                        underway.remove(&token);
                    }
                }
            }
        }
        trips.extend(underway.values().map(|(_, since)| since.elapsed()));
        trips.extend((0..failed).map(|_| self.duration + self.grace));
        let (count, seconds) = (trips.len() as u64, began.elapsed().as_secs_f64());
        let latency = Latency::of(trips).ok_or(io::ErrorKind::TimedOut)?;
        Ok((latency, Sample { count, seconds, cpu: server.cpu_time()?.since(cpu) }))
    }
}
