//! HTTP servers of hyper on a [`Sim`].

use hyper::{
    Request, Response,
    body::{Body, Incoming},
    service::{Service, service_fn},
};
use prism_driver::Runtime;

use super::{Sim, hosts::Incoming as Connection};
use crate::http::{BoxError, serve_http};

impl Sim {
    /// Starts an HTTP/1.1 server of hyper in memory, under this host name. Each request has the address of its client,
    /// a [`SocketAddr`](std::net::SocketAddr), among its extensions.
    ///
    /// ```
    /// use prism_driver::{Connection, Handler, Message, WebSockets};
    /// use prism_test::Sim;
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
    /// let websockets = WebSockets::builder().build_on(sim.clone());
    /// sim.start_http("echo.example", prism_hyper::service(&websockets, Echo));
    /// sim.run(async {
    ///     let socket = sim.client("ws://echo.example/").connect().await.unwrap();
    ///     socket.send("hello").await.unwrap();
    ///     assert_eq!(socket.recv().await.unwrap().as_text(), Some("hello"));
    /// });
    /// ```
    ///
    /// A service of tower is one of hyper if it is wrapped in `hyper_util::service::TowerToHyperService`. Its tasks run
    /// here, and so do its WebSockets. A service that needs tokio, for timers or as the extractor of `prism-axum` does,
    /// cannot run here: see [`serve_http`].
    pub fn start_http<S, B>(&self, host: &str, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let address = self.free_server_address();
        self.set_name(host, &[address]);
        let (sim, listener) = (self.clone(), self.listener(&[address]));
        self.spawn(async move {
            loop {
                let Connection { stream, peer_addr, .. } = listener.accept().await;
                let service = service.clone();
                let service = service_fn(move |mut request: Request<Incoming>| {
                    request.extensions_mut().insert(peer_addr);
                    service.call(request)
                });
                sim.spawn(serve_http(stream, service));
            }
        });
    }
}
