//! [`Part`]: a process of its own, mostly of this program once more, that plays a part in a scenario.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// How long it may be silent while something is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says in lines how far it has come, and does not outlive this.
pub struct Part {
    process: Child,
    ears: Option<ChildStdin>,
    says: Receiver<String>,
}

impl Part {
    /// Starts it.
    ///
    /// # Panics
    /// If it does not run.
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("a program that runs");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let (said, says) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = said.send(line); // nobody may listen any more
            }
        });
        Self { ears: process.stdin.take(), process, says }
    }

    /// Waits for a line that has `word` in it; what is behind that.
    ///
    /// # Panics
    /// If it does not come.
    #[track_caller]
    pub fn hear(&self, word: &str) -> String {
        loop {
            let line = self.next().unwrap_or_else(|why| panic!("waiting for {word:?}: {why}"));
            if let Some((_, rest)) = line.split_once(word) {
                return rest.to_owned();
            }
        }
    }

    /// The next line.
    ///
    /// # Errors
    /// Why there is none.
    pub fn next(&self) -> Result<String, String> {
        self.says.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => "the other process is silent".to_owned(),
            RecvTimeoutError::Disconnected => "the other process has ended".to_owned(),
        })
    }

    /// Says an empty line to it.
    ///
    /// # Errors
    /// If it has ended.
    ///
    /// # Panics
    /// Never: who has [ended](Self::end) it can not call this.
    pub fn nudge(&mut self) -> Result<(), String> {
        let ears = self.ears.as_mut().expect("it is not ended yet");
        ears.write_all(b"\n").map_err(|_| "the other process has ended".to_owned())
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If the operating system does not.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("nobody has waited for it");
    }

    /// Ends what it hears, and waits for its end: what it said until then, and its status.
    ///
    /// # Errors
    /// If it does not end.
    pub fn end(mut self) -> Result<(Vec<String>, ExitStatus), String> {
        drop(self.ears.take());
        let mut said = Vec::new();
        loop {
            match self.says.recv_timeout(PATIENCE) {
                Ok(line) => said.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => return Err("it does not end".to_owned()),
            }
        }
        Ok((said, self.process.wait().map_err(|error| error.to_string())?))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It has ended already, unless something has gone wrong here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
