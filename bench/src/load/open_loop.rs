//! Echoes at a fixed rate, and how long each takes.

use std::{
    collections::VecDeque,
    fmt, io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Events, Poll};

use super::{
    Latency, Payload, Process, Sample,
    client::{self, Client, READ_SIZE},
    span::Span,
};

/// How many messages that are due are sent before answers are read again.
const BURST: usize = 16;

/// How many connections are read before the next look for more of them.
const EVENTS: usize = 64;

/// Messages that are sent at fixed times, on one connection after the other, whether or not earlier ones have been
/// answered.
#[derive(Clone, Copy, Debug)]
pub struct OpenLoop {
    /// How many connections.
    pub connections: usize,
    /// What is sent.
    pub payload: Payload,
    /// How many messages are sent per second, on all connections together.
    pub rate: f64,
    /// How long it runs before it counts.
    pub warm_up: Duration,
    /// How long it counts.
    pub duration: Duration,
}

/// How long messages took at a fixed rate.
#[derive(Clone, Copy, Debug)]
pub struct AtRate {
    /// From the time at which a message was due until its answer was read.
    pub latency: Latency,
    /// By how much messages were sent after they were due. If that is long, the load generator was too slow.
    pub late: Latency,
    /// The messages that were answered, and the server's CPU time.
    pub sample: Sample,
}

impl OpenLoop {
    /// Measures. A message that has no answer at the end counts for as long as it has waited. This never sleeps, so
    /// that the time for waking it is not part of the result.
    ///
    /// # Errors
    /// If the server fails a connection, or answers nothing.
    pub fn run(&self, address: SocketAddr, server: Process) -> io::Result<AtRate> {
        let mut poll = Poll::new()?;
        let clients = client::open(&mut poll, address, self.connections)?;
        let mut events = Events::with_capacity(EVENTS);
        let mut span = Span::start(server, self.warm_up, self.duration);
        let mut run = Run::new(self, clients);
        loop {
            run.send()?;
            poll.poll(&mut events, Some(Duration::ZERO))?;
            for event in &events {
                run.receive(event.token().0)?;
                run.send()?;
            }
            if !span.counts() {
                run.trips.clear();
                run.lates.clear();
            }
            if let Some(sample) = span.tick(run.answered)? {
                return run.end(sample).ok_or_else(|| io::ErrorKind::TimedOut.into());
            }
        }
    }
}

struct Run {
    clients: Vec<Client>,
    /// When the messages were due that each client has sent and that were not yet answered.
    underway: Vec<VecDeque<Instant>>,
    frame: Vec<u8>,
    buffer: Vec<u8>,
    began: Instant,
    /// The time from one message to the next, in seconds.
    every: f64,
    sent: u64,
    answered: u64,
    trips: Vec<Duration>,
    lates: Vec<Duration>,
}

impl Run {
    fn new(plan: &OpenLoop, clients: Vec<Client>) -> Self {
        // Growing while it runs would make it late.
        let most = (plan.rate * (plan.warm_up + plan.duration).as_secs_f64()) as usize;
        Self {
            underway: vec![VecDeque::with_capacity(4); clients.len()],
            clients,
            frame: plan.payload.frame(),
            buffer: vec![0; READ_SIZE],
            began: Instant::now(),
            every: 1.0 / plan.rate,
            sent: 0,
            answered: 0,
            trips: Vec::with_capacity(most),
            lates: Vec::with_capacity(most),
        }
    }

    /// Sends what is due.
    fn send(&mut self) -> io::Result<()> {
        for _ in 0..BURST {
            let due = self.began + Duration::from_secs_f64(self.every * self.sent as f64);
            let Some(late) = Instant::now().checked_duration_since(due) else { break };
            let place = (self.sent % self.clients.len() as u64) as usize;
            self.clients[place].send(&self.frame, self.frame.len())?;
            self.underway[place].push_back(due);
            self.lates.push(late);
            self.sent += 1;
        }
        Ok(())
    }

    /// Reads the answers on one connection, and sends on it what did not fit before.
    fn receive(&mut self, place: usize) -> io::Result<()> {
        let client = &mut self.clients[place];
        let answers = client.receive(&mut self.buffer)?.messages;
        let now = Instant::now();
        let underway = &mut self.underway[place];
        if answers > underway.len() {
            let error = "the server answered more messages than it was sent";
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        self.trips.extend(underway.drain(..answers).map(|due| now - due));
        self.answered += answers as u64;
        client.send(&self.frame, 0)
    }

    fn end(mut self, sample: Sample) -> Option<AtRate> {
        let now = Instant::now();
        self.trips.extend(self.underway.iter().flatten().map(|&due| now - due));
        Some(AtRate { latency: Latency::of(self.trips)?, late: Latency::of(self.lates)?, sample })
    }
}

impl fmt::Display for AtRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { latency, late, sample } = self;
        write!(f, "{latency} {} {}", late.p99.as_nanos(), sample.busy())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
        thread,
    };

    use super::*;

    /// How many messages the server below lets wait for each other.
    const HELD: usize = 50;

    const PAYLOAD: usize = 32;

    /// Sends `answers` answers whenever `held` messages have arrived, so it never answers a client that waits for one.
    fn hold(mut stream: TcpStream, held: usize, answers: usize) -> io::Result<()> {
        let mut request = [0];
        let mut end = Vec::new();
        while !end.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut request)?;
            end.push(request[0]);
        }
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")?;
        let mut masked = vec![0; (2 + 4 + PAYLOAD) * held];
        let mut answer = [0; 2 + PAYLOAD];
        answer[..2].copy_from_slice(&[0x82, PAYLOAD as u8]);
        loop {
            stream.read_exact(&mut masked)?;
            stream.write_all(&answer.repeat(answers))?;
        }
    }

    #[test]
    fn a_late_answer_counts_from_when_its_message_was_due() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || hold(listener.accept()?.0, HELD, HELD));
        let open_loop = OpenLoop {
            connections: 1,
            payload: Payload { size: PAYLOAD, text: false },
            rate: 1000.0,
            warm_up: Duration::ZERO,
            duration: Duration::from_millis(120),
        };
        let measured = open_loop.run(address, Process(std::process::id())).unwrap();
        // The first of the held messages waits for the last one, which is due that much later.
        let held = Duration::from_millis(HELD as u64 - 1);
        assert!(measured.latency.max >= held, "{:?}", measured.latency);
        assert!(measured.latency.p50 >= held / 4, "{:?}", measured.latency);
        server.join().unwrap().unwrap_err(); // the client has left, perhaps before it has read all answers
    }

    #[test]
    fn an_answer_to_no_message_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || hold(listener.accept()?.0, 1, 2));
        let open_loop = OpenLoop {
            connections: 1,
            payload: Payload { size: PAYLOAD, text: false },
            rate: 10.0,
            warm_up: Duration::ZERO,
            duration: Duration::from_millis(500),
        };
        let error = open_loop.run(address, Process(std::process::id())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        server.join().unwrap().unwrap_err();
    }
}
