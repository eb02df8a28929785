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

/// Serves HTTP/1.1 on the server's end of a [`pipe`](crate::pipe()), with a service of hyper, on any runtime. The
/// service may upgrade the connection to a WebSocket. Ready when the connection has ended or is upgraded.
///
/// A router of axum is such a service if it is wrapped in `TowerToHyperService`. The extractor of `prism-axum` runs its
/// connections on tokio, so the test runs there, on tokio's virtual time:
///
/// ```
/// # use axum::{Router, extract::Path, response::Response, routing::any};
/// # use prism_axum::{Message, WebSocketUpgrade};
/// # async fn greet(upgrade: WebSocketUpgrade, Path(name): Path<String>) -> Response {
/// #     upgrade.on_upgrade(|socket| async move { let _ = socket.send(format!("hello, {name}")).await; })
/// # }
/// use hyper_util::service::TowerToHyperService;
/// use prism_axum::Client;
/// use prism_test::{pipe, serve_http};
///
/// # async fn the_test() {
/// // #[tokio::test(start_paused = true)]
/// // async fn everybody_is_greeted() {
/// let app = Router::new().route("/greet/{name}", any(greet));
/// let (server, client, _faults) = pipe();
/// tokio::spawn(serve_http(server, TowerToHyperService::new(app)));
/// let socket = Client::new("ws://test/greet/Ann").unwrap().connect_stream(client).await.unwrap();
/// assert_eq!(socket.recv().await.unwrap(), Message::Text("hello, Ann"));
/// // }
/// # }
/// # tokio::runtime::Builder::new_current_thread()
/// #     .enable_time().start_paused(true).build().unwrap().block_on(the_test());
/// ```
///
/// (The pipe is a stream of tokio with the feature `tokio` of this crate.)
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
