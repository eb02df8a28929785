//! [`NatsServer`]: a NATS server of a scenario's own, on a free port of 127.0.0.1, which keeps nothing.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;

use crate::{
    redis_server::{create_folder, find_program, free_port},
    subprocess::Subprocess,
};

/// A server. It is killed when this is dropped.
pub struct NatsServer {
    program: PathBuf,
    port: u16,
    folder: PathBuf,
    process: Option<Subprocess>,
}

impl NatsServer {
    /// Returns the program: it is on the path, or where `.ci/install` puts it. If there is none, says so, and returns
    /// `None`, with which the scenario is over.
    ///
    /// # Panics
    /// If there is none, and the environment has `PRISM_TESTS_ALL`.
    #[must_use]
    pub fn find() -> Option<PathBuf> {
        find_program("nats-server")
    }

    /// Starts a server with this configuration on a free port.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(program: PathBuf, configuration: &str) -> Self {
        let folder = create_folder();
        fs::write(folder.join("nats.conf"), configuration).expect("a writable folder");
        let mut server = Self { program, port: 0, folder, process: None };
        for _ in 0..20 {
            server.port = free_port();
            if server.try_start() {
                return server;
            }
        }
        panic!("the server does not start");
    }

    /// Starts servers that are one NATS cluster, each with this configuration.
    ///
    /// # Panics
    /// If they do not start.
    #[must_use]
    pub fn start_cluster<const N: usize>(program: &Path, configuration: &str) -> [Self; N] {
        let ports = [(); N].map(|()| free_port());
        let routes = ports.map(|port| format!("\"nats-route://127.0.0.1:{port}\"")).join(", ");
        ports.map(|port| {
            let cluster = format!("name: test, listen: \"127.0.0.1:{port}\", routes: [{routes}]");
            Self::start(program.to_owned(), &format!("{configuration}\ncluster {{ {cluster} }}"))
        })
    }

    fn try_start(&mut self) -> bool {
        let mut command = Command::new(&self.program);
        command.args(["--addr", "127.0.0.1", "--port", &self.port.to_string(), "--config"]);
        command.arg(self.folder.join("nats.conf")).args(["--log", "/dev/stdout"]);
        let process = Subprocess::start(&mut command);
        while let Ok(line) = process.next_line() {
            if line.contains("Server is ready") {
                self.process = Some(process);
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
        self.process = None;
    }

    /// Stops the server as SIGSTOP does: its connections stay open, and nothing moves.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Lets the server ask its clients to leave. It closes their connections 10 s later.
    pub fn enter_lame_duck_mode(&self) {
        self.signal(Signal::USR2);
    }

    fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("a server that runs").signal(signal);
    }

    /// Returns the server's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Returns the server's URL, with this user and password, such as `ann:secret@`.
    #[must_use]
    pub fn url(&self, login: &str) -> String {
        format!("nats://{login}{}", self.address())
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.process = None;
        let _ = fs::remove_dir_all(&self.folder);
    }
}
