//! Connections that do nothing: the memory they hold, and what keeping them alive costs.

use std::{
    io,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use mio::{Events, Poll};

use super::{
    Content, Process, Sample, Tls,
    client::{self, AT_ONCE, Client, READ_SIZE},
    frames::Frames,
};

/// How long a server may take to come to rest.
const SETTLE: Duration = Duration::from_millis(300);

/// The memory that connections hold.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// How many connections.
    pub connections: usize,
    /// What each may send, and how.
    pub content: Content,
    /// Whether they speak TLS.
    pub tls: Option<Tls>,
    /// Whether each echoes once, for the second figure.
    pub echo: bool,
}

impl Memory {
    /// Measures bytes per connection: fresh, and after the echo.
    ///
    /// # Errors
    /// If the server fails a connection, or does not compress as it should.
    pub fn run(&self, address: SocketAddr, server: Process) -> io::Result<(f64, Option<f64>)> {
        let Self { content, .. } = *self;
        let (site, frames) = (content.site(address).over(self.tls), content.frames(1));
        let mut poll = Poll::new()?;
        // What a server sets up once, or for many connections at once, does not count.
        let mut first = client::open(&mut poll, site.clone(), AT_ONCE)?;
        if self.echo {
            content.check(&mut poll, &mut first, AT_ONCE, &frames)?;
            echo_once(&mut poll, &mut first, &frames)?;
        }
        let mut poll = Poll::new()?;
        let each =
            |memory: u64, before: u64| (memory as f64 - before as f64) / self.connections as f64;
        let before = settled(server)?;
        let mut clients = client::open(&mut poll, site, self.connections)?;
        let fresh = each(settled(server)?, before);
        if !self.echo {
            return Ok((fresh, None));
        }
        echo_once(&mut poll, &mut clients, &frames)?;
        Ok((fresh, Some(each(settled(server)?, before))))
    }
}

/// Connections that are kept alive.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// How many connections.
    pub connections: usize,
    /// How long to wait before it counts: others may still be connecting.
    pub settle: Duration,
    /// How long it counts.
    pub duration: Duration,
}

impl Idle {
    /// Answers pings and counts them. Also returns all of the server's memory, in bytes.
    ///
    /// # Errors
    /// If the server fails a connection.
    pub fn run(&self, address: SocketAddr, server: Process) -> io::Result<(Sample, u64)> {
        let mut poll = Poll::new()?;
        let mut clients = client::open(&mut poll, address, self.connections)?;
        answer_pings(&mut poll, &mut clients, self.settle)?;
        let memory = server.memory()?;
        let (cpu, begin) = (server.cpu_time()?, Instant::now());
        let count = answer_pings(&mut poll, &mut clients, self.duration)?;
        let seconds = begin.elapsed().as_secs_f64();
        Ok((Sample { count, seconds, cpu: server.cpu_time()?.since(cpu) }, memory))
    }
}

fn settled(server: Process) -> io::Result<u64> {
    thread::sleep(SETTLE);
    server.memory()
}

/// Exchanges one echo on each connection, a few at a time.
fn echo_once(poll: &mut Poll, clients: &mut [Client], frames: &Frames) -> io::Result<()> {
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; READ_SIZE];
    let (mut sent, mut answered) = (0, 0);
    while answered < clients.len() {
        while sent < clients.len().min(answered + AT_ONCE) {
            let client = &mut clients[sent];
            client.send(frames.pattern(), frames.len_of(client.messages, 1))?;
            sent += 1;
        }
        client::wait(poll, &mut events)?;
        for event in &events {
            let client = &mut clients[event.token().0];
            answered += client.receive(&mut buffer)?.messages;
            client.send(frames.pattern(), 0)?;
        }
    }
    Ok(())
}

/// Answers pings for this long, and returns how many there were.
fn answer_pings(poll: &mut Poll, clients: &mut [Client], time: Duration) -> io::Result<u64> {
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; READ_SIZE];
    let (begin, mut pings) = (Instant::now(), 0);
    loop {
        let left = time.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Ok(pings);
        }
        poll.poll(&mut events, Some(left))?;
        for event in &events {
            let client = &mut clients[event.token().0];
            pings += client.answer_pings(&mut buffer)? as u64;
        }
    }
}
