//! Connections that live in a future of the caller, dropped at every point: the connection is over, its
//! transport is closed, and every waiter is reports.

use std::sync::{Arc, OnceLock};

use async_channel::{Receiver, Sender, unbounded};
use futures_lite::future::poll_once;
use prism_driver::{
    Client, CloseCode, Connection, Disconnect, Handler, Message, Options, Runtime, SendError,
    serve_stream, serve_upgraded,
};
use prism_test::{Faults, Peer, PipeEnd, Received, Sim, pipe};

use crate::common::{
    cancellation::{CancelPoint, at_each_step},
    handlers::MessageLog,
    ms,
    net::{Net, Reach::After},
    s,
    sockets::client,
};

// ---- a connection with waiters

/// Fills its outbox, and starts three tasks that wait: for room, for a flush, and for the end. The
/// other side takes nothing for a second. Every callback takes a while.
struct WithWaiters {
    sim: Sim,
    /// Sets how much the other side takes.
    allow: Allow,
    report_to: Sender<(Connection, Receiver<Outcome>)>,
}

type Allow = Arc<dyn Fn(usize) + Send + Sync>;

/// The name of a waiter, and its result.
type Outcome = (&'static str, Result<(), SendError>);

impl Handler for WithWaiters {
    async fn on_connect(&self, connection: &Connection) {
        (self.allow)(0);
        while connection.try_send([7; 50]).is_ok() {}
        self.report_to.try_send((connection.clone(), self.start_waiters(connection))).unwrap();
        self.sim.spawn(release_later(self.sim.clone(), self.allow.clone()));
        self.sim.sleep(ms(10)).await;
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.sim.sleep(ms(10)).await;
        // The connection may be closing already.
        let _ = connection.send(message).await;
    }

    async fn on_disconnect(&self, _: &Connection, _: Disconnect) {
        self.sim.sleep(ms(10)).await;
    }
}

impl WithWaiters {
    fn start_waiters(&self, connection: &Connection) -> Receiver<Outcome> {
        let (report_to, reports) = unbounded();
        let (sender, report) = (connection.clone(), report_to.clone());
        self.sim.spawn(async move {
            report.try_send(("send", sender.send("waits for room").await)).unwrap();
        });
        let (flusher, report) = (connection.clone(), report_to.clone());
        self.sim.spawn(async move { report.try_send(("flush", flusher.flush().await)).unwrap() });
        let waiter = connection.clone();
        self.sim.spawn(async move {
            waiter.closed().await;
            report_to.try_send(("closed", Err(SendError::Closed))).unwrap();
        });
        reports
    }
}

async fn release_later(sim: Sim, allow: Allow) {
    sim.sleep(s(1)).await;
    allow(usize::MAX);
}

/// Runs a session until its future is dropped. If a connection was open by then, it is over, and all
/// waiters that were still waiting have been reports.
fn drop_session(
    sim: &Sim,
    cancel_point: &CancelPoint,
    allow: impl Fn(usize) + Send + Sync + 'static,
    session: impl AsyncFnOnce(WithWaiters) -> Disconnect,
) {
    let (report_to, reports) = unbounded();
    let handler = WithWaiters { sim: sim.clone(), allow: Arc::new(allow), report_to };
    let ending = cancel_point.run(sim, session(handler));
    assert!(ending.is_none_or(|ending| matches!(ending, Disconnect::Peer { .. })));
    let Ok((connection, outcomes)) = reports.try_recv() else { return };

    let reported = || std::iter::from_fn(|| outcomes.try_recv().ok());
    let early: Vec<_> = reported().map(|(waiter, _)| waiter).collect();
    sim.run(sim.settle());
    let late: Vec<_> = reported().collect();
    assert_eq!(early.len() + late.len(), 3, "a task waits forever: {early:?} {late:?}");
    for (waiter, outcome) in late {
        // What the flush waits for may have been written by then.
        let flushed = waiter == "flush" && sim.now() >= s(1) && outcome.is_ok();
        assert!(flushed || outcome == Err(SendError::Closed), "{waiter}: {outcome:?}");
    }
    assert!(!connection.is_open());
    assert_eq!(sim.run(poll_once(connection.send("late"))), Some(Err(SendError::Closed)));
    assert_eq!(sim.run(poll_once(connection.closed())), Some(()));
}

fn options() -> Options {
    let mut options = Options::default();
    options.high_water_mark = 100;
    options
}

/// The other side: sends two messages, and closes after two seconds.
async fn converse(sim: Sim, connection: Connection) {
    for text in ["one", "two"] {
        // The connection may be gone.
        let _ = connection.send(text).await;
        sim.sleep(ms(15)).await;
    }
    sim.sleep(s(2)).await;
    let _ = connection.close(CloseCode::NORMAL, "");
}

// ---- servers

#[test]
fn dropping_serve_stream_ends_the_connection() {
    at_each_step(|sim, cancel_point| {
        let (server, io, faults) = pipe();
        faults.set_piece(50);
        let runtime = sim.clone();
        sim.spawn(async move {
            let Ok(socket) = client(&runtime).connect_stream(io).await else { return };
            converse(runtime, socket.connection().clone()).await;
            while socket.recv().await.is_ok() {}
        });
        let theirs = faults.clone();
        let allow = move |bytes| theirs.to_client().allow(bytes);
        drop_session(sim, cancel_point, allow, async |handler| {
            serve_stream(sim.clone(), server, &options(), handler).await.unwrap()
        });
        assert!(faults.dropped_by_server());
    });
}

#[test]
fn dropping_serve_upgraded_ends_the_connection() {
    at_each_step(|sim, cancel_point| {
        let (server, io, faults) = pipe();
        faults.set_piece(50);
        let (runtime, mut peer) = (sim.clone(), Peer::new(io));
        sim.spawn(async move {
            peer.send("one").await;
            runtime.sleep(s(2)).await;
            peer.close(1000, "").await;
            while !matches!(peer.next().await, Received::End(_)) {}
        });
        let theirs = faults.clone();
        let allow = move |bytes| theirs.to_client().allow(bytes);
        drop_session(sim, cancel_point, allow, async |handler| {
            serve_upgraded(sim.clone(), server, "/", &options(), handler).await
        });
        assert!(faults.dropped_by_server());
    });
}

// ---- clients

/// Serves a client, and talks to it.
async fn serve_client(sim: Sim, io: PipeEnd) {
    let (handler, _, out) = MessageLog::new();
    let runtime = sim.clone();
    sim.spawn(async move {
        // The client may be gone.
        let _ = serve_stream(runtime, io, &Options::default(), handler).await;
    });
    if let Ok(connection) = out.recv().await {
        converse(sim, connection).await;
    }
}

#[test]
fn dropping_run_stream_ends_the_connection() {
    at_each_step(|sim, cancel_point| {
        let (server, io, faults) = pipe();
        faults.set_piece(50);
        sim.spawn(serve_client(sim.clone(), server));
        let theirs = faults.clone();
        let allow = move |bytes| theirs.to_server().allow(bytes);
        drop_session(sim, cancel_point, allow, async |handler| {
            client(sim).options(options()).run_stream(io, handler).await.unwrap()
        });
        assert!(faults.dropped_by_client());
    });
}

#[test]
fn dropping_run_ends_the_connection() {
    at_each_step(|sim, cancel_point| {
        let net = Net::new(sim);
        net.name("example.org", &[("[::1]:80", After(ms(10)))]);
        let client = Client::new_on(net.clone(), "ws://example.org/").unwrap().options(options());
        let faults = Arc::<OnceLock<Faults>>::default();
        let (runtime, arrived) = (sim.clone(), faults.clone());
        sim.spawn(async move {
            let (_, io, faults) = net.arrival().await;
            faults.set_piece(50);
            arrived.set(faults).ok().unwrap();
            serve_client(runtime, io).await;
        });
        let theirs = faults.clone();
        let allow = move |bytes| theirs.get().unwrap().to_server().allow(bytes);
        drop_session(sim, cancel_point, allow, async |handler| client.run(handler).await.unwrap());
        sim.run(sim.settle());
        assert!(faults.get().is_none_or(Faults::dropped_by_client));
    });
}
