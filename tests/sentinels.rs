//! [`Sentinels`]: a server, its replica, and three Sentinels that make the replica the master when the server fails.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    redis_server::{RedisServer, command_at, create_folder, free_port},
    subprocess::Subprocess,
};

/// The name of the master.
pub const MASTER: &str = "cache";

/// How long it may take until all Sentinels know each other, and the replica.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A Sentinel. It is killed when this is dropped.
pub struct Sentinel {
    port: u16,
    other_port: u16,
    folder: PathBuf,
    _process: Subprocess,
}

/// A replica, and Sentinels that watch it and its master.
pub struct Sentinels {
    /// The replica.
    pub replica: RedisServer,
    /// Three.
    pub sentinels: Vec<Sentinel>,
}

impl Sentinel {
    /// Starts a Sentinel for the server at this address, the [`MASTER`]. So many Sentinels have to agree that it is down.
    /// `{port}` in the configuration stands for another free port.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(program: &Path, master: SocketAddr, quorum: u8, configuration: &str) -> Self {
        for _ in 0..20 {
            if let Some(sentinel) = Self::try_start(program, master, quorum, configuration) {
                return sentinel;
            }
        }
        panic!("the Sentinel does not start");
    }

    fn try_start(
        program: &Path,
        master: SocketAddr,
        quorum: u8,
        configuration: &str,
    ) -> Option<Self> {
        let (port, other_port, folder) = (free_port(), free_port(), create_folder());
        let (file, master_port) = (folder.join("sentinel.conf"), master.port());
        let text = format!(
            "bind 127.0.0.1\nport {port}\ndir {}\n\
             sentinel monitor {MASTER} 127.0.0.1 {master_port} {quorum}\n\
             sentinel down-after-milliseconds {MASTER} 1000\n\
             sentinel failover-timeout {MASTER} 5000\n\
             {}\n",
            folder.display(),
            configuration.replace("{port}", &other_port.to_string())
        );
        fs::write(&file, text).expect("a folder of its own");
        let process = Subprocess::start(Command::new(program).arg(&file).arg("--sentinel"));
        while let Ok(line) = process.next_line() {
            if line.contains("+monitor") {
                return Some(Self { port, other_port, folder, _process: process });
            }
        }
        let _ = fs::remove_dir_all(&folder);
        None // such as when somebody else has taken the port meanwhile
    }

    /// Returns the Sentinel's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Returns the address with the other port, if its configuration uses that.
    #[must_use]
    pub fn other_address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.other_port).into()
    }

    /// Returns whether it knows two others, and this replica.
    fn is_ready(&self, replica: &RedisServer) -> bool {
        let ask = |question| {
            let reply = command_at(self.address(), &["SENTINEL", question, MASTER]);
            reply.expect("a Sentinel that replies")
        };
        let (quorum, replicas) = (ask("CKQUORUM"), ask("REPLICAS"));
        quorum.starts_with("+OK 3 usable")
            && replicas.contains(&replica.address().to_string())
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
        let start = |_| Sentinel::start(program, master.address(), 2, "");
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
        let addresses = self.sentinels.iter().map(|sentinel| sentinel.address().to_string());
        format!("redis+sentinel://{}/{MASTER}", addresses.collect::<Vec<_>>().join(","))
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
