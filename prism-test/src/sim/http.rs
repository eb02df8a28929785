//! HTTP servers of hyper on a [`Sim`].

use std::error::Error;

use hyper::{
    Request, Response,
    body::{Body, Incoming},
    server::conn::http1,
    service::{Service, service_fn},
};
use prism_driver::Runtime;

use super::{Sim, hosts::Incoming as Connection};

type BoxError = Box<dyn Error + Send + Sync>;

impl Sim {
    /// Starts an HTTP/1.1 server of hyper in memory, under this host name. Each request has the address of its client, a
    /// [`SocketAddr`](std::net::SocketAddr), among its extensions.
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
    /// The service is one of hyper. To test a router of axum, or another service of tower, wrap it in
    /// `hyper_util::service::TowerToHyperService`. WebSockets under it belong to a `WebSockets` on this simulation.
    ///
    /// Its tasks run here, on virtual time. A service that calls functions of tokio, such as timers, does not work here.
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
                sim.spawn(async move {
                    // An error is the client's.
                    let _ = http1::Builder::new()
                        .serve_connection(stream, service)
                        .with_upgrades()
                        .await;
                });
            }
        });
    }
}
