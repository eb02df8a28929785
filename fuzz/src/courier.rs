//! [`Courier`]: another connection, whose handler runs errands: it sends from within a session.

use async_channel::{Receiver, Sender, unbounded};
use prism_driver::{Connection, Handler, Message, Options};

use crate::{
    common::frame::Frame,
    driver::{
        self,
        pipe::{End, pipe},
        sim::Sim,
    },
    hands::give,
};

/// The connection. What its handler sends, its session writes. `R` is what comes of an errand.
pub struct Courier<R> {
    peer: Option<End>,
    errands: Sender<Errand<R>>,
    results: Receiver<R>,
}

type Errand<R> = Box<dyn FnOnce() -> R + Send>;

struct Runner<R> {
    errands: Receiver<Errand<R>>,
    results: Sender<R>,
}

impl<R: Send + 'static> Handler for Runner<R> {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {
        let errand = self.errands.try_recv().expect("one for each message");
        self.results.try_send(errand()).expect("somebody waits for it");
    }
}

impl<R: Send + 'static> Courier<R> {
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
    pub fn run(&mut self, sim: &Sim, errand: impl FnOnce() -> R + Send + 'static) -> R {
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
