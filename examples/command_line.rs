//! The command lines of the examples, and errors that are printed as sentences.

#![allow(dead_code, reason = "no example uses all of it")]

use std::{
    env, error::Error, fmt, iter::Skip, net::ToSocketAddrs, path::Path, process, str::FromStr,
};

/// Why a program has failed. If `main` returns one, Rust prints its `Debug` form, which is a sentence here, and ends
/// the program with status 1.
pub(crate) struct Failure(Box<dyn Error>);

impl<E: Into<Box<dyn Error>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Returns the address on the command line of a server that takes nothing else.
pub(crate) fn address() -> Result<String, String> {
    let program = env::args().next().unwrap_or_default();
    let name = Path::new(&program).file_stem().unwrap_or_default().display();
    let mut words = Words::new(&format!(
        "Usage: {name} [ADDR]\n\nADDR is the address to listen on, by default 127.0.0.1:8080.\n"
    ));
    match words.next() {
        Some(_) => words.address(),
        None => Ok("127.0.0.1:8080".into()),
    }
}

/// The words of a command line.
pub(crate) struct Words {
    rest: Skip<env::Args>,
    /// The word that was returned last.
    word: String,
}

impl Words {
    /// Returns the words of this program's command line. If one of them is `--help`, prints the help and ends the
    /// program.
    pub(crate) fn new(help: &str) -> Self {
        if env::args().skip(1).any(|word| word == "--help" || word == "-h") {
            print!("{help}");
            process::exit(0);
        }
        Self { rest: env::args().skip(1), word: String::new() }
    }

    /// Returns the value of the option that was returned last.
    pub(crate) fn value(&mut self) -> Result<String, String> {
        self.rest.next().ok_or_else(|| format!("{} has no value; expected one after it", self.word))
    }

    /// Returns the value of the option that was returned last, which is a number.
    pub(crate) fn number<T: FromStr>(&mut self) -> Result<T, String> {
        let value = self.value()?;
        value.parse().map_err(|_| format!("{} {value}: expected a whole number", self.word))
    }

    /// Returns the word that was returned last, which is not a known option.
    pub(crate) fn argument(&self) -> Result<String, String> {
        match self.word.starts_with('-') {
            true => Err(format!("unknown option {}; --help lists the options", self.word)),
            false => Ok(self.word.clone()),
        }
    }

    /// Returns the word that was returned last, which is the address to listen on.
    pub(crate) fn address(&self) -> Result<String, String> {
        let address = self.argument()?;
        match address.to_socket_addrs() {
            Ok(_) => Ok(address),
            Err(error) => {
                Err(format!("{address}: {error}; expected an address such as 127.0.0.1:8080"))
            }
        }
    }
}

impl Iterator for Words {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.word = self.rest.next()?;
        Some(self.word.clone())
    }
}
