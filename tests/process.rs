//! The operating system resources of this process.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of file descriptors for this process and its children to `count`. It is
/// often far below the hard limit.
///
/// # Panics
/// If the hard limit is lower than `count`. A smaller scenario would test something else.
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
    setrlimit(Resource::Nofile, raised).expect("the soft limit may be raised up to the hard one");
}

/// Lowers the soft limit of file descriptors for this process to `count`.
///
/// # Panics
/// If the operating system refuses that.
pub fn limit_descriptors(count: usize) {
    let limit = Rlimit { current: Some(count as u64), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).expect("the soft limit may be lowered");
}

/// Returns the number of open file descriptors of this process.
///
/// # Panics
/// On systems other than Linux.
#[must_use]
pub fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("Linux").count()
}

/// Returns the number of threads of this process.
///
/// # Panics
/// On systems other than Linux.
#[must_use]
pub fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("Linux").count()
}

/// Returns the resident memory of this process in bytes.
///
/// # Panics
/// On systems other than Linux.
#[must_use]
pub fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
    kib.and_then(|kib| kib.trim().parse::<usize>().ok()).expect("a number of KiB") << 10
}
