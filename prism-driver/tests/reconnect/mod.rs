//! A client that reconnects. The test plays the servers, one connection after the other.

mod callbacks;
mod delays;
mod handles;
mod hooks;
mod losses;
mod runs;
mod schedules;
mod sockets;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_channel::{Receiver, bounded};
use futures_lite::AsyncWriteExt;
use prism_driver::{
    Client, Connection, ConnectionHandler, Disconnect, Ended, Message, Options, Reconnect, Runtime,
    serve_stream,
};
use prism_test::{Faults, Sim};

use crate::common::{
    handlers::{Log, MessageLog},
    http::read_head,
    net::{Net, Reach::After},
};

const SERVER: &str = "127.0.0.1:80";

/// Returns a network with one server, which can be reached at once, and what connects to it.
fn network(sim: &Sim) -> (Net, Reconnect<Net>) {
    let net = Net::new(sim);
    net.address(SERVER, After(Duration::ZERO));
    let client = Client::new_on(net.clone(), "ws://127.0.0.1/").unwrap().options(quiet());
    (net, Reconnect::new(client))
}

/// Options without pings, so that only the test ends a connection.
fn quiet() -> Options {
    let mut options = Options::default();
    options.protocol.ping_interval = None;
    options
}

/// Runs a handler in a task. Returns what ended last.
fn run(sim: &Sim, reconnect: Reconnect<Net>, handler: impl ConnectionHandler) -> Receiver<Ended> {
    let (tell, told) = bounded(1);
    sim.spawn(async move {
        // Not every test needs it.
        let _ = tell.send(reconnect.run(handler).await).await;
    });
    told
}

/// The server's end of a connection.
struct Served {
    connection: Connection,
    received: Log,
    faults: Faults,
}

/// Accepts the next connection.
async fn accept(sim: &Sim, net: &Net) -> Served {
    let (_, io, faults) = net.arrival().await;
    let (handler, received, out) = MessageLog::new();
    let runtime = sim.clone();
    sim.spawn(async move {
        // The connection may be aborted.
        let _ = serve_stream(runtime, io, &quiet(), handler).await;
    });
    Served { connection: out.recv().await.unwrap(), received, faults }
}

/// Accepts the next connection and drops it at once, when everything that the client sent has been read.
async fn accept_and_drop(sim: &Sim, net: &Net) {
    let server = accept(sim, net).await;
    sim.settle().await;
    server.connection.abort();
}

/// Refuses the next connection with this status, and these headers. Returns the request.
async fn refuse(net: &Net, status: u16, headers: &str) -> String {
    let (_, mut io, _) = net.arrival().await;
    let request = read_head(&mut io).await;
    let response = format!("HTTP/1.1 {status} x\r\n{headers}Content-Length: 0\r\n\r\n");
    io.write_all(response.as_bytes()).await.unwrap();
    request
}

/// What `on_retry` was told: the number of the attempt, the delay, and the reason.
#[derive(Clone, Default)]
struct Retries(Arc<Mutex<Vec<(u32, Duration, String)>>>);

impl Retries {
    fn of(reconnect: Reconnect<Net>) -> (Reconnect<Net>, Self) {
        let retries = Self::default();
        let ours = retries.clone();
        let reconnect = reconnect.on_retry(move |retry| {
            let reason = retry.reason.to_string();
            ours.0.lock().unwrap().push((retry.attempt, retry.delay, reason));
        });
        (reconnect, retries)
    }

    fn attempts(&self) -> Vec<u32> {
        self.0.lock().unwrap().iter().map(|(attempt, ..)| *attempt).collect()
    }

    fn delays(&self) -> Vec<Duration> {
        self.0.lock().unwrap().iter().map(|(_, delay, _)| *delay).collect()
    }

    fn reasons(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(.., reason)| reason.clone()).collect()
    }
}

/// Logs its calls with the number of the connection, which it counts in a field, and greets.
struct Counting {
    connections: usize,
    log: Log,
}

impl Counting {
    fn new() -> (Self, Log) {
        let log = Log::default();
        (Self { connections: 0, log: log.clone() }, log)
    }
}

impl ConnectionHandler for Counting {
    async fn on_connect(&mut self, connection: &Connection) {
        self.connections += 1;
        self.log.add(format!("{} connect", self.connections));
        // The connection may be closed already.
        let _ = connection.send(format!("hello {}", self.connections)).await;
    }

    async fn on_message(&mut self, connection: &Connection, message: Message<'_>) {
        let text = message.as_text().unwrap();
        self.log.add(format!("{} {text}", self.connections));
        match text {
            "close" => assert!(connection.close(prism_driver::CloseCode::NORMAL, "enough")),
            "abort" => connection.abort(),
            "panic" => panic!("on purpose"),
            _ => {}
        }
    }

    async fn on_disconnect(&mut self, _: &Connection, reason: Disconnect) {
        self.log.add(format!("{} disconnect {reason}", self.connections));
    }
}
