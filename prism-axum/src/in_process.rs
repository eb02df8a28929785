//! [`InProcess`]: a stream for a request that no HTTP server has read.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prism_tokio::Transport;

/// The stream of a request that no HTTP server has read, for tests: among the extensions of a request, it takes the place
/// of the TCP connection. So a test can open WebSockets of a router in memory, by calling the router.
///
/// ```
/// use axum::{Router, body::Body, http::Request, response::Response, routing::any};
/// use prism_axum::{InProcess, WebSocketUpgrade};
/// use prism_test::{Peer, Received, pipe};
/// use tower_service::Service;
///
/// async fn echo(upgrade: WebSocketUpgrade) -> Response {
///     upgrade.on_upgrade(|socket| async move {
///         while let Ok(message) = socket.recv().await {
///             let _ = socket.send(message).await;
///         }
///     })
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut app = Router::new().route("/echo", any(echo));
/// let (server, client, _) = pipe();
/// let request = Request::get("/echo")
///     .header("Host", "localhost")
///     .header("Connection", "Upgrade")
///     .header("Upgrade", "websocket")
///     .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
///     .header("Sec-WebSocket-Version", "13")
///     .extension(InProcess::new(server));
/// let response = app.call(request.body(Body::empty()).unwrap()).await.unwrap();
/// assert_eq!(response.status(), 101);
///
/// let mut peer = Peer::new(client);
/// peer.send("hello").await;
/// assert_eq!(peer.next().await, Received::Text("hello".into()));
/// # }
/// ```
#[derive(Clone)]
pub struct InProcess(Arc<Mutex<Option<Box<dyn Transport>>>>);

impl InProcess {
    /// Takes the server's end of a stream. The first WebSocket that is opened with this gets it.
    #[must_use]
    pub fn new(stream: impl Transport) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(stream)))))
    }

    /// Returns the stream, once.
    pub(crate) fn take(&self) -> Option<Box<dyn Transport>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}
