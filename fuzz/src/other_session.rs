//! [`OtherSession`]: another connection, whose handler runs jobs inside its session.

use async_channel::{Receiver, Sender, unbounded};
use prism_driver::{Connection, Handler, Message, Options};
use prism_test::{PipeEnd, Sim, pipe};

use crate::{common::frame::Frame, drive::give, driver};

/// The other connection. Its session writes what its handler sends. `R` is the result of a job.
pub struct OtherSession<R> {
    peer: Option<PipeEnd>,
    jobs: Sender<Job<R>>,
    results: Receiver<R>,
}

type Job<R> = Box<dyn FnOnce() -> R + Send>;

struct Runner<R> {
    jobs: Receiver<Job<R>>,
    results: Sender<R>,
}

impl<R: Send + 'static> Handler for Runner<R> {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {
        let job = self.jobs.try_recv().expect("one for each message");
        self.results.try_send(job()).expect("the caller waits for it");
    }
}

impl<R: Send + 'static> OtherSession<R> {
    /// Opens an idle connection.
    pub fn new(sim: &Sim, options: Options) -> Self {
        let (server, peer, _) = pipe();
        let (jobs, to_run) = unbounded();
        let (tell, results) = unbounded();
        driver::serve_on(sim, server, Runner { jobs: to_run, results: tell }, options);
        Self { peer: Some(peer), jobs, results }
    }

    /// Runs a job inside the handler.
    ///
    /// # Panics
    /// If the connection is closed, or the job does not run.
    pub fn run(&mut self, sim: &Sim, job: impl FnOnce() -> R + Send + 'static) -> R {
        self.jobs.try_send(Box::new(job)).expect("its handler lives");
        let call = Frame::text("").masked().encoded();
        let peer = self.peer.as_mut().expect("it is still connected");
        assert_eq!(give(peer, &call), call.len());
        loop {
            if let Ok(results) = self.results.try_recv() {
                return results;
            }
            assert!(sim.tick(), "the job runs");
        }
    }

    /// Disconnects.
    pub fn leave(&mut self) {
        self.peer = None;
    }
}
