//! [`TestServer`]: a server for a scenario, on a free port.

use std::{
    net::{SocketAddr, TcpListener},
    sync::mpsc::{Receiver, channel},
};

use socket2::{Domain, Type};

use super::{TIMEOUT, block_on, handlers::Echo, peer::Peer};
use crate::{
    prism::{Client, Server, ServerOptions, ServerStats, Shutdown, Socket},
    runtime::spawn,
};

/// A server that runs until this is stopped or dropped.
pub(crate) struct TestServer {
    address: SocketAddr,
    stop: async_channel::Sender<()>,
    outcome: Receiver<Shutdown>,
    stats: ServerStats,
}

/// Runs a server with the given routes.
pub(crate) fn serve(routes: impl FnOnce(Server) -> Server) -> TestServer {
    serve_at("127.0.0.1:0", routes)
}

/// Runs a server at this address.
pub(crate) fn serve_at(address: &str, routes: impl FnOnce(Server) -> Server) -> TestServer {
    let (stop, stopped) = async_channel::bounded::<()>(1);
    let (sender, outcome) = channel();
    let server = block_on(Server::bind(address)).expect("a free port");
    let address = server.local_addr().expect("a bound listener");
    let server = routes(server);
    let stats = server.stats();
    spawn(async move {
        let shutdown = async { while stopped.recv().await.is_ok() {} };
        let _ = sender.send(server.serve_until(shutdown).await); // fails if the scenario is over
    });
    TestServer { address, stop, outcome, stats }
}

/// Runs an echo server with these options, on `/`.
pub(crate) fn serve_echo(options: impl Into<ServerOptions>) -> TestServer {
    serve(|server| server.options(options).websocket("/", Echo))
}

impl TestServer {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    pub(crate) fn stats(&self) -> &ServerStats {
        &self.stats
    }

    /// Creates a Prism client for a path of this server.
    pub(crate) fn client(&self, path: &str) -> Client {
        Client::new(&self.url(path)).expect("a good address")
    }

    /// Connects with a Prism client.
    pub(crate) async fn connect(&self, path: &str) -> Socket {
        self.client(path).connect().await.expect("the server accepts")
    }

    /// Connects a raw peer that sends nothing yet.
    pub(crate) fn dial(&self) -> Peer {
        Peer::dial(self.address)
    }

    /// Connects a raw peer and completes the handshake.
    pub(crate) fn open(&self, path: &str) -> Peer {
        let mut peer = self.dial();
        peer.write(Peer::request(path).as_bytes());
        let head = peer.head();
        assert_eq!(head.status, 101, "{head:?}");
        peer
    }

    /// Starts the shutdown without waiting for it.
    pub(crate) fn begin_stop(&self) {
        self.stop.close();
    }

    /// Waits for the end of the shutdown.
    pub(crate) fn stopped(&self) -> Shutdown {
        self.outcome.recv_timeout(TIMEOUT).expect("the server ends")
    }

    pub(crate) fn stop(&self) -> Shutdown {
        self.begin_stop();
        self.stopped()
    }
}

/// Returns a listener and its URL, for scenarios in which the server is a raw peer.
pub(crate) fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}/", listener.local_addr().expect("a bound listener"));
    (listener, url)
}

/// Returns an address that refuses connections. The returned socket reserves the port: while it is
/// kept, no other process can listen there.
pub(crate) fn closed_port(host: &str) -> (SocketAddr, impl Sized) {
    let any: SocketAddr = format!("{host}:0").parse().expect("an address");
    let socket =
        socket2::Socket::new(Domain::for_address(any), Type::STREAM, None).expect("a socket");
    socket.bind(&any.into()).expect("a free port");
    let address = socket.local_addr().expect("a bound socket");
    (address.as_socket().expect("an address"), socket)
}
