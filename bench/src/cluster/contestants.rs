//! What is compared.

use std::{
    error::Error,
    fs, io,
    path::Path,
    process::{Command, Stdio},
};

use super::protocol::Protocol;
use crate::report::{
    contestants::sibling,
    machine::{output, versions_of},
    running::pinned,
};

/// A kind of node.
#[derive(Clone, Copy, Debug)]
pub struct Contestant {
    /// Its name on the command line and in the tables.
    pub name: &'static str,
    pub(super) protocol: Protocol,
    program: Program,
}

#[derive(Clone, Copy, Debug)]
enum Program {
    /// `cluster node NAME`.
    This,
    /// A package of its own.
    Socketioxide,
    /// `socket_io/server.mjs`, with this adapter.
    SocketIo(&'static str),
}

const ALL: [Contestant; 5] = [
    Contestant { name: "prism-rooms", protocol: Protocol::Plain, program: Program::This },
    Contestant { name: "floor-tokio", protocol: Protocol::Plain, program: Program::This },
    Contestant {
        name: "socketioxide",
        protocol: Protocol::SocketIo,
        program: Program::Socketioxide,
    },
    Contestant {
        name: "socket.io",
        protocol: Protocol::SocketIo,
        program: Program::SocketIo("pub-sub"),
    },
    Contestant {
        name: "socket.io-streams",
        protocol: Protocol::SocketIo,
        program: Program::SocketIo("streams"),
    },
];

/// The crates whose versions are named.
const CRATES: &[&str] = &["tokio", "axum", "socketioxide", "socketioxide-redis", "redis"];

/// The npm packages whose versions are named.
const PACKAGES: &[&str] =
    &["socket.io", "@socket.io/redis-adapter", "@socket.io/redis-streams-adapter", "redis", "ws"];

/// The folder of Socket.IO's server, in which `socket_io/install` puts the packages.
const SOCKET_IO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/socket_io");

/// Returns the contestants with these names, or all, as far as they are installed.
///
/// # Errors
/// If there is none with one of the names.
pub fn contestants(names: &[String]) -> Result<Vec<Contestant>, Box<dyn Error>> {
    for name in names {
        if !ALL.iter().any(|contestant| contestant.name == name) {
            let known = ALL.map(|contestant| contestant.name).join(", ");
            return Err(format!("no contestant is named {name}; there are {known}").into());
        }
    }
    let wanted = |contestant: &Contestant| {
        names.is_empty() || names.iter().any(|name| name == contestant.name)
    };
    let all = ALL.into_iter().filter(|contestant| wanted(contestant) && contestant.is_installed());
    Ok(all.collect())
}

/// Returns the names of the contestants that are not installed.
#[must_use]
pub fn not_installed() -> Vec<&'static str> {
    let missing = ALL.iter().filter(|contestant| !contestant.is_installed());
    missing.map(|contestant| contestant.name).collect()
}

/// Returns names and versions of all software that takes part.
pub(super) fn versions() -> Vec<String> {
    let redis = output("redis-server", &["--version"]);
    let redis = redis.split(" sha=").next().unwrap_or_default().to_owned();
    let crates = versions_of(CRATES).into_iter();
    let crates: Vec<_> = crates.map(|(name, version)| format!("{name} {version}")).collect();
    let mut versions = vec![redis, format!("crates: {}", crates.join(", "))];
    if has_socket_io() {
        let version = |name: &&str| Some(format!("{name} {}", package_version(name)?));
        let packages: Vec<_> = PACKAGES.iter().filter_map(version).collect();
        let node = output("node", &["--version"]);
        versions.push(format!("Node {node}: {}", packages.join(", ")));
    }
    versions
}

impl Contestant {
    /// Returns the command of a node on this core.
    pub(super) fn command(&self, core: &str, redis: &str) -> io::Result<Command> {
        const ADDRESS: &str = "127.0.0.1:0";
        let mut command = pinned(core);
        match self.program {
            Program::This => {
                command.arg(sibling("cluster")?).args(["node", self.name, ADDRESS, redis]);
            }
            Program::Socketioxide => {
                command.arg(sibling("socketioxide")?).args([ADDRESS, redis]);
            }
            Program::SocketIo(adapter) => {
                command.arg("node").arg(format!("{SOCKET_IO}/server.mjs"));
                command.args([ADDRESS, redis, adapter]).env("NODE_ENV", "production");
            }
        }
        Ok(command)
    }

    fn is_installed(&self) -> bool {
        self.program.is_installed()
    }
}

impl Program {
    fn is_installed(self) -> bool {
        match self {
            Self::This => true,
            Self::Socketioxide => sibling("socketioxide").is_ok_and(|path| path.exists()),
            Self::SocketIo(_) => has_socket_io(),
        }
    }
}

fn has_socket_io() -> bool {
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).status();
    node.is_ok_and(|status| status.success()) && package_version("socket.io").is_some()
}

/// Returns the version of an installed npm package.
fn package_version(name: &str) -> Option<String> {
    let file = Path::new(SOCKET_IO).join("node_modules").join(name).join("package.json");
    let package: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    Some(package.get("version")?.as_str()?.to_owned())
}
