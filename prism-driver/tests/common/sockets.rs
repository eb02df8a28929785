//! Client sockets that are connected to a handler.

use async_channel::{Receiver, bounded};
use prism_driver::{
    AcceptError, Client, Connection, ConnectionHandler, Disconnect, Options, OwnedMessage, Runtime,
    SendError, Socket,
};
use prism_test::{Faults, Sim};

use super::{
    handlers::{HandOut, Log, MessageLog},
    serve_handshake,
};

pub type Ended = Receiver<Result<Disconnect, AcceptError>>;

pub fn client(sim: &Sim) -> Client<Sim> {
    Client::new_on(sim.clone(), "ws://example.org/chat?room=1").unwrap()
}

/// Connects a socket to a server that sends each message back, and returns both ends.
pub fn connected(sim: &Sim) -> (Socket, Connection, Faults, Ended) {
    let (handler, out) = HandOut::new();
    let (socket, faults, ended) = connected_to(sim, handler);
    let connection = sim.run(async { out.recv().await.unwrap() });
    (socket, connection, faults, ended)
}

pub fn connected_to(sim: &Sim, handler: impl ConnectionHandler) -> (Socket, Faults, Ended) {
    connected_with(sim, handler, Options::default())
}

/// Connects a socket with these options.
pub fn connected_with(
    sim: &Sim,
    handler: impl ConnectionHandler,
    options: Options,
) -> (Socket, Faults, Ended) {
    let (io, faults, ended) = serve_handshake(sim, handler, Options::default());
    let client = client(sim).options(options);
    let socket = sim.run(async { client.connect_stream(io).await.unwrap() });
    (socket, faults, ended)
}

/// Connects a socket whose outbox has a mark of 100 bytes, and whose server takes nothing yet. The log
/// is of what the server receives.
pub fn stuck_client(sim: &Sim) -> (Socket, Faults, Log, Ended) {
    let (handler, log, _) = MessageLog::new();
    let mut options = Options::default();
    options.high_water_mark = LONG;
    options.protocol.ping_interval = None;
    let (socket, faults, ended) = connected_with(sim, handler, options);
    sim.run(sim.settle());
    faults.to_server().allow(0);
    (socket, faults, log, ended)
}

/// The length of a message that fills such an outbox.
pub const LONG: usize = 100;

/// A long text with a number.
pub fn line(n: usize) -> String {
    format!("{n:0LONG$}")
}

pub fn lines(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(line).collect()
}

pub fn numbered(n: usize) -> OwnedMessage {
    owned(&line(n))
}

/// Sends a numbered message in a separate task, and returns the outcome.
pub fn spawn_send(sim: &Sim, connection: &Connection, n: usize) -> Receiver<Result<(), SendError>> {
    let (connection, (tell, told)) = (connection.clone(), bounded(1));
    sim.spawn(async move {
        // Not every test needs it.
        let _ = tell.send(connection.send(&numbered(n)).await).await;
    });
    told
}

pub fn owned(text: &str) -> OwnedMessage {
    OwnedMessage::Text(text.into())
}
