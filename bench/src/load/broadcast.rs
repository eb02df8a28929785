//! One publishes, all receive.

use std::{io, net::SocketAddr, thread, time::Duration};

use mio::{Events, Poll};

use super::{
    Payload, Process, Sample,
    client::{self, READ_SIZE},
    span::Span,
};

/// Messages from one connection to all, itself included.
#[derive(Clone, Copy, Debug)]
pub struct Broadcast {
    /// How many connections there are.
    pub members: usize,
    /// What is published.
    pub payload: Payload,
    /// How many messages are under way: the next is published when all have an earlier one.
    pub depth: usize,
    /// How long it runs before it counts.
    pub warm_up: Duration,
    /// How long it counts.
    pub duration: Duration,
}

impl Broadcast {
    /// Measures; what is counted is deliveries.
    ///
    /// # Errors
    /// If the server fails a connection, or loses a message.
    pub fn run(&self, address: SocketAddr, server: Process) -> io::Result<Sample> {
        let mut poll = Poll::new()?;
        let mut clients = client::open(&mut poll, address, self.members)?;
        // A server may add a member to its list a little after it has answered.
        thread::sleep(Duration::from_millis(100));
        let frame = self.payload.frame();
        let pattern = frame.repeat(self.depth);
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ_SIZE];
        clients[0].send(&pattern, pattern.len())?;
        let mut span = Span::start(server, self.warm_up, self.duration);
        // How many have each of the messages under way: message `n` is at `n % depth`.
        let mut delivered = vec![0; self.depth];
        let mut count = 0;
        loop {
            client::wait(&mut poll, &mut events)?;
            let mut done = 0;
            for event in &events {
                let client = &mut clients[event.token().0];
                let first = client.messages;
                client.receive(&mut buffer)?;
                for message in first..client.messages {
                    let delivered = &mut delivered[message as usize % self.depth];
                    *delivered += 1;
                    if *delivered == self.members {
                        *delivered = 0;
                        done += 1;
                    }
                }
                count += client.messages - first;
            }
            clients[0].send(&pattern, done * frame.len())?;
            if let Some(sample) = span.tick(count)? {
                return Ok(sample);
            }
        }
    }
}
