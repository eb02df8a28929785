//! [`RouteServer`]: a server in memory with a route.

use async_channel::{Receiver, Sender};
use prism_driver::{IntoRoute, Server, ServerOptions, ServerStats, Shutdown};
use prism_test::{Faults, Peer, Sim};

use super::{http::shake_hands, net::Net, site::serve_until_closed};

/// A server whose route is at `/chat`, the path of [`shake_hands`].
pub struct RouteServer {
    pub net: Net,
    pub stats: ServerStats,
    stop: Sender<()>,
    outcome: Receiver<Shutdown>,
}

impl RouteServer {
    pub fn start(sim: &Sim, route: impl IntoRoute<Net>) -> Self {
        Self::with_options(sim, ServerOptions::default(), route)
    }

    pub fn with_options(
        sim: &Sim,
        options: impl Into<ServerOptions>,
        route: impl IntoRoute<Net>,
    ) -> Self {
        let net = Net::new(sim);
        let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
        let server = bound.options(options).websocket("/chat", route);
        let stats = server.stats();
        let (stop, outcome) = serve_until_closed(sim, server);
        Self { net, stats, stop, outcome }
    }

    pub async fn open(&self) -> Peer {
        self.open_with_faults().await.0
    }

    /// Opens a connection. Also returns the faults of its pipe.
    pub async fn open_with_faults(&self) -> (Peer, Faults) {
        let (io, faults) = self.net.connect_raw().unwrap();
        (shake_hands(io).await, faults)
    }

    /// Starts the shutdown, and returns its outcome when there is one.
    pub fn begin_stop(&self) -> Receiver<Shutdown> {
        self.stop.close();
        self.outcome.clone()
    }
}
