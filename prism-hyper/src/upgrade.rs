//! [`upgrade`]: judges a request for a WebSocket. [`Upgrade`]: a valid request.

use std::{any::Any, net::SocketAddr};

use bytes::Bytes;
use http::{Extensions, Request, Response, Version};
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use prism_driver::{
    ConnectionHandler, HttpRequest, InvalidHeader, Opening, Options, PendingUpgrade, Runtime,
    Socket, WebSockets,
};

use crate::io::Io;

/// Judges a request for a WebSocket, and takes the stream of the connection out of it. If the request has the peer's
/// [`SocketAddr`] among its extensions, that is the peer's [address](HttpRequest::peer_addr).
///
/// Cancel-safe: if you drop the future, the request is counted as [left](prism_driver::Refused::left).
///
/// # Errors
/// Returns the response that refuses the request; see [`WebSockets::upgrade`]. Its status is 500 if the request has no
/// stream, because something has taken it already, or because hyper did not read the request.
pub async fn upgrade<R: Runtime, B>(
    request: &mut Request<B>,
    websockets: &WebSockets<R>,
) -> Result<Upgrade<R>, Response<Full<Bytes>>> {
    let has_stream = request.extensions().get::<OnUpgrade>().is_some();
    let stream = hyper::upgrade::on(&mut *request);
    let head = with_extensions(HttpRequest::of(request), request.extensions());
    let head = match request.extensions().get::<SocketAddr>() {
        Some(addr) => head.peer_addr(*addr),
        None => head,
    };
    let head = if has_stream { head } else { head.without_stream() };
    let version = request.version();
    let pending = websockets.upgrade(head).await.map_err(|refusal| refusal.map(Full::new))?;
    Ok(Upgrade { pending, stream, version })
}

/// Adds what the extensions of a request have to its head: the `:protocol` of HTTP/2, which hyper puts there, and an
/// `Arc<TlsInfo>`, if your server puts it there.
#[must_use]
#[allow(unused_mut, unused_variables, reason = "each depends on a feature")]
pub fn with_extensions<'a>(
    mut head: HttpRequest<'a>,
    extensions: &'a Extensions,
) -> HttpRequest<'a> {
    #[cfg(feature = "http2")]
    if let Some(protocol) = extensions.get::<hyper::ext::Protocol>() {
        head = head.protocol(protocol.as_str());
    }
    #[cfg(feature = "tls")]
    if let Some(tls) = extensions.get::<std::sync::Arc<prism_driver::tls::TlsInfo>>() {
        head = head.tls(tls.clone());
    }
    head
}

/// A valid request for a WebSocket, from [`upgrade`]. The methods that run something return the response to send.
#[derive(Debug)]
#[must_use]
pub struct Upgrade<R: Runtime> {
    pending: PendingUpgrade<R>,
    stream: OnUpgrade,
    version: Version,
}

impl<R: Runtime> Upgrade<R> {
    /// Returns the request.
    #[must_use]
    pub const fn request(&self) -> &prism_driver::Request {
        self.pending.request()
    }

    /// Selects a subprotocol; see [`PendingUpgrade::subprotocols`].
    pub fn subprotocols<P: AsRef<str>>(self, names: impl IntoIterator<Item = P>) -> Self {
        Self { pending: self.pending.subprotocols(names), ..self }
    }

    /// Attaches data to the connection, such as its user; see [`PendingUpgrade::data`].
    pub fn data<T: Any + Send + Sync>(self, data: T) -> Self {
        Self { pending: self.pending.data(data), ..self }
    }

    /// Adds a header to the response that accepts the request.
    ///
    /// # Errors
    /// [`InvalidHeader`] if the header is malformed, or is one that Prism sets itself.
    pub fn header(self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        Ok(Self { pending: self.pending.header(name, value)?, ..self })
    }

    /// Sets limits for this connection; see [`PendingUpgrade::options`].
    pub fn options(self, options: Options) -> Self {
        Self { pending: self.pending.options(options), ..self }
    }

    /// Accepts the request, and runs the handler on the connection, in a task of its own: a [`ConnectionHandler`], or a
    /// [`Handler`](prism_driver::Handler), of which several connections can share an `Arc`.
    pub fn serve(self, handler: impl ConnectionHandler) -> Response<Full<Bytes>> {
        self.accept(|opening, stream| opening.serve(stream, handler))
    }

    /// Accepts the request, and runs an async function on the connection, in a task of its own; see
    /// [`Opening::serve_socket`].
    pub fn serve_socket<F, P>(self, run: F) -> Response<Full<Bytes>>
    where
        F: FnOnce(Socket) -> P + Send + 'static,
        P: Future<Output = ()> + Send + 'static,
    {
        self.accept(|opening, stream| opening.serve_socket(stream, run))
    }

    fn accept(self, open: impl FnOnce(Opening<R>, Io) + Send + 'static) -> Response<Full<Bytes>> {
        let Self { pending, stream, version } = self;
        let (response, opening) = pending.accept();
        let stream = async move { Some(Io::new(stream.await.ok()?, version)) };
        opening.when_ready(stream, open);
        response.map(|()| Full::default())
    }
}
