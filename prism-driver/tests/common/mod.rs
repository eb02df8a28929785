//! Helpers of the scenarios: handlers, servers and clients on a simulation, and requests by hand.

#![allow(unreachable_pub, reason = "the scenarios use it as a library")]

pub mod cancellation;
pub mod compressed;
#[cfg(feature = "tracing")]
pub mod events;
pub mod flood;
pub mod gatekeeper;
pub mod handlers;
#[cfg(feature = "tracing")]
pub mod hostile;
pub mod http;
pub mod kept_tasks;
pub mod kinds;
pub mod net;
pub mod proxied;
pub mod routes;
pub mod site;
pub mod sockets;
#[cfg(feature = "tls")]
pub mod tls;
pub mod websockets;

use std::{io, time::Duration};

use async_channel::{Receiver, bounded};
use prism_driver::{
    AcceptError, Connection, ConnectionHandler, Disconnect, Failure, Options, ProtocolError,
    Runtime, Transport, serve_stream, serve_upgraded,
};
use prism_test::{Faults, Peer, PipeEnd, Received, Sim, pipe};

use self::handlers::HandOut;

/// Serves a handler on a new pipe, after the handshake. Returns the peer, the faults of the pipe, and how
/// the connection ended.
pub fn serve(
    sim: &Sim,
    handler: impl ConnectionHandler,
    options: Options,
) -> (Peer, Faults, Receiver<Disconnect>) {
    let (server, client, faults) = pipe();
    let ended = serve_on(sim, server, handler, options);
    (Peer::new(client), faults, ended)
}

/// Serves a handler that sends each message back. Returns its peer, the faults of the pipe, how the
/// connection ended, and the connection.
pub fn handed_out(sim: &Sim, options: Options) -> (Peer, Faults, Receiver<Disconnect>, Connection) {
    let (handler, out) = HandOut::new();
    let (peer, faults, ended) = serve(sim, handler, options);
    let connection = sim.run(async { out.recv().await.unwrap() });
    (peer, faults, ended, connection)
}

/// Serves a connection without pings, so that only the deadline under test can end it.
pub fn quiet(sim: &Sim) -> (Peer, Faults, Receiver<Disconnect>, Connection) {
    quiet_at_rate(sim, 240)
}

/// Serves a connection without pings whose peer has to take this many bytes per second.
pub fn quiet_at_rate(
    sim: &Sim,
    min_write_rate: usize,
) -> (Peer, Faults, Receiver<Disconnect>, Connection) {
    let mut options = Options::default();
    options.protocol.ping_interval = None;
    options.min_write_rate = min_write_rate;
    handed_out(sim, options)
}

/// Serves a connection whose outbox has this mark and whose peer takes nothing yet, without pings.
pub fn stuck(sim: &Sim, mark: usize) -> (Peer, Faults, Receiver<Disconnect>, Connection) {
    let mut options = Options::default();
    options.high_water_mark = mark;
    options.protocol.ping_interval = None;
    let (peer, faults, ended, connection) = handed_out(sim, options);
    faults.to_client().set_capacity(0);
    (peer, faults, ended, connection)
}

/// Serves a handler on a transport, after the handshake. Returns how the connection ended.
pub fn serve_on(
    sim: &Sim,
    io: impl Transport,
    handler: impl ConnectionHandler,
    options: Options,
) -> Receiver<Disconnect> {
    let (ended, end) = bounded(1);
    let runtime = sim.clone();
    sim.spawn(async move {
        let reason = serve_upgraded(runtime, io, "/", &options, handler).await;
        // Not every test needs it.
        let _ = ended.try_send(reason);
    });
    end
}

/// Serves a handler on a new pipe, including the handshake.
pub fn serve_handshake(
    sim: &Sim,
    handler: impl ConnectionHandler,
    options: Options,
) -> (PipeEnd, Faults, Receiver<Result<Disconnect, AcceptError>>) {
    let (server, client, faults) = pipe();
    let (ended, end) = bounded(1);
    let runtime = sim.clone();
    sim.spawn(async move {
        let result = serve_stream(runtime, server, &options, handler).await;
        // Not every test needs it.
        let _ = ended.try_send(result);
    });
    (client, faults, end)
}

/// Returns how the transport failed, if that ended the connection.
pub fn io_error(ending: &Disconnect) -> Option<io::ErrorKind> {
    match ending {
        Disconnect::Failed(Failure::Io(error)) => Some(error.kind()),
        _ => None,
    }
}

/// Returns the protocol error that ended the connection, if one did.
pub fn protocol_error(ending: &Disconnect) -> Option<ProtocolError> {
    match ending {
        Disconnect::Failed(Failure::Protocol(error)) => Some(*error),
        _ => None,
    }
}

pub fn text(text: &str) -> Received {
    Received::Text(text.to_owned())
}

pub fn binary(bytes: impl Into<Vec<u8>>) -> Received {
    Received::Binary(bytes.into())
}

pub fn close(code: u16, reason: &str) -> Received {
    Received::Close(code, reason.to_owned())
}

pub const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
