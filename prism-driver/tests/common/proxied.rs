//! A client that connects through a proxy, which the test drives by hand.

use std::{io, time::Duration};

use async_channel::{Receiver, bounded};
use futures_lite::AsyncWriteExt;
use prism_driver::{
    Client, ConnectError, Options, Proxy, ProxyFailure, Runtime, Socket, serve_stream,
};
use prism_test::{Faults, PipeEnd, Sim};

use super::{
    handlers::Echo,
    net::{
        Net,
        Reach::{self, After},
    },
    sockets::owned,
};

/// The address of `proxy.example`.
pub const PROXY: &str = "127.0.0.9:3128";

/// A client that connects.
pub struct Connecting {
    pub sim: Sim,
    pub net: Net,
    outcome: Receiver<Result<Socket, ConnectError>>,
}

/// Starts a client whose proxy is `proxy.example`, which accepts at once.
pub fn connecting(url: &str, proxy: Proxy) -> Connecting {
    connecting_to(url, proxy, &[(PROXY, After(Duration::ZERO))])
}

/// Starts a client whose proxy `proxy.example` has these addresses.
pub fn connecting_to(url: &str, proxy: Proxy, addresses: &[(&str, Reach)]) -> Connecting {
    let sim = Sim::default();
    let net = Net::new(&sim);
    net.name("proxy.example", addresses);
    start(sim, net, url, |client| client.proxy(proxy))
}

/// Starts a client on a network.
pub fn start(
    sim: Sim,
    net: Net,
    url: &str,
    settings: impl FnOnce(Client<Net>) -> Client<Net>,
) -> Connecting {
    let client = settings(Client::new_on(net.clone(), url).unwrap());
    let (tell, outcome) = bounded(1);
    sim.spawn(async move {
        // Not every test needs it.
        let _ = tell.send(client.connect().await).await;
    });
    Connecting { sim, net, outcome }
}

impl Connecting {
    /// Returns the next connection that arrives, at any address.
    pub fn arrival(&self) -> (PipeEnd, Faults) {
        let (_, io, faults) = self.sim.run(self.net.arrival());
        (io, faults)
    }

    pub fn outcome(&self) -> Result<Socket, ConnectError> {
        self.sim.run(async { self.outcome.recv().await.unwrap() })
    }

    /// Returns how the proxy has failed. The error names it, but never the user or the password.
    #[track_caller]
    pub fn failure(&self) -> ProxyFailure {
        let error = self.outcome().map(drop).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("the proxy proxy.example:3128 "), "{shown}");
        assert!(!shown.contains("alice") && !shown.contains("secret"), "{shown}");
        match error {
            ConnectError::Proxy(error) => error.failure,
            other => panic!("{other:?}"),
        }
    }

    /// Serves an echo on the server's end of a connection, and asserts that the client gets one.
    #[track_caller]
    pub fn assert_echoes(&self, io: PipeEnd) -> Socket {
        self.serve(io);
        let socket = self.outcome().unwrap();
        self.sim.run(async {
            socket.send("echoed").await.unwrap();
            assert_eq!(socket.recv().await.unwrap(), owned("echoed"));
        });
        socket
    }

    fn serve(&self, io: PipeEnd) {
        let runtime = self.sim.clone();
        self.sim.spawn(async move {
            // The client may not stay.
            let _ = serve_stream(runtime, io, &Options::default(), Echo).await;
        });
    }

    pub fn write(&self, io: &mut PipeEnd, bytes: &[u8]) {
        self.sim.run(async {
            io.write_all(bytes).await.unwrap();
            io.flush().await.unwrap();
        });
    }
}

/// Returns the kind of the transport's error.
pub fn kind(failure: &ProxyFailure) -> Option<io::ErrorKind> {
    match failure {
        ProxyFailure::Io(error) | ProxyFailure::Unreachable(error) => Some(error.kind()),
        _ => None,
    }
}
