//! Scenarios that need a process of their own: because they measure its memory, fill its table of
//! descriptors, or keep its threads busy.

use std::{
    any::type_name_of_val,
    env, fs,
    process::{Command, Stdio},
};

use peak_alloc::PeakAlloc;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const ALONE: &str = "PRISM_TESTS_ALONE";

/// Runs a scenario in a process in which nothing else happens: `alone(&the_test, || ...)`.
#[track_caller]
pub(crate) fn alone(test: &impl Fn(), scenario: impl FnOnce()) {
    if env::var_os(ALONE).is_some() {
        return scenario();
    }
    let output = again(test).env(ALONE, "1").output().expect("this program runs again");
    let told = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{complained}");
    // A name that no test has would succeed as well.
    assert!(told.contains("1 passed"), "no such test: {told}");
    println!("{complained}");
}

/// This program, to run nothing but `test`.
pub(crate) fn again(test: &impl Fn()) -> Command {
    let path = type_name_of_val(test);
    let (_, path) = path.split_once("::").expect("a path in a crate");
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(["--exact", path, "--nocapture"]).stdin(Stdio::null());
    command
}

/// Lets this process, and those that it starts, have so many descriptors: the soft limit is often
/// far below the hard one. Panics if that, too, is lower: a smaller scenario would be another one.
pub(crate) fn allow_descriptors(count: usize) {
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
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("Linux").count()
}

/// How many threads this process has.
pub(crate) fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("Linux").count()
}

/// How much heap this process has.
pub(crate) fn heap() -> usize {
    HEAP.current_usage()
}

/// The most heap that this process had at once while `scenario` ran, beyond what it had before.
pub(crate) fn peak_heap(scenario: impl FnOnce()) -> usize {
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    scenario();
    HEAP.peak_usage().saturating_sub(before)
}
