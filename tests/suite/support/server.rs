//! [`Running`]: a server for a scenario, on a port of its own.

use std::{
    net::{SocketAddr, TcpListener},
    sync::mpsc::{Receiver, channel},
};

use socket2::{Domain, Type};

use super::{PATIENCE, block_on, handlers::Echo, peer::Peer};
use crate::{
    prism::{Client, Server, ServerOptions, ServerStats, Shutdown, Socket},
    runtime::spawn,
};

/// A server that runs until it is stopped or dropped.
pub(crate) struct Running {
    address: SocketAddr,
    stop: async_channel::Sender<()>,
    outcome: Receiver<Shutdown>,
    stats: ServerStats,
}

/// Runs a server with the routes that are given to it.
pub(crate) fn serve(routes: impl FnOnce(Server) -> Server) -> Running {
    serve_at("127.0.0.1:0", routes)
}

/// Runs a server at this address.
pub(crate) fn serve_at(address: &str, routes: impl FnOnce(Server) -> Server) -> Running {
    let (stop, stopped) = async_channel::bounded::<()>(1);
    let (sender, outcome) = channel();
    let server = block_on(Server::bind(address)).expect("a free port");
    let address = server.local_addr().expect("a bound listener");
    let server = routes(server);
    let stats = server.stats();
    spawn(async move {
        let shutdown = async { while stopped.recv().await.is_ok() {} };
        let _ = sender.send(server.serve_until(shutdown).await); // nobody may wait for it
    });
    Running { address, stop, outcome, stats }
}

/// Runs an echo server with these limits, on `/`.
pub(crate) fn serve_echo(options: impl Into<ServerOptions>) -> Running {
    serve(|server| server.options(options).websocket("/", Echo))
}

impl Running {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    pub(crate) fn stats(&self) -> &ServerStats {
        &self.stats
    }

    /// A client of Prism's.
    pub(crate) fn client(&self, path: &str) -> Client {
        Client::new(&self.url(path)).expect("a good address")
    }

    /// A connection of a client of Prism's.
    pub(crate) async fn connect(&self, path: &str) -> Socket {
        self.client(path).connect().await.expect("the server accepts")
    }

    /// A raw peer that has said nothing.
    pub(crate) fn dial(&self) -> Peer {
        Peer::dial(self.address)
    }

    /// A raw peer whose handshake is done.
    pub(crate) fn open(&self, path: &str) -> Peer {
        let mut peer = self.dial();
        peer.write(Peer::request(path).as_bytes());
        let head = peer.head();
        assert_eq!(head.status, 101, "{head:?}");
        peer
    }

    /// Tells the server to shut down, and does not wait for it.
    pub(crate) fn begin_stop(&self) {
        self.stop.close();
    }

    /// Waits for a server that was told to stop.
    pub(crate) fn stopped(&self) -> Shutdown {
        self.outcome.recv_timeout(PATIENCE).expect("the server ends")
    }

    pub(crate) fn stop(&self) -> Shutdown {
        self.begin_stop();
        self.stopped()
    }
}

/// A listener for scenarios in which the server is a raw peer; and its address.
pub(crate) fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}/", listener.local_addr().expect("a bound listener"));
    (listener, url)
}

/// An address at which nobody listens, for as long as the socket is kept: somebody else could get a
/// free port.
pub(crate) fn closed(host: &str) -> (SocketAddr, impl Sized) {
    let any: SocketAddr = format!("{host}:0").parse().expect("an address");
    let socket =
        socket2::Socket::new(Domain::for_address(any), Type::STREAM, None).expect("a socket");
    socket.bind(&any.into()).expect("a free port");
    let address = socket.local_addr().expect("a bound socket");
    (address.as_socket().expect("an address"), socket)
}
