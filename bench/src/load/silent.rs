//! Members that do not read, and to which the server cannot send any more.

use std::{io, net::SocketAddr, thread, time::Duration};

use mio::{Events, Poll};

use super::{
    Payload,
    client::{self, Client, READ_SIZE},
};

const PAYLOAD: Payload = Payload { size: 64 << 10, text: false };

/// More than a socket's buffers and an outbox hold: 4 MiB on Linux, including what the peer's socket takes
/// without being read.
const FILL: u64 = (16 << 20) / PAYLOAD.size as u64;

/// If nothing has arrived for this long, nothing more is on its way.
const QUIET: Duration = Duration::from_millis(200);

pub(super) struct Silent(Vec<Client>);

impl Silent {
    /// Opens this many members, and publishes until all of them have missed something.
    pub(super) fn open(address: SocketAddr, count: usize) -> io::Result<Self> {
        if count == 0 {
            return Ok(Self(Vec::new()));
        }
        let silent = client::open(&mut Poll::new()?, address, count)?;
        let mut poll = Poll::new()?;
        let publisher = &mut client::open(&mut poll, address, 1)?[0];
        let mut events = Events::with_capacity(1);
        let (frame, mut buffer) = (PAYLOAD.frame(), vec![0; READ_SIZE]);
        for published in 1..=FILL {
            publisher.send(&frame, frame.len())?;
            while publisher.messages < published {
                client::wait(&mut poll, &mut events)?;
                publisher.receive(&mut buffer)?;
                publisher.send(&frame, 0)?;
            }
        }
        Ok(Self(silent))
    }

    /// Reads everything, and counts what the members have missed of all messages: those that filled them,
    /// and those published since.
    ///
    /// # Errors
    /// If the server has closed a member, or a member has missed nothing, which must not happen.
    pub(super) fn missed(mut self, published: u64) -> io::Result<u64> {
        let mut buffer = vec![0; READ_SIZE];
        // A close frame comes after all messages.
        while self.receive(&mut buffer)? > 0 {
            thread::sleep(QUIET);
        }
        let missed = |client: &Client| {
            let missed = (FILL + published).checked_sub(client.messages).filter(|&count| count > 0);
            missed.ok_or_else(|| io::Error::other("a silent member has missed nothing"))
        };
        self.0.iter().map(missed).sum()
    }

    /// Returns how many messages have arrived.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let closed = |error| io::Error::other(format!("a silent member was closed: {error}"));
        let receive = |client: &mut Client| Ok(client.receive(buffer).map_err(closed)?.messages);
        self.0.iter_mut().map(receive).sum()
    }
}
