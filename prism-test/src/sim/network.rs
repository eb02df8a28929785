//! A [`Sim`] is a [`Network`]: servers and clients connect over pipes.

use std::{
    fmt,
    future::pending,
    io,
    net::{SocketAddr, TcpListener},
    sync::MutexGuard,
};

use async_channel::{Receiver, Sender, unbounded};
use prism_driver::{Network, Runtime};

use super::{
    Sim,
    hosts::{Hosts, Incoming, Reach},
};
use crate::pipe::{PipeEnd, faults::Faults};

/// Addresses and names. Nothing of this leaves the process.
impl Sim {
    /// Lets a host name lead to these addresses, the preferred one first. The port of a URL does not matter.
    ///
    /// [`start_server`](Self::start_server) does so for its server.
    pub fn set_name(&self, host: &str, addresses: &[SocketAddr]) {
        self.hosts().set_name(host, addresses);
    }

    /// Sets what happens to attempts to connect to an address, from now on.
    pub fn set_reach(&self, address: SocketAddr, reach: Reach) {
        self.hosts().set_reach(address, reach);
    }

    /// Listens on these addresses without a [`Server`](prism_driver::Server): the test accepts the connections by hand.
    pub fn listener(&self, addresses: &[SocketAddr]) -> SimListener {
        let listener = SimListener { sim: self.clone(), queue: unbounded() };
        addresses.iter().for_each(|address| listener.add(*address));
        listener
    }

    /// Connects to an address from another one at once, without the opening handshake of a WebSocket. Returns the
    /// client's end, and what controls the connection.
    ///
    /// # Errors
    /// If nothing listens there.
    pub fn connect_from(
        &self,
        from: SocketAddr,
        address: SocketAddr,
    ) -> io::Result<(PipeEnd, Faults)> {
        self.hosts().connect(address, Some(from))
    }

    /// Returns what controls the connection that was made last, if there was one.
    pub fn last_connection(&self) -> Option<Faults> {
        self.hosts().last_connection.clone()
    }

    /// Returns an address on which nothing listens.
    #[cfg(feature = "hyper")]
    pub(super) fn free_server_address(&self) -> SocketAddr {
        self.hosts().free_server_address()
    }

    fn hosts(&self) -> MutexGuard<'_, Hosts> {
        self.state.hosts.lock().expect("nothing panics with the hosts locked")
    }
}

impl Network for Sim {
    type Stream = PipeEnd;
    type Listener = SimListener;

    /// Listens on the address of the real listener, and drops that.
    fn listen(&self, listener: TcpListener) -> io::Result<SimListener> {
        let address = listener.local_addr()?;
        if self.hosts().is_listening(address) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        Ok(self.listener(&[address]))
    }

    async fn accept(&self, listener: &SimListener) -> io::Result<(PipeEnd, SocketAddr)> {
        let incoming = listener.accept().await;
        Ok((incoming.stream, incoming.peer_addr))
    }

    async fn resolve(&self, host: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        self.hosts().resolve(host)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<PipeEnd> {
        let reach = self.hosts().reach(address);
        match reach {
            Reach::After(span) | Reach::RefusedAfter(span) => self.sleep(span).await,
            Reach::Never => pending().await,
        }
        if matches!(reach, Reach::RefusedAfter(_)) {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "refused"));
        }
        Ok(self.hosts().connect(address, None)?.0)
    }

    /// Does nothing: a pipe delays nothing.
    fn set_nodelay(&self, _: &PipeEnd) -> io::Result<()> {
        Ok(())
    }
}

/// A listener of a [`Sim`]. As with TCP, connections that are still in its queue are lost with it.
pub struct SimListener {
    sim: Sim,
    queue: (Sender<Incoming>, Receiver<Incoming>),
}

impl SimListener {
    /// Listens on another address as well.
    pub fn add(&self, address: SocketAddr) {
        self.sim.hosts().add_listener(address, self.queue.0.clone());
    }

    /// Accepts the next connection. Cancel-safe.
    pub async fn accept(&self) -> Incoming {
        match self.queue.1.recv().await {
            Ok(incoming) => incoming,
            Err(_) => pending().await, // never: the listener has a sender itself
        }
    }
}

impl fmt::Debug for SimListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimListener").field("queued", &self.queue.1.len()).finish_non_exhaustive()
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        self.queue.1.close();
        while self.queue.1.try_recv().is_ok() {}
    }
}
