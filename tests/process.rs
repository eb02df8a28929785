//! What this process has of the operating system's.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process, and those that it starts, have so many descriptors: the soft limit is often
/// far below the hard one.
///
/// # Panics
/// If that, too, is lower: a smaller scenario would be another one.
pub fn allow_descriptors(count: usize) {
    let count = count as u64;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|soft| soft >= count) {
        return;
    }
    if let Some(hard) = limit.maximum {
        assert!(hard >= count, "this needs {count} descriptors, and `ulimit -Hn` allows {hard}");
    }
    let raised = Rlimit { current: Some(count), ..limit };
    setrlimit(Resource::Nofile, raised).expect("up to the hard limit it may be raised");
}

/// How many descriptors this process has.
///
/// # Panics
/// If this is not Linux.
#[must_use]
pub fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("Linux").count()
}

/// How many threads this process has.
///
/// # Panics
/// If this is not Linux.
#[must_use]
pub fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("Linux").count()
}

/// How many bytes of memory this process holds.
///
/// # Panics
/// If this is not Linux.
#[must_use]
pub fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
    kib.and_then(|kib| kib.trim().parse::<usize>().ok()).expect("a number of KiB") << 10
}
