//! Scenarios that need a process of their own: because they measure its memory, fill its table of
//! descriptors, or keep its threads busy.

use std::{
    any::type_name_of_val,
    env,
    process::{Command, Stdio},
};

use peak_alloc::PeakAlloc;
pub(crate) use prism_tests::process::{allow_descriptors, descriptors, threads};

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
