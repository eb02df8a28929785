//! A client's sockets, and the handlers that they are connected to.

use async_channel::{Receiver, bounded};
use prism_driver::{
    AcceptError, Client, Connection, Disconnect, Handler, Options, OwnedMessage, Runtime,
    SendError, Socket,
};

use super::{
    handlers::{Ear, HandOut, Log},
    pipe::Script,
    serve_handshake,
    sim::Sim,
};

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

/// A client whose outbox has a mark of 100 bytes, and whose server takes nothing yet; what the server
/// hears.
pub fn stuck_client(sim: &Sim) -> (Socket, Script, Log, Ended) {
    let (ear, log, _) = Ear::new();
    let mut options = Options::default();
    options.high_water_mark = LONG;
    options.protocol.ping_interval = None;
    let (socket, script, ended) = connected_with(sim, ear, options);
    sim.run(sim.settle());
    script.allow_to_server(0);
    (socket, script, log, ended)
}

/// So long is a message that alone fills such an outbox.
pub const LONG: usize = 100;

/// A long text that can be told from others.
pub fn line(n: usize) -> String {
    format!("{n:0LONG$}")
}

pub fn lines(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(line).collect()
}

pub fn numbered(n: usize) -> OwnedMessage {
    owned(&line(n))
}

/// Sends a numbered message in a task of its own; the outcome.
pub fn spawn_send(sim: &Sim, connection: &Connection, n: usize) -> Receiver<Result<(), SendError>> {
    let (connection, (tell, told)) = (connection.clone(), bounded(1));
    sim.spawn(async move {
        // Not every scenario asks.
        let _ = tell.send(connection.send(&numbered(n)).await).await;
    });
    told
}

pub fn owned(text: &str) -> OwnedMessage {
    OwnedMessage::Text(text.into())
}
