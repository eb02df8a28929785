//! Counts instructions. Unlike time, the count is the same in each run, so that CI can check it.
//!
//! A program runs itself under valgrind's callgrind twice, the second time with twice as many batches. The
//! difference is the cost of the batches, without the setup.
//!
//! The counts depend on the compiler, on the C library (which has `memcpy`), and on whether the CPU has
//! AVX2. Nothing else about the CPU matters, because valgrind emulates its own.

use std::{
    env, io,
    process::{Child, Command, Stdio},
};

use super::{item::Item, library::Library, settle::SETTLED};

/// How many messages are counted, at least.
const MESSAGES: usize = 1024;

/// How many batches are counted, at least.
const BATCHES: usize = 16;

/// Returns the instructions that one message of `item` costs `library`; `None` if the library does not
/// support the item. The running program must call [`run_counted`] when its arguments begin with `run`.
///
/// # Errors
/// If valgrind is missing or fails.
pub fn count(library: &Library, item: &Item) -> io::Result<Option<f64>> {
    if library.prepare(item).is_none() {
        return Ok(None);
    }
    let batches = BATCHES.max(MESSAGES / item.messages);
    let once = start(library, item, batches)?;
    let twice = start(library, item, 2 * batches)?;
    let (once, twice) = (collected(once)?, collected(twice)?);
    Ok(Some((twice as f64 - once as f64) / (batches * item.messages) as f64))
}

/// Runs what is counted under callgrind. The arguments after `run` are a library, an item, and the number
/// of batches.
///
/// # Panics
/// If there are no such arguments.
pub fn run_counted(arguments: &[String]) {
    let [library, item, batches] = arguments else { panic!("run LIBRARY ITEM BATCHES") };
    let library = Library::named(library).expect("it is a library");
    let item = Item::named(item).expect("it is an item");
    let batches: usize = batches.parse().expect("it is a number");
    let mut batch = library.prepare(item).expect("the library does this");
    (0..batches).for_each(|_| batch());
}

fn start(library: &Library, item: &Item, batches: usize) -> io::Result<Child> {
    Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args(["run", library.name, item.name, &batches.to_string()])
        // The environment is on the stack: a different one would align data differently.
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .env(SETTLED.0, SETTLED.1)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("valgrind: {error}")))
}

fn collected(child: Child) -> io::Result<u64> {
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let figure =
        said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    match figure {
        Some(figure) if output.status.success() => Ok(figure),
        _ => Err(io::Error::other(format!("valgrind ended with {}: {said}", output.status))),
    }
}
