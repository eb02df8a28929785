//! [`Sentinels`]: a server, its replica, and three Sentinels that make the replica the master when the server fails.

use std::{
    net::SocketAddr,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    broker_process::BrokerProcess,
    redis_server::{RedisServer, command_at},
};

/// The name of the master.
pub const MASTER: &str = "cache";

/// How long it may take until all Sentinels know each other, and the replica.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A Sentinel.
pub struct Sentinel {
    /// The Sentinel's process.
    pub process: BrokerProcess,
}

/// A replica, and Sentinels that watch it and its master.
pub struct Sentinels {
    /// The replica.
    pub replica: RedisServer,
    /// Three.
    pub sentinels: Vec<Sentinel>,
}

impl Sentinel {
    /// Starts a Sentinel for the server at this address, the [`MASTER`]. So many Sentinels have to agree that it is
    /// down. `{port}` in the configuration stands for another free port.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(program: &Path, master: SocketAddr, quorum: u8, configuration: &str) -> Self {
        let process = BrokerProcess::start("+monitor", |place| {
            let text = format!(
                "bind 127.0.0.1\nport {}\ndir {}\n\
                 sentinel monitor {MASTER} 127.0.0.1 {} {quorum}\n\
                 sentinel down-after-milliseconds {MASTER} 1000\n\
                 sentinel failover-timeout {MASTER} 5000\n\
                 {}\n",
                place.port,
                place.folder.display(),
                master.port(),
                configuration.replace("{port}", &place.other_port.to_string())
            );
            let mut command = Command::new(program);
            command.arg(place.write("sentinel.conf", &text)).arg("--sentinel");
            command
        });
        Self { process }
    }

    /// Returns whether it knows two others, and this replica.
    fn is_ready(&self, replica: &RedisServer) -> bool {
        let ask = |question| {
            let reply = command_at(self.process.address(), &["SENTINEL", question, MASTER]);
            reply.expect("a Sentinel that replies")
        };
        let (quorum, replicas) = (ask("CKQUORUM"), ask("REPLICAS"));
        quorum.starts_with("+OK 3 usable")
            && replicas.contains(&replica.process.address().to_string())
            && replicas.contains("master-link-status\nok\n")
    }
}

impl Sentinels {
    /// Starts a replica of a server, and Sentinels. Returns when they are ready for a failover.
    ///
    /// # Panics
    /// If they do not start.
    #[must_use]
    pub fn watch(program: &Path, master: &RedisServer) -> Self {
        let replica = RedisServer::start(program.to_owned(), &[]);
        replica.follow(master);
        let start = |_| Sentinel::start(program, master.process.address(), 2, "");
        let sentinels = Self { replica, sentinels: (0..3).map(start).collect() };
        let began = Instant::now();
        while !sentinels.sentinels.iter().all(|sentinel| sentinel.is_ready(&sentinels.replica)) {
            assert!(began.elapsed() < TIMEOUT, "the Sentinels do not find each other");
            thread::sleep(Duration::from_millis(50));
        }
        sentinels
    }

    /// Returns the URL.
    #[must_use]
    pub fn url(&self) -> String {
        let addresses =
            self.sentinels.iter().map(|sentinel| sentinel.process.address().to_string());
        format!("redis+sentinel://{}/{MASTER}", addresses.collect::<Vec<_>>().join(","))
    }
}
