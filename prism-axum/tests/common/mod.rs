//! A server of axum.

use std::{net::SocketAddr, time::Duration};

use async_channel::{Receiver, Sender, bounded};
use axum::{Extension, Router, serve::ListenerExt};
use prism_axum::WebSockets;
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};

/// The default of the grace period.
const GRACE: Duration = Duration::from_secs(10);

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) websockets: WebSockets,
    stop: Sender<()>,
    serving: JoinHandle<()>,
}

impl Server {
    /// Starts a server with these routes.
    pub(crate) async fn start(websockets: WebSockets, routes: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listener = listener.tap_io(|socket| socket.set_nodelay(true).unwrap());
        let app = routes.layer(Extension(websockets.clone()));
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let (stop, stopped) = bounded(1);
        let closing = websockets.closing(until_closed(stopped));
        let serving = tokio::spawn(async {
            axum::serve(listener, app).with_graceful_shutdown(closing).await.unwrap();
        });
        Self { address, websockets, stop, serving }
    }

    /// Begins a graceful shutdown.
    pub(crate) fn begin_stop(&self) {
        self.stop.close();
    }

    /// Returns when axum has ended.
    pub(crate) async fn ended(&mut self) {
        (&mut self.serving).await.unwrap();
    }

    /// Shuts down gracefully, within the grace period.
    pub(crate) async fn stop(mut self) -> WebSockets {
        self.begin_stop();
        timeout(GRACE, self.ended()).await.expect("axum ends within the grace period");
        self.websockets
    }
}

async fn until_closed(stopped: Receiver<()>) {
    while stopped.recv().await.is_ok() {}
}
