//! A client's sockets, and the handlers that they are connected to.

use async_channel::Receiver;
use prism_driver::{
    AcceptError, Client, Connection, Disconnect, Handler, Options, OwnedMessage, Socket,
};

use super::{handlers::HandOut, pipe::Script, serve_handshake, sim::Sim};

pub type Ended = Receiver<Result<Disconnect, AcceptError>>;

pub fn client(sim: &Sim) -> Client<Sim> {
    Client::new_on(sim.clone(), "ws://example.org/chat?room=1").unwrap()
}

/// A client's socket, and the server's end of its connection, which sends each message back.
pub fn connected(sim: &Sim) -> (Socket, Connection, Script, Ended) {
    let (handler, out) = HandOut::new();
    let (socket, script, ended) = connected_to(sim, handler);
    let connection = sim.run(async { out.recv().await.unwrap() });
    (socket, connection, script, ended)
}

pub fn connected_to(sim: &Sim, handler: impl Handler) -> (Socket, Script, Ended) {
    connected_with(sim, handler, Options::default())
}

/// A socket with options of its own.
pub fn connected_with(
    sim: &Sim,
    handler: impl Handler,
    options: Options,
) -> (Socket, Script, Ended) {
    let (io, script, ended) = serve_handshake(sim, handler, Options::default());
    let client = client(sim).options(options);
    let socket = sim.run(async { client.connect_stream(io).await.unwrap() });
    (socket, script, ended)
}

pub fn owned(text: &str) -> OwnedMessage {
    OwnedMessage::Text(text.into())
}
