//! [`Hosts`]: what a simulated network knows of names and addresses.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use async_channel::Sender;

use crate::pipe::{PipeEnd, faults::Faults, pipe};

/// What happens to an attempt to connect to an address of a [`Sim`](crate::Sim).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It succeeds after this time, if something listens. The default is zero.
    After(Duration),
    /// It is refused after this time.
    RefusedAfter(Duration),
    /// There is no answer at all.
    Never,
}

/// A connection that a [`SimListener`](crate::SimListener) has accepted.
#[derive(Debug)]
pub struct Incoming {
    /// The server's end.
    pub stream: PipeEnd,
    /// What controls the pipe.
    pub faults: Faults,
    /// The address that the client has connected to.
    pub address: SocketAddr,
    /// The address of the client.
    pub peer_addr: SocketAddr,
}

#[derive(Default)]
pub(super) struct Hosts {
    names: HashMap<String, Vec<SocketAddr>>,
    reach: HashMap<SocketAddr, Reach>,
    listeners: HashMap<SocketAddr, Sender<Incoming>>,
    /// How many connections were made.
    count: u16,
    pub(super) last_connection: Option<Faults>,
}

impl Hosts {
    pub(super) fn set_name(&mut self, host: &str, addresses: &[SocketAddr]) {
        self.names.insert(host.to_owned(), addresses.to_vec());
    }

    pub(super) fn resolve(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        let found = self.names.get(host).cloned();
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"))
    }

    pub(super) fn set_reach(&mut self, address: SocketAddr, reach: Reach) {
        self.reach.insert(address, reach);
    }

    pub(super) fn reach(&self, address: SocketAddr) -> Reach {
        self.reach.get(&address).copied().unwrap_or(Reach::After(Duration::ZERO))
    }

    pub(super) fn add_listener(&mut self, address: SocketAddr, queue: Sender<Incoming>) {
        self.listeners.insert(address, queue);
    }

    pub(super) fn is_listening(&self, address: SocketAddr) -> bool {
        self.listeners.get(&address).is_some_and(|queue| !queue.is_closed())
    }

    /// Returns an address for documentation (RFC 5737) on which nothing listens.
    #[cfg(feature = "hyper")]
    pub(super) fn free_server_address(&self) -> SocketAddr {
        let mut addresses = (1..).map(|port| SocketAddr::from(([192, 0, 2, 0], port)));
        addresses.find(|address| !self.is_listening(*address)).expect("fewer than 65,536 servers")
    }

    /// Connects to an address. Returns the client's end.
    ///
    /// # Errors
    /// If nothing listens there.
    pub(super) fn connect(
        &mut self,
        address: SocketAddr,
        from: Option<SocketAddr>,
    ) -> io::Result<(PipeEnd, Faults)> {
        let (stream, client, faults) = pipe();
        let peer_addr = from.unwrap_or_else(|| self.free_address());
        let incoming = Incoming { stream, faults: faults.clone(), address, peer_addr };
        let queue = self.listeners.get(&address);
        if queue.is_none_or(|queue| queue.try_send(incoming).is_err()) {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "nothing listens there"));
        }
        self.last_connection = Some(faults.clone());
        Ok((client, faults))
    }

    /// Returns an address for a client. The ports are those that operating systems choose (RFC 6335 §6).
    fn free_address(&mut self) -> SocketAddr {
        const EPHEMERAL: u16 = 49_152;
        let port = EPHEMERAL + self.count % (u16::MAX - EPHEMERAL);
        self.count = self.count.wrapping_add(1);
        (Ipv4Addr::LOCALHOST, port).into()
    }
}
