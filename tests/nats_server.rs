//! [`NatsServer`]: a NATS server of a scenario's own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;

use crate::broker_process::{BrokerProcess, find_program, free_port};

/// A server.
pub struct NatsServer {
    /// The server's process.
    pub process: BrokerProcess,
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
        let process = BrokerProcess::start("Server is ready", |place| {
            let mut command = Command::new(&program);
            command.args(["--addr", "127.0.0.1", "--port", &place.port.to_string(), "--config"]);
            command.arg(place.write("nats.conf", configuration)).args(["--log", "/dev/stdout"]);
            command
        });
        Self { process }
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

    /// Lets the server ask its clients to leave. It closes their connections 10 s later.
    pub fn enter_lame_duck_mode(&self) {
        self.process.signal(Signal::USR2);
    }

    /// Returns the server's URL, with this user and password, such as `ann:secret@`.
    #[must_use]
    pub fn url(&self, login: &str) -> String {
        format!("nats://{login}{}", self.process.address())
    }

    /// Returns the server's URL for TLS.
    #[must_use]
    pub fn tls_url(&self) -> String {
        format!("tls://{}", self.process.address())
    }
}
