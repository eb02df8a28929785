//! [`Served`]: the process that serves, as the other one sees it.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use crate::figures::Figures;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Served {
    process: Child,
    questions: Option<ChildStdin>,
    lines: Receiver<String>,
    pub(crate) address: SocketAddr,
}

impl Served {
    /// Runs this program again, as a server on this runtime.
    pub(crate) fn start(runtime: &str) -> Self {
        let mut process = Command::new(env::current_exe().expect("this program"))
            .args(["server", runtime])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program runs again");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let (said, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = said.send(line); // nobody may listen any more
            }
        });
        let listening: String = lines.recv_timeout(PATIENCE).expect("the server starts");
        let address = listening.strip_prefix("listening on ").and_then(|it| it.parse().ok());
        let questions = process.stdin.take();
        Self { process, questions, lines, address: address.expect("an address") }
    }

    pub(crate) fn figures(&mut self) -> Result<Figures, String> {
        let dead = |_| "the server's process has ended".to_owned();
        let questions = self.questions.as_mut().expect("nobody has stopped it");
        questions.write_all(b"\n").map_err(dead)?;
        let line = self.lines.recv_timeout(PATIENCE);
        line.map_err(|_| "the server's process does not answer".to_owned())?.parse()
    }

    /// Has it shut down, and says what it said before it ended.
    pub(crate) fn stop(mut self) -> Result<String, String> {
        drop(self.questions.take());
        let mut said = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => said.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => return Err("it does not end".to_owned()),
            }
        }
        let status = self.process.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(said.join("\n")) } else { Err(status.to_string()) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended already, unless something has gone wrong here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
