//! The server's memory at the peak of a load.

use std::{fmt, io, net::SocketAddr};

use mio::Poll;

use super::{
    Echo, Measured, Payload, Process,
    client::{self, AT_ONCE},
    crowd::{settled, talk},
};

/// What a server sets up once, with its first messages, does not count for a connection.
const FIRST: Payload = Payload { size: 32, text: false };

/// Memory at the peak, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// For each connection: by how much the server has grown since some other connections were opened and used,
    /// which stay.
    pub each: f64,
    /// All of it.
    pub all: u64,
}

impl Echo {
    /// Measures as [`run`](Self::run) does, and also the server's memory at the peak.
    ///
    /// # Errors
    /// If `run` fails.
    pub fn run_with_peak(
        &self,
        address: SocketAddr,
        server: Process,
    ) -> io::Result<(Measured, Peak)> {
        let mut poll = Poll::new()?;
        let mut first = client::open(&mut poll, address, AT_ONCE)?;
        talk(&mut poll, &mut first, &FIRST.frame(), server)?;
        let before = settled(server)?;
        let measured = self.run(address, server)?;
        let all = server.peak()?;
        let each = (all as f64 - before as f64) / self.connections as f64;
        Ok((measured, Peak { each, all }))
    }
}

impl fmt::Display for Peak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.each, self.all)
    }
}
