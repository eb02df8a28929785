//! A world in one thread: tasks, a clock that jumps, and pipes that do as they are told.

#![allow(dead_code, unreachable_pub, reason = "each test file is a crate that uses a part of it")]

pub mod handlers;
pub mod http;
pub mod net;
pub mod peer;
pub mod pipe;
pub mod scissors;
pub mod sim;
pub mod sockets;
pub mod torrent;

use std::{io, time::Duration};

use async_channel::{Receiver, bounded};
use prism_driver::{
    AcceptError, Connection, Disconnect, Failure, Handler, Options, Runtime, Transport,
    serve_stream, serve_upgraded,
};

use self::{
    handlers::HandOut,
    peer::{Peer, Seen},
    pipe::{End, Script, pipe},
    sim::Sim,
};

/// Serves a handler on a new pipe whose handshake is done; the peer, the script, and how it ended.
pub fn serve(
    sim: &Sim,
    handler: impl Handler,
    options: Options,
) -> (Peer, Script, Receiver<Disconnect>) {
    let (server, client, script) = pipe();
    let ended = serve_on(sim, server, handler, options);
    (Peer::open(client), script, ended)
}

/// A connection that is handed out, and sends back what it hears: its peer, the script, how it ended,
/// and itself.
pub fn handed_out(sim: &Sim, options: Options) -> (Peer, Script, Receiver<Disconnect>, Connection) {
    let (handler, out) = HandOut::new();
    let (peer, script, ended) = serve(sim, handler, options);
    let connection = sim.run(async { out.recv().await.unwrap() });
    (peer, script, ended, connection)
}

/// A connection whose outbox has this mark, and whose peer takes nothing yet; it does not ping.
pub fn stuck(sim: &Sim, mark: usize) -> (Peer, Script, Receiver<Disconnect>, Connection) {
    let mut options = Options::default();
    options.high_water_mark = mark;
    options.protocol.ping_interval = None;
    let (peer, script, ended, connection) = handed_out(sim, options);
    script.set_capacity_to_client(0);
    (peer, script, ended, connection)
}

/// Serves a handler on a transport whose handshake is done; how it ended.
pub fn serve_on(
    sim: &Sim,
    io: impl Transport,
    handler: impl Handler,
    options: Options,
) -> Receiver<Disconnect> {
    let (ended, end) = bounded(1);
    let runtime = sim.clone();
    sim.spawn(async move {
        let reason = serve_upgraded(runtime, io, "/", &options, &handler).await;
        // Not every scenario asks.
        let _ = ended.try_send(reason);
    });
    end
}

/// Serves a handler on a new pipe, handshake and all.
pub fn serve_handshake(
    sim: &Sim,
    handler: impl Handler,
    options: Options,
) -> (End, Script, Receiver<Result<Disconnect, AcceptError>>) {
    let (server, client, script) = pipe();
    let (ended, end) = bounded(1);
    let runtime = sim.clone();
    sim.spawn(async move {
        let result = serve_stream(runtime, server, &options, &handler).await;
        // Not every scenario asks.
        let _ = ended.try_send(result);
    });
    (client, script, end)
}

/// How the transport failed, if that was the end.
pub fn io_error(ending: &Disconnect) -> Option<io::ErrorKind> {
    match ending {
        Disconnect::Failed(Failure::Io(error)) => Some(error.kind()),
        _ => None,
    }
}

pub fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

pub fn binary(bytes: impl Into<Vec<u8>>) -> Seen {
    Seen::Binary(bytes.into())
}

pub fn close(code: u16, reason: &str) -> Seen {
    Seen::Close(code, reason.to_owned())
}

pub const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
