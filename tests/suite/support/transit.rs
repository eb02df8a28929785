//! [`Transit`]: which bytes of a peer are still on their way.

use std::{fs, net::SocketAddr};

use super::peer::Peer;

/// The number of bytes that a peer has written and that the other end, in this process, has not read. They are in the
/// kernel, at either end.
pub(crate) struct Transit {
    /// Those that the other end's socket has not acknowledged.
    unacknowledged: usize,
    /// Those that have arrived, and that the application has not read.
    pub(crate) unread: usize,
}

impl Transit {
    /// Returns whether the other end has read everything.
    pub(crate) const fn is_over(&self) -> bool {
        self.unacknowledged == 0 && self.unread == 0
    }
}

impl Peer {
    pub(crate) fn transit(&self) -> Transit {
        let here = self.stream.local_addr().expect("a socket");
        let there = self.stream.peer_addr().expect("a connected socket");
        // First the own end: what it does not hold any more has arrived when the table is read again.
        let (unacknowledged, _) = queues(here, there).expect("a connected socket");
        let (_, unread) = queues(there, here).expect("an open connection");
        Transit { unacknowledged, unread }
    }
}

/// Returns the lengths of a socket's queues: to be sent, and to be read.
fn queues(local: SocketAddr, remote: SocketAddr) -> Option<(usize, usize)> {
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux");
    let [local, remote] = [local, remote].map(in_table);
    table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        if (fields.next()?, fields.next()?) != (&*local, &*remote) {
            return None;
        }
        let (to_send, to_read) = fields.nth(1)?.split_once(':')?;
        let number = |digits| usize::from_str_radix(digits, 16).ok();
        Some((number(to_send)?, number(to_read)?))
    })
}

/// Returns an IPv4 address as the table has it.
fn in_table(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { panic!("{address} is in another table") };
    format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
}
