//! A good client: a small message every few milliseconds, and how long each answer takes.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Events, Poll};

use super::{
    Latency, Payload, Process, Sample,
    client::{self, Client, PATIENCE, PING, Site},
    span::Span,
};

/// One connection that expects an answer to each frame.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    /// What is sent: a message that is echoed, or else a ping.
    pub payload: Option<Payload>,
    /// The time from one frame to the next, whether or not the previous one has been answered: a client
    /// that waits would ask least when the server is slowest.
    pub every: Duration,
    /// How long it runs before it counts.
    pub warm_up: Duration,
    /// How long it counts.
    pub duration: Duration,
}

impl Talk {
    /// Measures the round trips. The server's CPU time includes all its work.
    ///
    /// # Errors
    /// If the server fails the connection, or does not answer.
    pub fn run(
        &self,
        address: SocketAddr,
        path: &str,
        server: Process,
    ) -> io::Result<(Latency, Sample)> {
        let mut poll = Poll::new()?;
        let mut client = client::open(&mut poll, Site::new(address, path), 1)?.remove(0);
        let frame = self.payload.map_or_else(|| PING.to_vec(), Payload::frame);
        let mut events = Events::with_capacity(16);
        let mut span = Span::start(server, self.warm_up, self.duration);
        let (mut underway, mut trips) = (VecDeque::new(), Vec::new());
        let (mut due, mut count) = (Instant::now(), 0);
        loop {
            let now = Instant::now();
            if now >= due {
                client.send(&frame, frame.len())?;
                underway.push_back(now);
                due = now + self.every;
            }
            poll.poll(&mut events, Some(due.saturating_duration_since(Instant::now())))?;
            let answers = self.answers(&mut client)?;
            trips.extend(underway.drain(..answers).map(|began| began.elapsed()));
            if underway.front().is_some_and(|began| began.elapsed() > PATIENCE) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            count += answers as u64;
            if !span.counts() {
                trips.clear();
            }
            if let Some(sample) = span.tick(count)? {
                // Frames without an answer have waited at least this long.
                trips.extend(underway.iter().map(Instant::elapsed));
                let latency = Latency::of(trips).ok_or(io::ErrorKind::TimedOut)?;
                return Ok((latency, sample));
            }
        }
    }

    /// Returns how many answers have arrived.
    fn answers(&self, client: &mut Client) -> io::Result<usize> {
        let seen = client.receive(&mut [0; 4096])?;
        Ok(if self.payload.is_some() { seen.messages } else { seen.pongs })
    }
}
