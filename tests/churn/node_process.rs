//! [`NodeProcess`]: a node as the main process sees it.

use std::{env, net::SocketAddr, process::Command, time::Duration};

use prism_tests::subprocess::Subprocess;

pub(crate) struct NodeProcess {
    pub(crate) address: SocketAddr,
    process: Subprocess,
    /// The resident memory and the heap in use, in bytes.
    memory: [usize; 2],
    events: Vec<String>,
}

impl NodeProcess {
    pub(crate) fn start(redis: &str, presence: bool) -> Self {
        let program = env::current_exe().expect("the path of this program");
        let mut command = Command::new(program);
        command.args(["node", redis]).args(presence.then_some("presence"));
        let process = Subprocess::start(&mut command);
        let address = process.wait_for_line("listening on ").parse().expect("an address");
        Self { address, process, memory: [0; 2], events: Vec::new() }
    }

    /// Returns the resident memory and the heap in use, in bytes.
    pub(crate) fn memory(&mut self) -> [usize; 2] {
        self.read_lines();
        while self.memory == [0; 2] {
            let line = self.process.next_line().expect("a node that lives");
            self.read_line(&line);
        }
        self.memory
    }

    /// Returns what the node has reported.
    pub(crate) fn events(&mut self) -> &[String] {
        self.read_lines();
        &self.events
    }

    fn read_lines(&mut self) {
        while let Some(line) = self.process.try_line(Duration::ZERO) {
            self.read_line(&line);
        }
    }

    fn read_line(&mut self, line: &str) {
        if let Some(event) = line.strip_prefix("event ") {
            self.events.push(event.to_owned());
        } else if let Some(status) = line.strip_prefix("status ") {
            let (resident, heap) = status.split_once(' ').expect("two numbers");
            self.memory = [resident, heap].map(|word| word.parse().expect("a number of bytes"));
        }
    }
}
