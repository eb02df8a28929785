//! Connections whose peers have agreed on compression.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use futures_lite::{AsyncWriteExt, future::poll_once};
use prism_core::deflate::{Deflater, Engine, Inflater, Settings, ZlibRs};
use prism_driver::{Connection, ConnectionHandler, Deflate, Options};
use prism_test::{Faults, Peer, PipeEnd, Received, Sim};

use super::{
    handlers::HandOut,
    http::{REQUEST, read_head},
    serve_handshake,
};

/// Options that compress messages of any length, without pings.
pub fn options(deflate: Deflate) -> Options {
    Options::default().ping_interval(None).compression(deflate.threshold(0))
}

/// Serves a handler that sends each message back, to a peer that makes the offer of `offer`.
pub fn open(sim: &Sim, options: Options, offer: Deflate) -> (Peer, Faults, Connection) {
    let (handler, out) = HandOut::new();
    let (peer, faults) = open_with(sim, handler, options, offer);
    let connection = sim.run(async { out.recv().await.unwrap() });
    sim.run(sim.settle());
    (peer, faults, connection)
}

/// Serves a handler to such a peer.
pub fn open_with(
    sim: &Sim,
    handler: impl ConnectionHandler,
    options: Options,
    offer: Deflate,
) -> (Peer, Faults) {
    let (io, faults, _) = serve_handshake(sim, handler, options);
    (sim.run(shake_hands(io, offer)), faults)
}

async fn shake_hands(mut io: PipeEnd, offer: Deflate) -> Peer {
    let line = format!("Sec-WebSocket-Extensions: {}", offer.offer());
    io.write_all(REQUEST.replace("X-Token: abc", &line).as_bytes()).await.unwrap();
    let head = read_head(&mut io).await;
    let answer = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    let params = offer.check_answer(answer.map(str::as_bytes)).unwrap();
    let peer = Peer::new(io);
    match params {
        Some(params) => peer.with_deflate(Arc::new(offer), params),
        None => peer,
    }
}

/// Receives messages until the peer has nothing more to read.
pub fn received(sim: &Sim, peer: &mut Peer) -> Vec<Received> {
    let mut all = Vec::new();
    sim.run(async {
        loop {
            sim.settle().await;
            match poll_once(peer.next()).await {
                Some(seen) => all.push(seen),
                None => return,
            }
        }
    });
    all
}

/// Returns about 1 KiB of JSON, different for each number.
pub fn json(nth: usize) -> String {
    let mut json = String::from("[");
    for row in 0..16 {
        let id = (nth + 1) * 7919 * (row + 3) % 100_003;
        write!(json, r#"{{"id":{id},"name":"user {}","online":{}}},"#, id % 97, id > 50_000)
            .unwrap();
    }
    json.replace_range(json.len() - 1.., "]");
    json
}

/// zlib, with a count of the messages that it has compressed.
#[derive(Debug, Default)]
#[expect(unnameable_types, reason = "tests get one from `counting`")]
pub struct Counting(AtomicUsize);

impl Counting {
    /// Creates one that lives as long as the process.
    pub fn leak() -> &'static Self {
        Box::leak(Box::default())
    }

    /// Returns how many messages were compressed since the last call.
    pub fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Engine for &'static Counting {
    fn inflater(&self) -> Box<dyn Inflater> {
        ZlibRs.inflater()
    }

    fn deflater(&self, settings: Settings) -> Option<Box<dyn Deflater>> {
        Some(Box::new(CountingDeflater(&self.0, ZlibRs.deflater(settings)?)))
    }
}

struct CountingDeflater(&'static AtomicUsize, Box<dyn Deflater>);

impl Deflater for CountingDeflater {
    fn deflate(&mut self, history: &[u8], plain: &[u8], out: &mut [u8]) -> Option<usize> {
        self.0.fetch_add(1, Ordering::Relaxed);
        self.1.deflate(history, plain, out)
    }
}

/// Returns the default settings with an engine that counts.
pub fn counting() -> (Deflate, &'static Counting) {
    let counting = Counting::leak();
    let engine: &'static &'static Counting = Box::leak(Box::new(counting));
    (Deflate::default().engine(engine), counting)
}

/// zlib that panics at its first message.
#[derive(Debug, Default)]
struct PanicsOnce(AtomicBool);

impl Engine for PanicsOnce {
    fn inflater(&self) -> Box<dyn Inflater> {
        ZlibRs.inflater()
    }

    fn deflater(&self, settings: Settings) -> Option<Box<dyn Deflater>> {
        assert!(self.0.swap(true, Ordering::Relaxed), "the engine panics");
        ZlibRs.deflater(settings)
    }
}

/// Returns these settings with an engine that panics at its first message.
pub fn panicking_once(deflate: Deflate) -> Deflate {
    deflate.engine(Box::leak(Box::<PanicsOnce>::default()))
}
