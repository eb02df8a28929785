//! What the compiler accepts, and what it says when it does not.
//!
//! What is accepted is in `pass`, and is a part of this program.
//!
//! The texts in `fail/*.stderr` are those of Rust 1.95, with which CI runs. Another version may say the same in
//! other words, so only what is accepted is tested there, unless `PRISM_TESTS_ALL` is set, as `.ci/run` does: then it
//! is a failure. After a change of our own texts, or of the version, run this once with `TRYBUILD=overwrite`, and read
//! what has changed.

#[expect(
    dead_code,
    clippy::needless_borrows_for_generic_args,
    reason = "that it compiles is the test"
)]
#[path = "pass/messages.rs"]
mod messages;
#[expect(dead_code, reason = "that it compiles is the test")]
#[path = "pass/routes.rs"]
mod routes;

use std::{env, process::Command};

/// The version of Rust whose messages are recorded.
const RECORDED: &str = "rustc 1.95.";

#[test]
fn mistakes_are_explained() {
    let version = Command::new("rustc").arg("--version").output().expect("rustc runs");
    let version = String::from_utf8_lossy(&version.stdout);
    if version.starts_with(RECORDED) {
        trybuild::TestCases::new().compile_fail("fail/*.rs");
    } else {
        assert!(
            env::var_os("PRISM_TESTS_ALL").is_none(),
            "the messages are those of {RECORDED}, and this is {version}"
        );
        eprintln!("NOT TESTED: the messages are those of {RECORDED}, and this is {version}");
    }
}
