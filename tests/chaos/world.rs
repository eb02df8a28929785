//! [`World`]: a server, nodes on different runtimes, and their clients.

use std::{ops::Range, time::Duration};

use prism_tests::proxy::{Proxy, Script, Stalled};
use rustix::process::Signal;
use tokio::time::sleep;

use crate::{
    broker::{Broker, Program},
    node_process::{NodeProcess, now},
    traffic::{ROOMS, Received, Traffic, room_name},
};

/// One node on each.
const RUNTIMES: [&str; 3] = ["tokio", "smol", "async-std"];

/// What a busy machine may add to any time.
pub(crate) const SPARE: Duration = Duration::from_secs(3);

/// How long it is quiet before something happens.
const CALM: Duration = Duration::from_secs(4);

/// By how much the memory of a node may grow, in MiB.
const MAX_GROWTH: usize = 48;

/// How long a message may take to the members on the same node, whatever happens to the others.
const MAX_LOCAL: Duration = Duration::from_secs(1);

pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) nodes: Vec<NodeProcess>,
    pub(crate) traffic: Traffic,
    /// The nodes that have been alive and awake all the time. (The others cannot deliver in time.)
    pub(crate) undisturbed: Vec<usize>,
    /// The nodes that are alive.
    pub(crate) alive: Vec<usize>,
    /// When the calm was over.
    disturbed: Duration,
    /// In front of the last node.
    proxy: Option<Proxy>,
}

impl World {
    /// Starts a server, and the nodes; messages have this size.
    pub(crate) async fn start(program: Program, size: usize) -> Self {
        Self::start_with(Broker::start(program), None, size).await
    }

    /// Starts the nodes. The last one reaches the server through a proxy, if there is a script for its connections.
    pub(crate) async fn start_with(
        broker: Broker,
        script: Option<Box<dyn FnMut() -> Script + Send>>,
        size: usize,
    ) -> Self {
        let proxy = script.map(|script| Proxy::in_front_of(broker.process().address(), script));
        let url = broker.url();
        let last_url = proxy.as_ref().map(|proxy| broker.url_at(proxy.address()));
        let last_url = last_url.unwrap_or_else(|| url.clone());
        let world = Self::start_at(broker, [&url, &url, &last_url], size).await;
        Self { proxy, ..world }
    }

    /// Starts the nodes, which reach the server by these URLs.
    pub(crate) async fn start_at(broker: Broker, urls: [&str; 3], size: usize) -> Self {
        let nodes = RUNTIMES.into_iter().zip(urls);
        let mut nodes: Vec<_> =
            nodes.map(|(runtime, url)| NodeProcess::start(runtime, url)).collect();
        let ids: Vec<_> = nodes.iter().map(|node| node.id.clone()).collect();
        for (node, id) in nodes.iter_mut().zip(&ids) {
            for other in ids.iter().filter(|other| *other != id) {
                node.event(&format!("joined {other}"), Duration::ZERO, now() + SPARE);
            }
        }
        let addresses: Vec<_> = nodes.iter().map(|node| node.address).collect();
        let traffic = Traffic::start(&addresses, size).await;
        for node in &mut nodes {
            node.shows("0,1,2", now(), SPARE);
        }
        sleep(CALM).await;
        let all: Vec<_> = (0..nodes.len()).collect();
        let disturbed = traffic.now();
        Self {
            broker,
            nodes,
            traffic,
            undisturbed: all.clone(),
            alive: all,
            disturbed,
            proxy: None,
        }
    }

    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].signal(Signal::KILL);
        self.alive.retain(|alive| *alive != node);
        self.undisturbed.retain(|alive| *alive != node);
    }

    pub(crate) fn pause(&mut self, node: usize) {
        self.nodes[node].signal(Signal::STOP);
        self.undisturbed.retain(|alive| *alive != node);
    }

    /// Cuts the last node, which has a proxy, off from the server, until the result is dropped.
    pub(crate) fn cut_off_last(&self) -> Stalled {
        self.proxy.as_ref().expect("the world was started with a script").stall()
    }

    /// Waits until each node has reported the event since then.
    #[track_caller]
    pub(crate) fn all_report(&mut self, text: &str, since: Duration, within: Duration) -> Duration {
        let nodes = &mut self.nodes;
        let took = self.alive.iter().map(|node| nodes[*node].event(text, since, within));
        took.max().expect("a node that is alive")
    }

    /// Waits until each node shows the people of those that are alive, and no others.
    #[track_caller]
    pub(crate) fn all_show_all(&mut self, since: Duration, within: Duration) -> Duration {
        let people: Vec<_> = self.alive.iter().map(usize::to_string).collect();
        let (nodes, people) = (&mut self.nodes, people.join(","));
        let took = self.alive.iter().map(|node| nodes[*node].shows(&people, since, within));
        took.max().expect("a node that is alive")
    }

    /// Waits until each node has received a message of each other, in each room, that was sent from now on. Returns how
    /// long that took.
    pub(crate) async fn all_rooms_are_back(&self, within: Duration) -> Duration {
        let began = self.traffic.now();
        loop {
            let late = self.pairs().find(|pair| self.received(*pair).last_sent < began);
            let took = self.traffic.now() - began;
            let Some((receiver, sender, room)) = late else { return took };
            assert!(took < within + SPARE, "{receiver} receives nothing of {sender} in {room}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn received(&self, pair: (usize, usize, usize)) -> Received {
        self.traffic
            .with_records(|records| records.received.get(&pair).copied().unwrap_or_default())
    }

    /// Each receiver, sender and room, of the nodes that are alive.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let pairs = self
            .alive
            .iter()
            .flat_map(|receiver| self.alive.iter().map(move |sender| (*receiver, *sender)));
        pairs.flat_map(|(receiver, sender)| (0..ROOMS).map(move |room| (receiver, sender, room)))
    }

    /// Checks that each message has arrived once and in order, or was reported as missing; on the sender's own node,
    /// all of them, and soon. Checks the memory of the nodes, too, and prints what was measured.
    pub(crate) async fn finish(mut self, scenario: &str, measured: &str) {
        let disturbed = self.disturbed..self.traffic.now();
        sleep(CALM).await;
        self.traffic.stop();
        self.all_is_accounted_for().await;
        self.all_show_all(now(), SPARE);
        let missed: u64 = self.pairs().map(|pair| self.missed(pair)).sum();
        let failures = self.traffic.with_records(|records| records.failures.clone());
        assert!(failures.is_empty(), "{failures:?}");
        let (before, _) = self.local(Duration::ZERO..self.disturbed);
        let (during, most) = self.local(disturbed);
        assert!(most < MAX_LOCAL, "a message took {most:?} within its node");
        let mut memory = Vec::new();
        for node in &mut self.nodes {
            node.read_lines(Duration::ZERO);
            let (first, most) = node.resident();
            assert!(most < first + MAX_GROWTH, "{} grew from {first} to {most} MiB", node.runtime);
            memory.push(format!("{first}-{most}"));
        }
        let sent: u64 = self.traffic.with_records(|records| records.sent.values().sum());
        println!(
            "{scenario}: {measured}; {missed} reported missing, of {sent} sent; local p99 {before:.1?} before, \
             {during:.1?} during, at most {most:.1?}; MiB {}",
            memory.join(" ")
        );
        self.traffic.end().await;
    }

    fn local(&self, span: Range<Duration>) -> (Duration, Duration) {
        self.traffic.local(&self.undisturbed, span)
    }

    async fn all_is_accounted_for(&mut self) {
        let deadline = now() + Duration::from_secs(10);
        loop {
            for node in &self.alive {
                self.nodes[*node].read_lines(Duration::ZERO);
            }
            let wrong = self.pairs().find(|&pair| {
                let sent = self.traffic.with_records(|records| records.sent[&(pair.1, pair.2)]);
                self.received(pair).count + self.missed(pair) != sent
            });
            let Some(pair) = wrong else { return };
            assert!(
                now() < deadline,
                "node {}, of {} in room {}: {:?}, and {} reported missing",
                pair.0,
                pair.1,
                pair.2,
                self.received(pair),
                self.missed(pair)
            );
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Returns how many messages the receiver's node has reported as missing. At the sender's node, none can be.
    fn missed(&self, (receiver, sender, room): (usize, usize, usize)) -> u64 {
        self.nodes[receiver].missed(&self.nodes[sender].id, &room_name(room))
    }
}
