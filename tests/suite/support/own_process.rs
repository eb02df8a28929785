//! Runs scenarios in a process of their own: those that measure memory, need many descriptors, or
//! keep the threads busy.

use std::{
    any::type_name_of_val,
    env,
    process::{Command, Stdio},
};

use peak_alloc::PeakAlloc;
pub(crate) use prism_tests::process::{allow_descriptors, descriptors, threads};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const OWN_PROCESS: &str = "PRISM_TESTS_OWN_PROCESS";

/// Runs a scenario in a process without other tests: `in_own_process(&the_test, || ...)`.
#[track_caller]
pub(crate) fn in_own_process(test: &impl Fn(), scenario: impl FnOnce()) {
    if env::var_os(OWN_PROCESS).is_some() {
        return scenario();
    }
    expect_success(rerun(test).env(OWN_PROCESS, "1"));
}

/// Runs a [`rerun`], and expects the test to succeed.
#[track_caller]
pub(crate) fn expect_success(rerun: &mut Command) {
    let output = rerun.output().expect("this program starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    // A run in which no test matches the name succeeds as well.
    assert!(stdout.contains("1 passed"), "no such test: {stdout}");
    println!("{stderr}");
}

/// Returns a command that runs only `test` of this program.
pub(crate) fn rerun(test: &impl Fn()) -> Command {
    let path = type_name_of_val(test);
    let (_, path) = path.split_once("::").expect("a path in a crate");
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(["--exact", path, "--nocapture"]).stdin(Stdio::null());
    command
}

/// Returns the allocated heap of this process in bytes.
pub(crate) fn heap() -> usize {
    HEAP.current_usage()
}

/// Returns the peak of the heap while `scenario` runs, minus the heap before, in bytes.
pub(crate) fn peak_heap(scenario: impl FnOnce()) -> usize {
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    scenario();
    HEAP.peak_usage().saturating_sub(before)
}
