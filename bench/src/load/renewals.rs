//! Peers that connect, send nothing, and reconnect when they are dropped.

use std::{
    io::{self, Read},
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Registry, Token, net::TcpStream};

/// How long all may take to connect for the first time.
const ARRIVAL: Duration = Duration::from_secs(1);

/// Silent peers.
#[derive(Clone, Copy, Debug)]
pub struct Renewals {
    /// How many there are at any time, including those in the kernel's queue.
    pub peers: usize,
    /// How long they keep reconnecting.
    pub duration: Duration,
}

impl Renewals {
    /// Connects again and again, and returns how often a peer was dropped. Prints `silent` once all have had
    /// time to connect.
    ///
    /// # Errors
    /// If the machine runs out of sockets.
    pub fn run(&self, address: SocketAddr) -> io::Result<u64> {
        let mut poll = Poll::new()?;
        let mut events = Events::with_capacity(1024);
        let (began, mut told) = (Instant::now(), false);
        let mut peers = (0..self.peers)
            .map(|token| connect(address, poll.registry(), token))
            .collect::<io::Result<Vec<_>>>()?;
        let mut dropped = 0;
        while began.elapsed() < ARRIVAL + self.duration {
            if !told && began.elapsed() > ARRIVAL {
                println!("silent");
                told = true;
            }
            poll.poll(&mut events, Some(Duration::from_millis(50)))?;
            for event in &events {
                let peer = &mut peers[event.token().0];
                if event.is_readable() && is_over(peer) {
                    *peer = connect(address, poll.registry(), event.token().0)?;
                    dropped += 1;
                }
            }
        }
        Ok(dropped)
    }
}

fn connect(address: SocketAddr, registry: &Registry, token: usize) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    registry.register(&mut stream, Token(token), Interest::READABLE)?;
    Ok(stream)
}

/// Returns whether the server has ended the connection, or the kernel has given up connecting.
fn is_over(peer: &mut TcpStream) -> bool {
    match peer.read(&mut [0; 64]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}
