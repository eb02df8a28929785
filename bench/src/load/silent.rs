//! Members that do not read, and to whom the server can send no more.

use std::{io, net::SocketAddr};

use mio::{Events, Poll};

use super::{
    Payload,
    client::{self, Client, READ_SIZE},
};

const PAYLOAD: Payload = Payload { size: 64 << 10, text: false };

/// More than a socket's buffers and an outbox hold: 4 MiB on Linux, with what the peer's socket
/// takes before anybody reads.
const FILL: u64 = (16 << 20) / PAYLOAD.size as u64;

/// Opens so many, and publishes to them until all of them have missed something; nothing, if there are
/// to be none.
pub(super) fn open(address: SocketAddr, count: usize) -> io::Result<Vec<Client>> {
    if count == 0 {
        return Ok(Vec::new());
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
    Ok(silent)
}
