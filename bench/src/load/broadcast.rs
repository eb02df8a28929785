//! Broadcasts: one connection publishes, and all receive.

use std::{
    io,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use mio::{Events, Poll};

use super::{
    Compressed, Content, Measured, Process,
    client::{self, READ_SIZE},
    silent::Silent,
    span::Span,
};

/// Messages from one connection to all, itself included.
#[derive(Clone, Copy, Debug)]
pub struct Broadcast {
    /// The number of connections that read.
    pub members: usize,
    /// The number of connections that do not read.
    pub silent: usize,
    /// What is published.
    pub content: Content,
    /// How many messages are in flight: the next one is published when all have an earlier one.
    pub depth: usize,
    /// How long it runs before it counts.
    pub warm_up: Duration,
    /// How long it counts.
    pub duration: Duration,
}

/// The result of a broadcast.
#[derive(Debug)]
pub struct Deliveries {
    /// The deliveries.
    pub measured: Measured,
    /// For each message, the time from its publication until the last reader had it.
    pub lags: Vec<Duration>,
    /// The server's memory at the end, in bytes.
    pub memory: u64,
    /// How many deliveries were dropped, all of them to members that do not read.
    pub dropped: u64,
}

impl Broadcast {
    /// Measures.
    ///
    /// # Errors
    /// If the server fails a connection, including one that does not read, or loses a message, or does not compress
    /// as it should.
    pub fn run(&self, address: SocketAddr, server: Process) -> io::Result<Deliveries> {
        let Self { content, depth, .. } = *self;
        let silent = Silent::open(address, self.silent)?;
        let mut poll = Poll::new()?;
        let mut clients = client::open(&mut poll, content.site(address), self.members)?;
        // A server may add a member to its list a little after it has answered.
        thread::sleep(Duration::from_millis(100));
        let frames = content.frames(depth);
        let window = content.check(&mut poll, &mut clients, 1, &frames)?;
        // How many messages were published before those that are counted.
        let checked = clients[0].messages;
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ_SIZE];
        clients[0].send(frames.pattern(), frames.len_of(checked, depth))?;
        let mut span = Span::start(server, self.warm_up, self.duration);
        // For each message in flight, when it was published and how many have it. Message `n` is at
        // `n % depth`.
        let mut underway = vec![(Instant::now(), 0); depth];
        let (mut count, mut lags) = (0, Vec::new());
        let mut published = depth as u64;
        loop {
            client::watch(&mut poll, &mut events)?;
            let mut done = 0;
            for event in &events {
                let client = &mut clients[event.token().0];
                let first = client.messages;
                client.receive(&mut buffer)?;
                for message in first..client.messages {
                    let (published, delivered) = &mut underway[message as usize % depth];
                    *delivered += 1;
                    if *delivered == self.members {
                        let now = Instant::now();
                        lags.push(now - *published);
                        (*published, *delivered) = (now, 0);
                        done += 1;
                    }
                }
                count += client.messages - first;
            }
            clients[0].send(frames.pattern(), frames.len_of(checked + published, done))?;
            published += done as u64;
            if !span.counts() {
                lags.clear();
            }
            if let Some(sample) = span.tick(count)? {
                let memory = server.memory()?; // before the silent ones read
                let dropped = silent.missed(published)?;
                let replies =
                    window.map(|window| Compressed::replies(&clients, window)).transpose()?;
                let measured = Measured { sample, replies };
                return Ok(Deliveries { measured, lags, memory, dropped });
            }
        }
    }
}
