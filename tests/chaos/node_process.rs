//! [`NodeProcess`]: a node of the cluster, in a process of its own.

use std::{
    env,
    net::SocketAddr,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prism_tests::subprocess::Subprocess;
use rustix::process::Signal;

/// How long a node may take to start.
const STARTING: Duration = Duration::from_secs(20);

pub(crate) struct NodeProcess {
    pub(crate) runtime: &'static str,
    pub(crate) id: String,
    pub(crate) address: SocketAddr,
    process: Subprocess,
    events: Vec<Event>,
    first_resident: usize,
    most_resident: usize,
}

/// What a node has reported: when, and its words.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: Duration,
    pub(crate) text: String,
}

/// Returns the time since 1970, in milliseconds, as nodes print it.
pub(crate) fn now() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set");
    Duration::from_millis(now.as_millis() as u64)
}

impl NodeProcess {
    /// Starts a node on this runtime, at the server with this URL.
    pub(crate) fn start(runtime: &'static str, url: &str) -> Self {
        let program = env::current_exe().expect("the path of this program");
        let process = Subprocess::start(
            Command::new(program.with_file_name("prism_node")).args([runtime, url]),
        );
        let mut node = Self {
            runtime,
            id: String::new(),
            address: ([127, 0, 0, 1], 0).into(),
            process,
            events: Vec::new(),
            first_resident: 0,
            most_resident: 0,
        };
        let deadline = now() + STARTING;
        while node.id.is_empty() {
            assert!(now() < deadline, "{runtime} does not start");
            node.read_lines(Duration::from_millis(50));
        }
        node
    }

    /// Reads what the node has printed, for this long at most.
    pub(crate) fn read_lines(&mut self, wait: Duration) {
        let mut wait = wait;
        while let Some(line) = self.process.try_line(wait) {
            self.read_line(&line);
            wait = Duration::ZERO;
        }
    }

    fn read_line(&mut self, line: &str) {
        let (at, line) = line.split_once(' ').expect("a time");
        let at = Duration::from_millis(at.parse().expect("milliseconds"));
        if let Some(text) = line.strip_prefix("event ") {
            self.events.push(Event { at, text: text.to_owned() });
        } else if let Some(status) = line.strip_prefix("status ") {
            let (resident, _) = status.split_once(' ').expect("counts");
            let resident = resident.parse().expect("a number of bytes");
            self.most_resident = self.most_resident.max(resident);
            if self.first_resident == 0 {
                self.first_resident = resident;
            }
        } else if let Some(listening) = line.strip_prefix("listening on ") {
            let (address, id) = listening.split_once(" as ").expect("an ID");
            self.address = address.parse().expect("an address");
            id.clone_into(&mut self.id);
        }
    }

    /// Waits until the node has reported an event that begins like this, since `since`. Returns how long after that it
    /// was.
    #[track_caller]
    pub(crate) fn event(&mut self, text: &str, since: Duration, within: Duration) -> Duration {
        loop {
            let found = self.events.iter().find(|e| e.at >= since && e.text.starts_with(text));
            if let Some(Event { at, .. }) = found {
                let after = *at - since;
                assert!(after <= within, "{}: {text:?} after {after:?}", self.runtime);
                return after;
            }
            let (late, runtime) = (now() > since + within, self.runtime);
            assert!(!late, "{runtime}: no {text:?} within {within:?}: {:?}", self.since(since));
            self.read_lines(Duration::from_millis(20));
        }
    }

    /// Waits until the node shows these people. Returns how long after `since` that was.
    #[track_caller]
    pub(crate) fn shows(&mut self, people: &str, since: Duration, within: Duration) -> Duration {
        loop {
            let mut all = self.events.iter().rev();
            let last = all.find_map(|event| Some((event.at, event.text.strip_prefix("people ")?)));
            if let Some((at, shown)) = last
                && shown == people
            {
                let after = at.saturating_sub(since);
                assert!(after <= within, "{}: {people:?} after {after:?}", self.runtime);
                return after;
            }
            let (late, runtime) = (now() > since + within, self.runtime);
            assert!(!late, "{runtime}: {last:?}, not {people:?}, within {within:?}");
            self.read_lines(Duration::from_millis(20));
        }
    }

    /// Returns what the node has reported since then.
    pub(crate) fn since(&self, since: Duration) -> Vec<&str> {
        let events = self.events.iter().filter(|event| event.at >= since);
        events.map(|event| event.text.as_str()).collect()
    }

    /// Returns how many messages of another node to a room the node has reported as missing.
    pub(crate) fn missed(&self, node: &str, room: &str) -> u64 {
        let gap = format!("gap {node} {room} ");
        let gaps = self.events.iter().filter_map(|event| event.text.strip_prefix(&gap));
        gaps.map(|missed| missed.parse::<u64>().expect("a number")).sum()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Returns the memory that the node had at the beginning, and the most that it had, in MiB.
    pub(crate) fn resident(&self) -> (usize, usize) {
        (self.first_resident >> 20, self.most_resident >> 20)
    }
}
