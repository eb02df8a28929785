//! [`HistoryClient`]: a client of the history of a room, which joins it, leaves it, and checks what it receives.

use std::{
    collections::hash_map::RandomState,
    convert::Infallible,
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_channel::{Receiver, Sender, bounded, unbounded};
use futures_lite::future::{or, poll_once};
use prism_driver::{Connection, Handler, Message, Options, Runtime};
use prism_rooms::{Cluster, History, HistoryJoinError, Joined, Keep, Position};
use prism_test::{Peer, Received, Sim};

use crate::history_view::HistoryView;

/// The room.
pub const CUP: &str = "cup";

type JoinResult = Result<Joined, HistoryJoinError>;

/// A client, with the history that it joins, and what is appended to that.
pub struct HistoryClient {
    sim: Sim,
    history: History,
    /// What the history's messages begin with. Those that come from elsewhere cannot know it.
    mark: String,
    peer: Peer,
    connection: Connection,
    view: HistoryView,
    /// Those that join. Each ends, if it has not returned, when it is dropped.
    calls: Vec<Sender<Infallible>>,
    /// The number of the last call at which the connection was no member.
    latest: usize,
    called: usize,
    /// Whether that call has not returned.
    is_joining: bool,
    results: (Sender<(usize, JoinResult)>, Receiver<(usize, JoinResult)>),
    /// How many messages were appended, and how many of these have been answered.
    appended: usize,
    answered: Arc<AtomicUsize>,
}

/// Hands the connection over.
struct HandOver(Sender<Connection>);

impl Handler for HandOver {
    async fn on_connect(&self, connection: &Connection) {
        self.0.try_send(connection.clone()).expect("the test waits");
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

impl HistoryClient {
    /// Creates the history of a cluster, and connects a client.
    pub fn connect(sim: &Sim, cluster: &Cluster) -> Self {
        let mark = format!("{:x} ", RandomState::new().hash_one(0));
        let keep = Keep::new(u32::MAX, Duration::from_secs(1000));
        let (of_message, of_notice) = (mark.clone(), mark.clone());
        let history =
            History::on(cluster, keep, move |position, _| format!("{of_message}{position}"));
        let history = history.expect("the backplane keeps messages");
        let history = history.on_broken(move |_, position| format!("{of_notice}broken {position}"));
        let (hand_over, connections) = bounded(1);
        let (peer, _faults) = sim.serve(HandOver(hand_over), Options::default());
        let connection = sim.run(connections.recv()).expect("a connection");
        Self {
            sim: sim.clone(),
            history,
            mark,
            peer,
            connection,
            view: HistoryView::default(),
            calls: Vec::new(),
            latest: 0,
            called: 0,
            is_joining: false,
            results: unbounded(),
            appended: 0,
            answered: Arc::default(),
        }
    }

    /// Appends a message in a task.
    pub fn append(&mut self, len: u16) {
        self.appended += 1;
        let (history, answered) = (self.history.clone(), self.answered.clone());
        self.sim.spawn(async move {
            let _ = history.append(CUP, "x".repeat(len.into())).await; // any answer may be right
            answered.fetch_add(1, Relaxed);
        });
    }

    /// Joins the room in a task.
    pub fn join(&mut self, after: Option<Position>) {
        self.called += 1;
        if !self.is_member() {
            self.latest = self.called;
            self.is_joining = true;
            self.view = HistoryView::new(after.clone());
        }
        let (call, ended) = bounded::<Infallible>(1);
        self.calls.push(call);
        let (number, results) = (self.called, self.results.0.clone());
        let (history, connection) = (self.history.clone(), self.connection.clone());
        self.sim.spawn(async move {
            let joining = async { Some(history.join(&connection, CUP, after).await) };
            let ended = async {
                let _ = ended.recv().await; // fails when the sender is dropped
                None
            };
            if let Some(result) = or(joining, ended).await {
                results.try_send((number, result)).expect("the channel is unbounded");
            }
        });
    }

    /// Drops the last call that joins, if it has not returned.
    pub fn give_up_joining(&mut self) {
        self.calls.pop();
    }

    pub fn leave(&mut self) {
        self.history.rooms().leave(self.connection.id(), CUP);
    }

    /// Receives what there is, and checks it. All tasks must have run.
    pub async fn update(&mut self) {
        while let Ok((number, result)) = self.results.1.try_recv() {
            self.is_joining &= number != self.latest;
            match result {
                Ok(joined) if number == self.latest => self.view.joined(joined),
                Ok(Joined::Already) | Err(_) => {}
                Ok(other) => panic!("it was a member, or has joined again since: {other:?}"),
            }
        }
        while let Some(received) = poll_once(self.peer.next()).await {
            match received {
                Received::Text(text) => self.receive(&text),
                Received::Close(..) | Received::End(_) => break, // what arrived has closed it
                _ => {}
            }
        }
        if !self.is_member() {
            self.view = HistoryView::default();
            self.is_joining = false;
        }
        self.view.settled(self.is_joining);
    }

    /// Joins, if the client has not, and appends a message, which it receives then. The backplane works again.
    pub async fn finish(mut self) {
        self.update().await;
        assert_eq!(self.answered.load(Relaxed), self.appended);
        if self.connection.is_open() && !self.is_member() {
            self.join(None);
        }
        self.sim.settle().await;
        let last = self.history.append(CUP, "the last").await.expect("a backplane that works");
        self.sim.settle().await;
        self.update().await;
        if self.connection.is_open() {
            assert!(self.is_member());
            self.view.check(&last);
        }
    }

    fn is_member(&self) -> bool {
        self.history.rooms().contains(CUP, self.connection.id())
    }

    fn receive(&mut self, text: &str) {
        let Some(text) = text.strip_prefix(&self.mark) else { return };
        let position = |text: &str| text.parse().expect("a position");
        match text.strip_prefix("broken ") {
            Some(text) => self.view.handle_gap(position(text)),
            None => self.view.receive(position(text)),
        }
    }
}
