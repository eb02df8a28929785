//! [`Net`]: a network in memory, on a [`Sim`]. Names have the addresses that a scenario gives them;
//! an address connects, fails or says nothing; whoever listens can be knocked at.

use std::{
    collections::{BTreeSet, HashMap},
    future::pending,
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_channel::{Receiver, Sender, unbounded};
use prism_driver::{Network, Runtime};

use super::{
    pipe::{End, Script, pipe},
    sim::{Sim, Sleep},
};

#[derive(Clone)]
pub struct Net {
    sim: Sim,
    world: Arc<Mutex<World>>,
    /// What has connected, for whoever plays the servers.
    arrivals: (Sender<Arrival>, Receiver<Arrival>),
}

/// What becomes of an attempt to connect to an address.
#[derive(Clone, Copy)]
pub enum Reach {
    After(Duration),
    RefusedAfter(Duration),
    Never,
}

/// An address that somebody has connected to, the server's end, and the script of the pipe.
pub type Arrival = (SocketAddr, End, Script);

#[derive(Default)]
struct World {
    /// `None`: nobody says whether there is such a name.
    names: HashMap<String, Option<Vec<SocketAddr>>>,
    reach: HashMap<SocketAddr, Reach>,
    lookups: Vec<String>,
    attempts: Vec<String>,
    underway: usize,
    abandoned: BTreeSet<String>,
    tasks: usize,
    /// The queue of the listener.
    door: Option<Sender<(End, Script)>>,
    accepted: usize,
    /// How many connections there can be at once, and those that were accepted.
    descriptors: Option<(usize, Vec<Script>)>,
    undelayed: usize,
}

impl Net {
    pub fn new(sim: &Sim) -> Self {
        Self { sim: sim.clone(), world: Arc::default(), arrivals: unbounded() }
    }

    // ---- what there is

    pub fn address(&self, address: &str, reach: Reach) {
        self.world().reach.insert(address.parse().unwrap(), reach);
    }

    /// A name with these addresses, the preferred one first.
    pub fn name(&self, name: &str, addresses: &[(&str, Reach)]) {
        addresses.iter().for_each(|(address, reach)| self.address(address, *reach));
        let all = addresses.iter().map(|(address, _)| address.parse().unwrap()).collect();
        self.world().names.insert(name.to_owned(), Some(all));
    }

    /// A name whose lookup takes for ever.
    pub fn silent_name(&self, name: &str) {
        self.world().names.insert(name.to_owned(), None);
    }

    // ---- what has happened

    /// What was looked up.
    pub fn lookups(&self) -> Vec<String> {
        self.world().lookups.clone()
    }

    /// When which address was tried, such as `250 ms: [::1]:80`.
    pub fn attempts(&self) -> Vec<String> {
        self.world().attempts.clone()
    }

    /// The attempts that were dropped before they had an outcome.
    pub fn abandoned(&self) -> Vec<String> {
        self.world().abandoned.iter().cloned().collect()
    }

    /// How many attempts are still made.
    pub fn underway(&self) -> usize {
        self.world().underway
    }

    /// How many of the tasks that were spawned on this are not over.
    pub fn tasks(&self) -> usize {
        self.world().tasks
    }

    /// The next who has connected.
    pub async fn arrival(&self) -> Arrival {
        self.arrivals.1.recv().await.unwrap()
    }

    // ---- who listens

    /// Connects to the listener: its pipe's end, unless nobody listens.
    pub fn knock(&self) -> Option<(End, Script)> {
        let (server, client, script) = pipe();
        self.world().door.as_ref()?.try_send((server, script.clone())).ok()?;
        Some((client, script))
    }

    /// From now on so many connections take all descriptors that there are.
    pub fn set_descriptors(&self, count: usize) {
        self.world().descriptors = Some((count, Vec::new()));
    }

    /// How many connections were accepted.
    pub fn accepted(&self) -> usize {
        self.world().accepted
    }

    /// How many connections were told to hold nothing back. (They refuse: it is no more than advice.)
    pub fn undelayed(&self) -> usize {
        self.world().undelayed
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
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
        self.world().tasks += 1;
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
    type Stream = End;
    type Listener = Door;

    /// The real listener is let go: nobody has to knock at it.
    fn listen(&self, _: TcpListener) -> io::Result<Door> {
        let (knock, queue) = unbounded();
        self.world().door = Some(knock);
        Ok(Door { queue, first: Mutex::default() })
    }

    async fn accept(&self, listener: &Door) -> io::Result<(End, SocketAddr)> {
        let first = listener.first.lock().unwrap().take();
        let (stream, script) = match first {
            Some(first) => first,
            None => listener.queue.recv().await.map_err(io::Error::other)?,
        };
        let mut world = self.world();
        if let Some((count, taken)) = &mut world.descriptors {
            taken.retain(|script| !script.dropped_by_server());
            if taken.len() >= *count {
                *listener.first.lock().unwrap() = Some((stream, script));
                return Err(io::Error::from_raw_os_error(EMFILE));
            }
            taken.push(script);
        }
        world.accepted += 1;
        Ok((stream, SocketAddr::from(([127, 0, 0, 1], 50_000))))
    }

    async fn resolve(&self, host: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        self.world().lookups.push(host.to_owned());
        let found = self.world().names.get(host).cloned();
        match found {
            Some(Some(addresses)) => Ok(addresses),
            Some(None) => pending().await,
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
        }
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<End> {
        let began = self.now().as_millis();
        self.world().attempts.push(format!("{began} ms: {address}"));
        self.world().underway += 1;
        let mut attempt = Attempt { net: self, address, over: false };
        let reach = self.world().reach[&address];
        match reach {
            Reach::After(span) | Reach::RefusedAfter(span) => self.sleep(span).await,
            Reach::Never => pending().await,
        }
        attempt.over = true;
        if matches!(reach, Reach::RefusedAfter(_)) {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "refused"));
        }
        let (server, client, script) = pipe();
        self.arrivals.0.try_send((address, server, script)).unwrap();
        Ok(client)
    }

    fn set_nodelay(&self, _: &End) -> io::Result<()> {
        self.world().undelayed += 1;
        Err(io::ErrorKind::InvalidInput.into())
    }
}

/// A listener. As with TCP, those who still wait in its queue are lost with it.
pub struct Door {
    queue: Receiver<(End, Script)>,
    /// Who came for a descriptor in vain, and is still the first.
    first: Mutex<Option<(End, Script)>>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.queue.close();
        while self.queue.try_recv().is_ok() {}
    }
}

/// An attempt to connect, which is abandoned if it is dropped before it is over.
struct Attempt<'a> {
    net: &'a Net,
    address: SocketAddr,
    over: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut world = self.net.world();
        world.underway -= 1;
        if !self.over {
            world.abandoned.insert(self.address.to_string());
        }
    }
}

/// A task that is not over.
struct Task(Net);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.world().tasks -= 1;
    }
}
