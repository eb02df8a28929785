//! Echoes.

use std::{io, net::SocketAddr, time::Duration};

use mio::{Events, Poll};

use super::{
    Compressed, Content, Measured, Process, Tls,
    client::{self, READ_SIZE},
    span::Span,
};

/// Echo on many connections, each with some messages in flight.
#[derive(Clone, Copy, Debug)]
pub struct Echo {
    /// How many connections.
    pub connections: usize,
    /// What is sent on each.
    pub content: Content,
    /// Whether it is sent over TLS.
    pub tls: Option<Tls>,
    /// How many messages are in flight on each.
    pub depth: usize,
    /// Whether to look for replies without sleeping, because the server would pay for waking this process.
    pub polls: bool,
    /// How long it runs before it counts.
    pub warm_up: Duration,
    /// How long it counts.
    pub duration: Duration,
}

impl Echo {
    /// Measures.
    ///
    /// # Errors
    /// If the server fails a connection, or answers nothing, or does not compress as it should.
    pub fn run(&self, address: SocketAddr, server: Process) -> io::Result<Measured> {
        let Self { content, depth, .. } = *self;
        let mut poll = Poll::new()?;
        let site = content.site(address).over(self.tls);
        let mut clients = client::open(&mut poll, site, self.connections)?;
        // One write sends what is due at once.
        let frames = content.frames(depth);
        let window = content.check(&mut poll, &mut clients, self.connections, &frames)?;
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ_SIZE];
        for client in &mut clients {
            client.send(frames.pattern(), frames.len_of(client.messages, depth))?;
        }
        let mut span = Span::start(server, self.warm_up, self.duration);
        let mut count = 0;
        loop {
            if self.polls {
                client::watch(&mut poll, &mut events)?;
            } else {
                poll.poll(&mut events, Some(Duration::from_millis(100)))?;
            }
            for event in &events {
                let client = &mut clients[event.token().0];
                let replies =
                    if event.is_readable() { client.receive(&mut buffer)?.messages } else { 0 };
                count += replies as u64;
                let next = client.messages + (depth - replies) as u64;
                client.send(frames.pattern(), frames.len_of(next, replies))?;
            }
            if let Some(sample) = span.tick(count)? {
                let replies =
                    window.map(|window| Compressed::replies(&clients, window)).transpose()?;
                return Ok(Measured { sample, replies });
            }
        }
    }
}
