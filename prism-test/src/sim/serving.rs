//! What a test runs on a [`Sim`]: a handler, a server, a client.

use std::{io, net::SocketAddr};

use prism_driver::{
    Client, ConnectionHandler, Options, Runtime, Server, ServerStats, serve_upgraded,
};

use super::Sim;
use crate::{
    peer::Peer,
    pipe::{faults::Faults, pipe},
};

/// What is under test.
impl Sim {
    /// Runs a handler on a connection in memory whose opening handshake is done. Returns its peer, and what controls
    /// the connection. The path of the connection is `/`; it has no query, no headers and no address.
    ///
    /// ```
    /// use prism_driver::{Connection, Handler, Message, Options};
    /// use prism_test::{Received, Sim};
    ///
    /// struct Echo;
    ///
    /// impl Handler for Echo {
    ///     async fn on_message(&self, connection: &Connection, message: Message<'_>) {
    ///         let _ = connection.send(message).await; // fails only if the connection is closing
    ///     }
    /// }
    ///
    /// let sim = Sim::new();
    /// let (mut peer, faults) = sim.serve(Echo, Options::default());
    /// faults.set_piece(1); // every byte arrives alone
    /// sim.run(async {
    ///     peer.send("hello").await;
    ///     assert_eq!(peer.next().await, Received::Text("hello".into()));
    /// });
    /// ```
    pub fn serve(&self, handler: impl ConnectionHandler, options: Options) -> (Peer, Faults) {
        let (server, client, faults) = pipe();
        let runtime = self.clone();
        self.spawn(async move {
            serve_upgraded(runtime, server, "/", &options, handler).await;
        });
        (Peer::new(client), faults)
    }

    /// Starts a server in memory, after `configure` has changed it, under this host name. Returns its counters.
    ///
    /// ```
    /// use prism_driver::socket;
    /// use prism_test::Sim;
    ///
    /// let sim = Sim::new();
    /// let stats = sim.start_server("echo.example", |server| {
    ///     server.websocket("/ws", socket(async |socket| {
    ///         while let Ok(message) = socket.recv().await {
    ///             let _ = socket.send(message).await;
    ///         }
    ///     }))
    /// });
    /// sim.run(async {
    ///     let socket = sim.client("ws://echo.example/ws").connect().await.unwrap();
    ///     socket.send("hello").await.unwrap();
    ///     assert_eq!(socket.recv().await.unwrap().as_text(), Some("hello"));
    ///     assert_eq!(stats.counts().open, 1);
    /// });
    /// ```
    ///
    /// The server runs until the simulation ends. To test a shutdown, call
    /// [`bind_server`](Self::bind_server), and run [`serve_until`](Server::serve_until) yourself.
    ///
    /// # Panics
    /// As for [`bind_server`](Self::bind_server).
    pub fn start_server(
        &self,
        host: &str,
        configure: impl FnOnce(Server<Self>) -> Server<Self>,
    ) -> ServerStats {
        let server = configure(self.bind_server(host));
        let stats = server.stats();
        self.spawn(server.serve());
        stats
    }

    /// Creates a server in memory, under this host name. Connections succeed from now on; they are accepted when the
    /// server is served.
    ///
    /// # Panics
    /// If the operating system has no free port of `127.0.0.1`. The server takes one for a moment, for its address.
    /// Nothing is ever sent there.
    pub fn bind_server(&self, host: &str) -> Server<Self> {
        let server = loop {
            // A real listener has an address. Another server of this simulation may have had the same one before.
            match self.run(Server::bind_on(self.clone(), "127.0.0.1:0")) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                bound => break bound.expect("a free port"),
            }
        };
        self.set_name(host, &[address(&server)]);
        server
    }

    /// Creates a client on this simulation, with the URL of one of its hosts.
    ///
    /// # Panics
    /// If the URL is invalid.
    pub fn client(&self, url: &str) -> Client<Self> {
        Client::new_on(self.clone(), url).expect("a valid URL")
    }
}

fn address(server: &Server<Sim>) -> SocketAddr {
    server.local_addr().expect("it listens")
}
