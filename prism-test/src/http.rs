//! [`serve_http`]: HTTP over a pipe, by hyper.

use std::error::Error;

use hyper::{
    Request, Response,
    body::{Body, Incoming},
    server::conn::http1,
    service::Service,
};

use crate::pipe::PipeEnd;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Serves HTTP/1.1 on the server's end of a [`pipe`](crate::pipe()), with a service of hyper, on any runtime. The service may
/// upgrade the connection to a WebSocket. Ready when the connection has ended or is upgraded.
///
/// A service of tower, such as a router of axum, is one of hyper if it is wrapped in
/// `hyper_util::service::TowerToHyperService`.
///
/// ```
/// use prism_driver::{Runtime, WebSockets};
/// use prism_test::{Recorder, Sim, pipe, serve_http};
///
/// let (sim, recorder) = (Sim::new(), Recorder::new());
/// let websockets = WebSockets::builder().build_on(sim.clone());
/// let (server, client, _faults) = pipe();
/// sim.spawn(serve_http(server, prism_hyper::service(&websockets, recorder.clone())));
/// sim.run(async {
///     let socket = sim.client("ws://chat.example/").connect_stream(client).await.unwrap();
///     sim.settle().await;
///     recorder.connections()[0].send("hello").await.unwrap();
///     assert_eq!(socket.recv().await.unwrap().as_text(), Some("hello"));
/// });
/// ```
pub async fn serve_http<S, B>(stream: PipeEnd, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    // An error is the client's.
    let _ = http1::Builder::new().serve_connection(stream, service).with_upgrades().await;
}
