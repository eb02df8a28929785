//! [`WebSocketService`]: a handler as a service of tower and hyper.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use prism_driver::{Handler, Runtime, WebSockets};

use crate::upgrade::upgrade;

/// Makes a service that opens a WebSocket for each valid request, on any path, and refuses all others. The connections
/// share the handler.
///
/// ```no_run
/// # use hyper::{body::Incoming, rt::{Read, Write}, server::conn::http1};
/// # use prism_driver::{Handler, Runtime, WebSockets};
/// # async fn example<R: Runtime>(
/// #     websockets: WebSockets<R>, handler: impl Handler, stream: impl Read + Write + Unpin + Send + 'static,
/// # ) -> hyper::Result<()> {
/// let service = prism_hyper::service(&websockets, handler);
/// http1::Builder::new().serve_connection(stream, service).with_upgrades().await?;
/// # Ok(()) }
/// ```
pub fn service<R: Runtime, H: Handler>(
    websockets: &WebSockets<R>,
    handler: H,
) -> WebSocketService<R, H> {
    WebSocketService { websockets: websockets.clone(), handler: Arc::new(handler) }
}

/// A service whose responses open WebSockets; [`service`] makes it. It is one of tower
/// ([`tower_service::Service`]) and one of hyper ([`hyper::service::Service`]).
#[must_use]
pub struct WebSocketService<R: Runtime, H> {
    websockets: WebSockets<R>,
    handler: Arc<H>,
}

/// The future of a response.
type Answer = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send>>;

impl<R: Runtime, H: Handler> WebSocketService<R, H> {
    fn answer<B: Send + 'static>(&self, mut request: Request<B>) -> Answer {
        let Self { websockets, handler } = self.clone();
        Box::pin(async move {
            Ok(match upgrade(&mut request, &websockets).await {
                Ok(upgrade) => upgrade.serve(handler),
                Err(refusal) => refusal,
            })
        })
    }
}

impl<R, H, B> tower_service::Service<Request<B>> for WebSocketService<R, H>
where
    R: Runtime,
    H: Handler,
    B: Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answer {
        self.answer(request)
    }
}

impl<R, H, B> hyper::service::Service<Request<B>> for WebSocketService<R, H>
where
    R: Runtime,
    H: Handler,
    B: Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<B>) -> Answer {
        self.answer(request)
    }
}

impl<R: Runtime, H> Clone for WebSocketService<R, H> {
    fn clone(&self) -> Self {
        Self { websockets: self.websockets.clone(), handler: self.handler.clone() }
    }
}

impl<R: Runtime, H> fmt::Debug for WebSocketService<R, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketService")
            .field("websockets", &self.websockets)
            .finish_non_exhaustive()
    }
}
