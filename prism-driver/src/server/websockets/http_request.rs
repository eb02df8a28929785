//! [`HttpRequest`]: the head of a request that an HTTP server has read, in the types of the crate `http`.

use std::{borrow::Cow, net::SocketAddr, sync::Arc};

use http::{HeaderMap, Method, Uri, Version, header::HOST, request};
use prism_core::{Config, HandshakeError, Request, RequestParts};

use crate::{
    server::{path_map::Params, stats::opened::HttpVersion},
    tls::info::TlsInfo,
};

/// The head of a request that an HTTP server has read, and what that server knows of the request; see
/// [`WebSockets::upgrade`](crate::WebSockets::upgrade).
///
/// ```
/// # use prism_driver::HttpRequest;
/// let request = http::Request::get("/rooms/tea").body(()).unwrap();
/// let request = HttpRequest::of(&request)
///     .params([("room", "tea")])
///     .peer_addr("192.0.2.1:40000".parse().unwrap());
/// ```
#[derive(Clone, Debug)]
pub struct HttpRequest<'a> {
    method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
    protocol: Option<Cow<'a, str>>,
    /// Whether the HTTP server can hand over the stream.
    pub(super) has_stream: bool,
    pub(super) params: Params,
    pub(super) route: Option<&'a str>,
    pub(super) peer_addr: Option<SocketAddr>,
    pub(super) tls: Option<Arc<TlsInfo>>,
}

impl<'a> HttpRequest<'a> {
    /// Takes the head of a request.
    pub fn of<B>(request: &'a http::Request<B>) -> Self {
        Self::new(request.method(), request.uri(), request.version(), request.headers())
    }

    /// Takes the head of a request whose parts have been taken apart.
    #[must_use]
    pub fn of_parts(parts: &'a request::Parts) -> Self {
        Self::new(&parts.method, &parts.uri, parts.version, &parts.headers)
    }

    fn new(method: &'a Method, uri: &'a Uri, version: Version, headers: &'a HeaderMap) -> Self {
        Self {
            method,
            uri,
            version,
            headers,
            protocol: None,
            has_stream: true,
            params: Params::new(),
            route: None,
            peer_addr: None,
            tls: None,
        }
    }

    /// Sets the value of `:protocol`, which makes a CONNECT of HTTP/2 an extended one (RFC 8441 §4). hyper has it in
    /// `hyper::ext::Protocol`.
    #[must_use]
    pub fn protocol(mut self, protocol: impl Into<Cow<'a, str>>) -> Self {
        self.protocol = Some(protocol.into());
        self
    }

    /// Sets another URI than the request has now: the one that it had before the framework changed it.
    #[must_use]
    pub const fn uri(mut self, uri: &'a Uri) -> Self {
        self.uri = uri;
        self
    }

    /// Sets the parameters that the framework's router has found in the path, decoded. The connection returns them from
    /// [`param`](crate::Connection::param). As with a [`Server`](crate::Server), a request gets a 400 if one of the
    /// values would be dangerous as a file name.
    #[must_use]
    pub fn params<N: Into<Box<str>>, V: Into<Box<str>>>(
        mut self,
        params: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let params = params.into_iter();
        self.params = params.map(|(name, value)| (name.into(), value.into())).collect();
        self
    }

    /// Sets the route that the framework's router has found, such as `/rooms/{room}`: the name under which connections
    /// are counted and logged. It has to be one of the application's routes, not the path of the request, because each
    /// name is remembered.
    #[must_use]
    pub const fn route(mut self, route: &'a str) -> Self {
        self.route = Some(route);
        self
    }

    /// Sets the address of the peer that the HTTP server has accepted. Without it, the limit on connections of one
    /// address has no effect, no proxy is trusted, and connections have no [address](crate::Connection::peer_addr).
    #[must_use]
    pub const fn peer_addr(mut self, peer_addr: SocketAddr) -> Self {
        self.peer_addr = Some(peer_addr);
        self
    }

    /// Says that the HTTP server cannot hand over the stream of the request, for example because something has taken it
    /// already. An otherwise valid request then gets a 500, before it is authorized.
    #[must_use]
    pub const fn without_stream(mut self) -> Self {
        self.has_stream = false;
        self
    }

    /// Returns the version of HTTP over which the connection would be opened.
    pub(super) fn version(&self) -> HttpVersion {
        match self.version {
            Version::HTTP_2 => HttpVersion::Http2,
            Version::HTTP_3 => HttpVersion::Http3,
            _ => HttpVersion::Http1, // an older one opens none
        }
    }

    /// Sets what the TLS handshake has agreed on that the HTTP server has done, with the client's certificates. The
    /// [authorization](crate::WebSocketsBuilder::authorize) gets it from [`Request::tls`](crate::Request::tls), and
    /// `on_connect` from [`Connection::tls`](crate::Connection::tls).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: Arc<TlsInfo>) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Calls a function with the request as the core judges it.
    pub(super) fn with_request<T>(
        &self,
        config: &Config,
        judge: impl FnOnce(Result<Request<'_>, HandshakeError>) -> T,
    ) -> T {
        let target = self.target();
        let method = self.method.as_str();
        let parts = match self.version {
            Version::HTTP_09 | Version::HTTP_10 => RequestParts::Http10 { method, target: &target },
            Version::HTTP_11 => RequestParts::Http11 { method, target: &target },
            _ => RequestParts::Http2 {
                method,
                protocol: self.protocol.as_deref(),
                authority: self.authority(),
                path: &target,
            },
        };
        let fields = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        judge(Request::from_parts(parts, fields, &mut Vec::new(), config))
    }

    /// Returns the target of the request: in HTTP/1, as it was received, but for a fragment, which [`Uri`] has dropped.
    fn target(&self) -> Cow<'a, str> {
        match (self.uri.scheme(), self.uri.path_and_query()) {
            (Some(_), _) if self.version < Version::HTTP_2 => Cow::Owned(self.uri.to_string()),
            (_, Some(path)) => Cow::Borrowed(path.as_str()),
            // The target of a CONNECT that is not extended.
            (_, None) => Cow::Owned(self.uri.to_string()),
        }
    }

    fn authority(&self) -> &'a str {
        let host = || self.headers.get(HOST).and_then(|host| host.to_str().ok());
        self.uri.authority().map_or_else(|| host().unwrap_or_default(), |it| it.as_str())
    }
}
