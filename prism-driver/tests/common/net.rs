//! [`Net`]: the network of a [`Sim`], which also records what is done with it. The test defines host names and
//! addresses, and whether an address connects, refuses or does not answer. Tests connect to a listener by
//! [`Net::connect_raw`].

use std::{
    collections::BTreeSet,
    future::pending,
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use prism_driver::{AdaptStream, Network, Runtime, Server, ServerStats, Transport};
pub use prism_test::Reach;
use prism_test::{Faults, Incoming, PipeEnd, Sim, SimListener, Sleep};

#[derive(Clone)]
pub struct Net {
    sim: Sim,
    state: Arc<Mutex<State>>,
    /// Accepts the connections to all addresses that the test has defined.
    arrivals: Arc<SimListener>,
}

/// The address that was connected to, the server's end, and the faults of the pipe.
pub type Arrival = (SocketAddr, PipeEnd, Faults);

#[derive(Default)]
struct State {
    /// Names whose lookup never returns.
    silent_names: BTreeSet<String>,
    lookups: Vec<String>,
    attempts: Vec<String>,
    in_progress: usize,
    abandoned: BTreeSet<String>,
    tasks: usize,
    last_task_size: usize,
    /// The address of the listener.
    listening: Option<SocketAddr>,
    accepted: usize,
    accept_failures: usize,
    /// The limit on descriptors, and the connections that use one.
    descriptors: Option<(usize, Vec<Faults>)>,
    nodelay_count: usize,
}

/// The address of a peer that has no other.
pub const PEER: &str = "127.0.0.1:50000";

impl Net {
    pub fn new(sim: &Sim) -> Self {
        Self { sim: sim.clone(), state: Arc::default(), arrivals: Arc::new(sim.listener(&[])) }
    }

    // ---- addresses and names

    pub fn address(&self, address: &str, reach: Reach) {
        let address = address.parse().unwrap();
        self.sim.set_reach(address, reach);
        self.arrivals.add(address);
    }

    /// Defines a name with these addresses, the preferred one first.
    pub fn name(&self, name: &str, addresses: &[(&str, Reach)]) {
        addresses.iter().for_each(|(address, reach)| self.address(address, *reach));
        let all: Vec<_> = addresses.iter().map(|(address, _)| address.parse().unwrap()).collect();
        self.sim.set_name(name, &all);
    }

    /// Defines a name whose lookup never returns.
    pub fn silent_name(&self, name: &str) {
        self.state().silent_names.insert(name.to_owned());
    }

    // ---- what has happened

    /// Returns the names that were looked up.
    pub fn lookups(&self) -> Vec<String> {
        self.state().lookups.clone()
    }

    /// Returns which address was tried when, such as `250 ms: [::1]:80`.
    pub fn attempts(&self) -> Vec<String> {
        self.state().attempts.clone()
    }

    /// Forgets the attempts so far, so that their list does not count as memory of a client.
    pub fn forget_attempts(&self) {
        self.state().attempts = Vec::new();
    }

    /// Returns the attempts that were dropped before they had an outcome.
    pub fn abandoned(&self) -> Vec<String> {
        self.state().abandoned.iter().cloned().collect()
    }

    /// Returns the number of attempts in progress.
    pub fn in_progress(&self) -> usize {
        self.state().in_progress
    }

    /// Returns the number of tasks that were spawned on this network and are still running.
    pub fn tasks(&self) -> usize {
        self.state().tasks
    }

    /// Returns the size in bytes of the last task that was spawned on this network.
    pub fn last_task_size(&self) -> usize {
        self.state().last_task_size
    }

    /// Waits for the next connection to an address.
    pub async fn arrival(&self) -> Arrival {
        let Incoming { address, stream, faults, .. } = self.arrivals.accept().await;
        (address, stream, faults)
    }

    // ---- the listener

    /// Starts a server on this network, after `build` has changed it. Returns its counters.
    pub fn serve(&self, build: impl FnOnce(Server<Self>) -> Server<Self>) -> ServerStats {
        let bound = self.sim.run(Server::bind_on(self.clone(), "127.0.0.1:0")).unwrap();
        let server = build(bound);
        let stats = server.stats();
        self.sim.spawn(server.serve());
        self.sim.run(self.sim.settle());
        stats
    }

    /// Connects to the listener, without a handshake. `None`: nothing listens.
    pub fn connect_raw(&self) -> Option<(PipeEnd, Faults)> {
        self.connect_from(PEER)
    }

    /// Connects to the listener from this address.
    pub fn connect_from(&self, address: &str) -> Option<(PipeEnd, Faults)> {
        let listening = self.state().listening?;
        self.sim.connect_from(address.parse().unwrap(), listening).ok()
    }

    /// Limits the number of accepted connections that can be open at once.
    pub fn set_descriptors(&self, count: usize) {
        self.state().descriptors = Some((count, Vec::new()));
    }

    /// Makes `accept` fail this many times with an error that is about no single connection.
    #[cfg(feature = "tracing")]
    pub fn fail_accept(&self, times: usize) {
        self.state().accept_failures = times;
    }

    /// Returns how many connections were accepted.
    pub fn accepted(&self) -> usize {
        self.state().accepted
    }

    /// Returns how often `set_nodelay` was called. (It always fails, which must not matter.)
    pub fn nodelay_count(&self) -> usize {
        self.state().nodelay_count
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl<T: Transport> AdaptStream<T> for Net {
    type Transport = T;

    fn adapt(stream: T) -> T {
        stream
    }
}

impl Runtime for Net {
    type Sleep = Sleep;

    fn now(&self) -> Duration {
        self.sim.now()
    }

    fn sleep(&self, span: Duration) -> Sleep {
        self.sim.sleep(span)
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.state().tasks += 1;
        self.state().last_task_size = size_of_val(&future);
        let task = Task(self.clone());
        self.sim.spawn(async move {
            let _counted = task;
            future.await;
        });
    }
}

/// "Too many open files", on every Unix.
const EMFILE: i32 = 24;

impl Network for Net {
    type Stream = PipeEnd;
    type Listener = NetListener;

    fn listen(&self, listener: TcpListener) -> io::Result<NetListener> {
        self.state().listening = Some(listener.local_addr()?);
        Ok(NetListener { listener: self.sim.listen(listener)?, first: Mutex::default() })
    }

    async fn accept(&self, listener: &NetListener) -> io::Result<(PipeEnd, SocketAddr)> {
        let first = listener.first.lock().unwrap().take();
        let incoming = match first {
            Some(first) => first,
            None => listener.listener.accept().await,
        };
        let mut state = self.state();
        if state.accept_failures > 0 {
            state.accept_failures -= 1;
            *listener.first.lock().unwrap() = Some(incoming);
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if let Some((count, taken)) = &mut state.descriptors {
            taken.retain(|faults| !faults.dropped_by_server());
            if taken.len() >= *count {
                *listener.first.lock().unwrap() = Some(incoming);
                return Err(io::Error::from_raw_os_error(EMFILE));
            }
            taken.push(incoming.faults);
        }
        state.accepted += 1;
        Ok((incoming.stream, incoming.peer_addr))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.state().lookups.push(host.to_owned());
        let silent = self.state().silent_names.contains(host);
        if silent {
            return pending().await;
        }
        self.sim.resolve(host, port).await
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<PipeEnd> {
        let began = self.now().as_millis();
        self.state().attempts.push(format!("{began} ms: {address}"));
        self.state().in_progress += 1;
        let mut attempt = Attempt { net: self, address, over: false };
        let outcome = self.sim.connect(address).await;
        attempt.over = true;
        outcome
    }

    fn set_nodelay(&self, _: &PipeEnd) -> io::Result<()> {
        self.state().nodelay_count += 1;
        Err(io::ErrorKind::InvalidInput.into())
    }
}

/// A listener that may have no descriptor for a connection.
pub struct NetListener {
    listener: SimListener,
    /// The connection that found no descriptor, and is the next to be accepted.
    first: Mutex<Option<Incoming>>,
}

/// An attempt to connect, which counts as abandoned if it is dropped before it is over.
struct Attempt<'a> {
    net: &'a Net,
    address: SocketAddr,
    over: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut state = self.net.state();
        state.in_progress -= 1;
        if !self.over {
            state.abandoned.insert(self.address.to_string());
        }
    }
}

/// Counts a running task.
struct Task(Net);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.state().tasks -= 1;
    }
}
