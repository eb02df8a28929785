//! [`Subprocess`]: a child process with a role in a scenario, usually another instance of this
//! program.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// How long to wait for a line of the child.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A child process that reports its progress in lines. It is killed when this is dropped.
pub struct Subprocess {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Subprocess {
    /// Starts the child.
    ///
    /// # Panics
    /// If the program cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("a program that runs");
        let stdout = BufReader::new(process.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line); // fails after the receiver is dropped
            }
        });
        Self { stdin: process.stdin.take(), process, lines }
    }

    /// Waits for a line that contains `word`, and returns the text after it.
    ///
    /// # Panics
    /// If the line does not come.
    #[track_caller]
    pub fn wait_for_line(&self, word: &str) -> String {
        loop {
            let line = self.next_line().unwrap_or_else(|why| panic!("waiting for {word:?}: {why}"));
            if let Some((_, rest)) = line.split_once(word) {
                return rest.to_owned();
            }
        }
    }

    /// Returns the next line.
    ///
    /// # Errors
    /// If the child is silent for too long, or has ended.
    pub fn next_line(&self) -> Result<String, String> {
        self.lines.recv_timeout(TIMEOUT).map_err(|error| match error {
            RecvTimeoutError::Timeout => "the child process is silent".to_owned(),
            RecvTimeoutError::Disconnected => "the child process has ended".to_owned(),
        })
    }

    /// Returns the next line if it comes within this time.
    #[must_use]
    pub fn try_line(&self, wait: Duration) -> Option<String> {
        self.lines.recv_timeout(wait).ok()
    }

    /// Writes an empty line to the child's standard input.
    ///
    /// # Errors
    /// If the child has ended.
    ///
    /// # Panics
    /// Never: [`finish`](Self::finish) consumes `self`.
    pub fn send_line(&mut self) -> Result<(), String> {
        let stdin = self.stdin.as_mut().expect("only `finish` and `drop` take it");
        stdin.write_all(b"\n").map_err(|_| "the child process has ended".to_owned())
    }

    /// Sends a signal to the child.
    ///
    /// # Panics
    /// If the operating system refuses it.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal)
            .expect("the child was not waited for yet");
    }

    /// Closes the child's standard input and waits until the child ends. Returns its remaining
    /// lines and its status.
    ///
    /// # Errors
    /// If the child does not end.
    pub fn finish(mut self) -> Result<(Vec<String>, ExitStatus), String> {
        drop(self.stdin.take());
        let mut output = Vec::new();
        loop {
            match self.lines.recv_timeout(TIMEOUT) {
                Ok(line) => output.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    return Err("the child process does not end".to_owned());
                }
            }
        }
        Ok((output, self.process.wait().map_err(|error| error.to_string())?))
    }
}

impl Drop for Subprocess {
    fn drop(&mut self) {
        // Unless the scenario has failed, the child has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
