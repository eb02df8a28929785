//! [`BrokerProcess`]: a message broker of a scenario's own, on a free port of 127.0.0.1, which keeps nothing.

use std::{
    env, fs,
    net::{SocketAddr, TcpListener},
    ops::Range,
    path::PathBuf,
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use rustix::process::Signal;

use crate::subprocess::Subprocess;

/// Where servers listen: not where the system takes the ports of clients from. A client that tries to connect to such a
/// port while nobody listens there may be given the same port, and so be connected to itself.
const PORTS: Range<u16> = 20_000..32_000;

/// How often other ports are tried.
const ATTEMPTS: usize = 20;

/// A server, or a Sentinel. It is killed when this is dropped.
pub struct BrokerProcess {
    /// Dropped first, so that no server runs without its folder.
    running: Option<Subprocess>,
    place: Place,
    command: Command,
    /// Part of the line that says that the server listens.
    ready: &'static str,
}

/// What one server may use. Its folder is removed when this is dropped.
pub(crate) struct Place {
    pub(crate) port: u16,
    /// For servers that listen on two ports.
    pub(crate) other_port: u16,
    pub(crate) folder: PathBuf,
}

impl BrokerProcess {
    /// Starts the server that `command` returns for a place. It prints a line with `ready` once it listens.
    ///
    /// # Panics
    /// If it does not start.
    pub(crate) fn start(ready: &'static str, command: impl Fn(&Place) -> Command) -> Self {
        let attempt = |_| {
            let place = Place::new();
            let mut server = Self { running: None, command: command(&place), place, ready };
            server.try_start().then_some(server)
        };
        (0..ATTEMPTS).find_map(attempt).expect("a server that starts")
    }

    fn try_start(&mut self) -> bool {
        let process = Subprocess::start(&mut self.command);
        while let Ok(line) = process.next_line() {
            if line.contains(self.ready) {
                self.running = Some(process);
                return true;
            }
        }
        false // such as when somebody else has taken the port meanwhile
    }

    /// Starts the server again after [`kill`](Self::kill), on the same port.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_again(&mut self) {
        assert!(self.try_start(), "the server does not start again");
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Stops the server as SIGSTOP does: its connections stay open, and nothing moves.
    ///
    /// # Panics
    /// If the server does not run.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Ends a [`pause`](Self::pause).
    ///
    /// # Panics
    /// If the server does not run.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends a signal to the server.
    ///
    /// # Panics
    /// If the server does not run.
    pub(crate) fn signal(&self, signal: Signal) {
        self.running.as_ref().expect("a server that runs").signal(signal);
    }

    /// Returns the server's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.place.port).into()
    }

    /// Returns the address with the server's other port, if it listens there.
    #[must_use]
    pub fn other_address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.place.other_port).into()
    }
}

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let folder = env::temp_dir().join(format!("prism-broker-{}-{number}", process::id()));
        fs::create_dir(&folder).expect("a folder of its own");
        Self { port: free_port(), other_port: free_port(), folder }
    }

    /// Writes a file, and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, text).expect("a writable folder");
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder); // what is left does no harm
    }
}

/// Returns a program that is on the path, or where `.ci/install` puts it. If it is missing, says so, and returns
/// `None`, with which the scenario is over.
///
/// # Panics
/// If it is missing, and the environment has `PRISM_TESTS_ALL`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let program = env::current_exe().expect("the path of this program");
    let installed = program.ancestors().map(|folder| folder.join("ci"));
    let found = env::split_paths(&path).chain(installed).map(|folder| folder.join(name));
    let found = found.into_iter().find(|program| program.is_file());
    if found.is_none() {
        assert!(env::var_os("PRISM_TESTS_ALL").is_none(), "{name} is missing: see .ci/install");
        eprintln!("NOT TESTED: {name} is missing");
    }
    found
}

/// Returns a port on which nobody listens now.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(PORTS);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
