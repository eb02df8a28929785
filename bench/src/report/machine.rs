//! The machine, and the versions of the software.

use std::{fs, process::Command};

/// The crates whose versions are named.
const NAMED: &[&str] = &[
    "actix-web",
    "actix-ws",
    "fastwebsockets",
    "shiguredo_websocket",
    "sockudo-ws",
    "tokio-tungstenite",
    "tokio-websockets",
    "wtx",
    "yawc",
    "async-std",
    "smol",
    "tokio",
    "axum",
    "hyper",
    "h2",
    "flate2",
    "zlib-rs",
    "rustls",
    "ring",
];

/// Returns lines that describe the machine and its software.
pub(crate) fn machine() -> Vec<String> {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".into());
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kib = memory.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or(0.0);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    vec![
        format!("{cpu}, {cores} cores, {:.0} GiB of memory", kib / f64::from(1 << 20)),
        format!("Linux {}", kernel.trim()),
        output("rustc", &["--version"]),
        format!("measured on {}", output("date", &["-u", "+%F"])),
    ]
}

/// Returns names and versions of the crates that the page names.
pub(super) fn versions() -> Vec<(&'static str, String)> {
    versions_of(NAMED)
}

/// Returns names and versions from the lock file of this build.
pub(crate) fn versions_of(names: &[&'static str]) -> Vec<(&'static str, String)> {
    let lock = include_str!("../../Cargo.lock");
    let version = |name: &&'static str| {
        // The last version is the highest.
        let (_, entry) = lock.rsplit_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some((*name, entry.split_once('"')?.0.to_owned()))
    };
    names.iter().filter_map(version).collect()
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Returns what a program prints about itself.
pub(crate) fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| format!("{program} unknown"))
}
