//! [`Courier`]: another connection, whose handler runs errands: it sends from within a session.

use async_channel::{Receiver, Sender, unbounded};
use prism_driver::{Connection, Handler, Message, Options, TrySendError};

use crate::{
    common::frame::Frame,
    driver::{
        self,
        pipe::{End, pipe},
        sim::Sim,
    },
    hands::give,
};

/// The connection. What its handler sends, its session writes.
pub struct Courier {
    peer: Option<End>,
    errands: Sender<Errand>,
    results: Receiver<Results>,
}

/// What became of each message.
pub type Results = Vec<Result<(), TrySendError>>;

type Errand = Box<dyn FnOnce() -> Results + Send>;

struct Runner {
    errands: Receiver<Errand>,
    results: Sender<Results>,
}

impl Handler for Runner {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {
        let errand = self.errands.try_recv().expect("one for each message");
        self.results.try_send(errand()).expect("somebody waits for it");
    }
}

impl Courier {
    /// Connected and idle.
    pub fn new(sim: &Sim, options: Options) -> Self {
        let (server, peer, _) = pipe();
        let (errands, to_run) = unbounded();
        let (tell, results) = unbounded();
        driver::serve_on(sim, server, Runner { errands: to_run, results: tell }, options);
        Self { peer: Some(peer), errands, results }
    }

    /// Runs an errand within its handler.
    ///
    /// # Panics
    /// If it has left, or does not come to it.
    pub fn run(&mut self, sim: &Sim, errand: impl FnOnce() -> Results + Send + 'static) -> Results {
        self.errands.try_send(Box::new(errand)).expect("its handler lives");
        let call = Frame::text("").masked().wire();
        let peer = self.peer.as_mut().expect("it has not left");
        assert_eq!(give(peer, &call), call.len());
        loop {
            if let Ok(results) = self.results.try_recv() {
                return results;
            }
            assert!(sim.tick(), "the courier hears its call");
        }
    }

    /// Disconnects.
    pub fn leave(&mut self) {
        self.peer = None;
    }
}
