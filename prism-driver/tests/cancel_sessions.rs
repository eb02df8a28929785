//! Connections that live in a future of the caller's, which is dropped half-way, at each point at
//! which it can be: they are over then, the transport is closed, and whoever waits for something of
//! them learns it.

mod common;

use std::sync::{Arc, OnceLock};

use async_channel::{Receiver, Sender, unbounded};
use common::{
    handlers::Ear,
    ms,
    net::{Net, Reach::After},
    peer::{Peer, Seen},
    pipe::{End, Script, pipe},
    s,
    scissors::{Scissors, at_each_step},
    sim::Sim,
    sockets::client,
};
use futures_lite::future::poll_once;
use prism_driver::{
    Client, CloseCode, Connection, Disconnect, Handler, Message, Options, Runtime, SendError,
    serve_stream, serve_upgraded,
};

// ---- where others wait

/// Fills its outbox, and has three tasks wait: for room, for a flush, and for the end. The other
/// side takes nothing for a second. The handler itself takes its time with everything.
struct Crowded {
    sim: Sim,
    /// How much the other side takes.
    allow: Allow,
    tell: Sender<(Connection, Receiver<Outcome>)>,
}

type Allow = Arc<dyn Fn(usize) + Send + Sync>;

/// Who waited, and what he heard.
type Outcome = (&'static str, Result<(), SendError>);

impl Handler for Crowded {
    async fn on_connect(&self, connection: &Connection) {
        (self.allow)(0);
        while connection.try_send(&[7; 50]).is_ok() {}
        self.tell.try_send((connection.clone(), self.crowd(connection))).unwrap();
        self.sim.spawn(let_go_later(self.sim.clone(), self.allow.clone()));
        self.sim.sleep(ms(10)).await;
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.sim.sleep(ms(10)).await;
        // It may be closing already.
        let _ = connection.send(message).await;
    }

    async fn on_disconnect(&self, _: &Connection, _: Disconnect) {
        self.sim.sleep(ms(10)).await;
    }
}

impl Crowded {
    fn crowd(&self, connection: &Connection) -> Receiver<Outcome> {
        let (tell, told) = unbounded();
        let (sender, hears) = (connection.clone(), tell.clone());
        self.sim.spawn(async move {
            hears.try_send(("sender", sender.send("waits for room").await)).unwrap();
        });
        let (flusher, hears) = (connection.clone(), tell.clone());
        self.sim.spawn(async move { hears.try_send(("flusher", flusher.flush().await)).unwrap() });
        let mourner = connection.clone();
        self.sim.spawn(async move {
            mourner.closed().await;
            tell.try_send(("mourner", Err(SendError::Closed))).unwrap();
        });
        told
    }
}

async fn let_go_later(sim: Sim, allow: Allow) {
    sim.sleep(s(1)).await;
    allow(usize::MAX);
}

/// Runs a session until it is dropped. If there was a connection then, it is over, and everybody
/// has learnt that who had not been served before.
fn living(
    sim: &Sim,
    scissors: &Scissors,
    allow: impl Fn(usize) + Send + Sync + 'static,
    session: impl AsyncFnOnce(Crowded) -> Disconnect,
) {
    let (tell, told) = unbounded();
    let crowded = Crowded { sim: sim.clone(), allow: Arc::new(allow), tell };
    let ending = scissors.cut(sim, session(crowded));
    assert!(ending.is_none_or(|ending| matches!(ending, Disconnect::Peer { .. })));
    let Ok((connection, outcomes)) = told.try_recv() else { return };

    let heard = || std::iter::from_fn(|| outcomes.try_recv().ok());
    let early: Vec<_> = heard().map(|(who, _)| who).collect();
    sim.run(sim.settle());
    let late: Vec<_> = heard().collect();
    assert_eq!(early.len() + late.len(), 3, "somebody waits for ever: {early:?} {late:?}");
    for (who, outcome) in late {
        // What the flusher waits for may have been written by then.
        let served = who == "flusher" && sim.now() >= s(1) && outcome.is_ok();
        assert!(served || outcome == Err(SendError::Closed), "{who}: {outcome:?}");
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

/// The other side: says two things, and closes after two seconds.
async fn converse(sim: Sim, connection: Connection) {
    for text in ["one", "two"] {
        // Nobody may be there any more.
        let _ = connection.send(text).await;
        sim.sleep(ms(15)).await;
    }
    sim.sleep(s(2)).await;
    let _ = connection.close(CloseCode::NORMAL, "");
}

// ---- servers

#[test]
fn a_connection_whose_serve_stream_is_dropped_is_over() {
    at_each_step(|sim, scissors| {
        let (server, io, script) = pipe();
        script.set_piece(50);
        let runtime = sim.clone();
        sim.spawn(async move {
            let Ok(socket) = client(&runtime).connect_stream(io).await else { return };
            converse(runtime, socket.connection().clone()).await;
            while socket.recv().await.is_ok() {}
        });
        let theirs = script.clone();
        let allow = move |bytes| theirs.allow_to_client(bytes);
        living(sim, scissors, allow, async |handler| {
            serve_stream(sim.clone(), server, &options(), &handler).await.unwrap()
        });
        assert!(script.dropped_by_server());
    });
}

#[test]
fn a_connection_whose_serve_upgraded_is_dropped_is_over() {
    at_each_step(|sim, scissors| {
        let (server, io, script) = pipe();
        script.set_piece(50);
        let (runtime, mut peer) = (sim.clone(), Peer::open(io));
        sim.spawn(async move {
            peer.send("one").await;
            runtime.sleep(s(2)).await;
            peer.close(1000, "").await;
            while !matches!(peer.next().await, Seen::End(_)) {}
        });
        let theirs = script.clone();
        let allow = move |bytes| theirs.allow_to_client(bytes);
        living(sim, scissors, allow, async |handler| {
            serve_upgraded(sim.clone(), server, "/", &options(), &handler).await
        });
        assert!(script.dropped_by_server());
    });
}

// ---- clients

/// Somebody whom a client can talk to.
async fn answer(sim: Sim, io: End) {
    let (ear, _, out) = Ear::new();
    let runtime = sim.clone();
    sim.spawn(async move {
        // The client may have gone.
        let _ = serve_stream(runtime, io, &Options::default(), &ear).await;
    });
    if let Ok(connection) = out.recv().await {
        converse(sim, connection).await;
    }
}

#[test]
fn a_connection_whose_run_stream_is_dropped_is_over() {
    at_each_step(|sim, scissors| {
        let (server, io, script) = pipe();
        script.set_piece(50);
        sim.spawn(answer(sim.clone(), server));
        let theirs = script.clone();
        let allow = move |bytes| theirs.allow_to_server(bytes);
        living(sim, scissors, allow, async |handler| {
            client(sim).options(options()).run_stream(io, handler).await.unwrap()
        });
        assert!(script.dropped_by_client());
    });
}

#[test]
fn a_connection_whose_run_is_dropped_is_over() {
    at_each_step(|sim, scissors| {
        let net = Net::new(sim);
        net.name("example.org", &[("[::1]:80", After(ms(10)))]);
        let client = Client::new_on(net.clone(), "ws://example.org/").unwrap().options(options());
        let script = Arc::<OnceLock<Script>>::default();
        let (runtime, arrived) = (sim.clone(), script.clone());
        sim.spawn(async move {
            let (_, io, script) = net.arrival().await;
            script.set_piece(50);
            arrived.set(script).ok().unwrap();
            answer(runtime, io).await;
        });
        let theirs = script.clone();
        let allow = move |bytes| theirs.get().unwrap().allow_to_server(bytes);
        living(sim, scissors, allow, async |handler| client.run(handler).await.unwrap());
        sim.run(sim.settle());
        assert!(script.get().is_none_or(Script::dropped_by_client));
    });
}
