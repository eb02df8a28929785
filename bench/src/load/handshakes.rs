//! Connections that are opened, upgraded and closed.

use std::{io, net::SocketAddr, time::Duration};

use mio::{Events, Poll};

use super::{
    Process, Sample, Tls,
    client::{self, AT_ONCE, Client, Site},
    span::Span,
};

/// As many handshakes per second as the server can do, with a fixed number in progress.
#[derive(Clone, Copy, Debug)]
pub struct Handshakes {
    /// How long it runs before it counts.
    pub warm_up: Duration,
    /// How long it counts. Each connection occupies one of the machine's 28,000 ports for a while.
    pub duration: Duration,
    /// Whether the handshakes include those of TLS.
    pub tls: Option<Tls>,
}

impl Handshakes {
    /// Measures.
    ///
    /// # Errors
    /// If the server refuses or does not resume sessions as it should, or the ports run out.
    pub fn run(&self, address: SocketAddr, server: Process) -> io::Result<Sample> {
        let (mut poll, site) = (Poll::new()?, Site::from(address).over(self.tls));
        let mut events = Events::with_capacity(1024);
        let mut buffer = [0; 4096];
        let mut clients = (0..AT_ONCE)
            .map(|token| Client::connect(&site, poll.registry(), token))
            .collect::<io::Result<Vec<_>>>()?;
        let (resumes, mut has_ticket) = (self.tls == Some(Tls::Resumed), [false; AT_ONCE]);
        let mut span = Span::start(server, self.warm_up, self.duration);
        let mut count = 0;
        loop {
            client::wait(&mut poll, &mut events)?;
            for event in &events {
                let token = event.token().0;
                if clients[token].advance(event, &mut buffer)? {
                    if clients[token].is_resumed() != (resumes && has_ticket[token]) {
                        return Err(io::Error::other("a session was not resumed, or one was"));
                    }
                    has_ticket[token] = true; // that of the handshake that is over
                    clients[token] = Client::connect(&site, poll.registry(), token)?;
                    count += 1;
                }
            }
            if let Some(sample) = span.tick(count)? {
                return Ok(sample);
            }
        }
    }
}
