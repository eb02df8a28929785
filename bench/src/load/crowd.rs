//! Connections that all send at the same moment.

use std::{io, net::SocketAddr, thread, time::Duration};

use mio::{Events, Poll};
use rustix::process::Signal;

use super::{
    Payload, Process,
    client::{self, AT_ONCE, Client},
};

/// How long a server may take to come to rest.
const SETTLE: Duration = Duration::from_millis(300);

/// How often they send, so that buffers that are kept from one time to the next show.
const TIMES: usize = 5;

/// A crowd of connections that all send at the same moment.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// How many connections.
    pub connections: usize,
    /// What each echoes.
    pub payload: Payload,
}

impl Crowd {
    /// Measures the bytes of memory per connection at the peak: in all, and beyond its idle memory.
    ///
    /// # Errors
    /// If the server fails a connection.
    pub fn run(&self, address: SocketAddr, server: Process) -> io::Result<(f64, f64)> {
        let frame = self.payload.frame();
        // What a server sets up once does not count.
        let mut poll = Poll::new()?;
        let mut first = client::open(&mut poll, address, AT_ONCE)?;
        talk(&mut poll, &mut first, &frame, server)?;
        let mut poll = Poll::new()?;
        let before = settled(server)?;
        let mut clients = client::open(&mut poll, address, self.connections)?;
        let idle = settled(server)?;
        for _ in 0..TIMES {
            talk(&mut poll, &mut clients, &frame, server)?;
        }
        let peak = server.peak()?;
        let each = |less: u64| (peak as f64 - less as f64) / self.connections as f64;
        Ok((each(before), each(idle)))
    }
}

/// Returns the server's memory at rest, and resets its peak.
pub(super) fn settled(server: Process) -> io::Result<u64> {
    thread::sleep(SETTLE);
    server.forget_peak()?;
    server.peak()
}

/// Exchanges one echo on each connection, all at once. The server is stopped while the clients send, so
/// that all messages are there when it continues, as if it had been busy meanwhile.
pub(super) fn talk(
    poll: &mut Poll,
    clients: &mut [Client],
    frame: &[u8],
    server: Process,
) -> io::Result<()> {
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 4096];
    server.signal(Signal::STOP)?;
    let sent = clients.iter_mut().try_for_each(|client| client.send(frame, frame.len()));
    server.signal(Signal::CONT)?;
    sent?;
    let mut answered = 0;
    while answered < clients.len() {
        client::wait(poll, &mut events)?;
        for event in &events {
            answered += clients[event.token().0].receive(&mut buffer)?.messages;
        }
    }
    Ok(())
}
