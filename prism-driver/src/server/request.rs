//! [`Request`]: a request to a server, as the application sees it.

use std::{borrow::Cow, fmt, net::SocketAddr, sync::Arc};

use cookie::Cookie;
use prism_core::OwnedRequest;

use crate::server::path_map::Params;

/// A request to a [`Server`](crate::Server): for a WebSocket connection or for a page. It owns its text, and is cheap to
/// clone.
///
/// ```no_run
/// # use prism_driver::{Network, Reply, Request, Server};
/// # fn example(server: Server<impl Network>) {
/// let server = server.get("/hello/{name}", |request: Request| {
///     let name = request.param("name").unwrap_or("you");
///     match request.query_param("lang").as_deref() {
///         Some("fr") => Reply::text(200, format!("Bonjour, {name} !")),
///         _ => Reply::text(200, format!("Hello, {name}!")),
///     }
/// });
/// # }
/// ```
#[derive(Clone)]
pub struct Request {
    head: Arc<OwnedRequest>,
    params: Arc<Params>,
    peer_addr: SocketAddr,
}

impl Request {
    pub(crate) fn new(head: Arc<OwnedRequest>, params: Params, peer_addr: SocketAddr) -> Self {
        Self { head, params: Arc::new(params), peer_addr }
    }

    /// Returns the method, such as `GET`. Methods are case-sensitive (RFC 9110 §9.1).
    #[must_use]
    pub fn method(&self) -> &str {
        self.head.method()
    }

    /// Returns the target as received, in visible ASCII: `/path?query`, or an absolute URL.
    #[must_use]
    pub fn target(&self) -> &str {
        self.head.target()
    }

    /// Returns the target's path, without the query, in its [normal form](crate::normalize_path). Decide by this and
    /// by [parameters](Self::param), which selected the route, and not by the [target](Self::target), which has the
    /// client's spelling.
    #[must_use]
    pub fn path(&self) -> &str {
        self.head.path()
    }

    /// Returns a parameter of the route, percent-decoded, or `None` if the route has none of this name; see
    /// [`Connection::param`](crate::Connection::param).
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| **n == *name).map(|(_, value)| &**value)
    }

    /// Returns the query of the target as received, without the `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.head.query()
    }

    /// Returns the first value of this name in the query, decoded as a form is (`application/x-www-form-urlencoded`):
    /// `+` is a space, and bytes that are not UTF-8 are replaced by U+FFFD.
    ///
    /// A token in a query ends up in the logs of proxies. Where the client can set a header or a cookie, prefer that; a
    /// browser can set only cookies.
    #[must_use]
    pub fn query_param(&self, name: &str) -> Option<Cow<'_, str>> {
        query_param(self.query()?, name)
    }

    /// Returns the host and port that the client asked for, as received; empty if it named none, which only HTTP/1.0
    /// allows.
    #[must_use]
    pub fn host(&self) -> &str {
        self.head.host()
    }

    /// Returns the value of a header, whose name is not case-sensitive. The values of several lines are joined with
    /// `", "`, or with `"; "` for `Cookie`. Bytes that are not UTF-8 are replaced by U+FFFD.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.head.header(name)
    }

    /// Returns the values of a header, one for each line; otherwise like [`header`](Self::header).
    pub fn header_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> + Clone {
        self.head.header_all(name)
    }

    /// Returns the value of a cookie, percent-decoded, or `None` if the client sent none of this name. Of several, it
    /// returns the first, which has the most specific path (RFC 6265 §5.4). Malformed cookies are skipped.
    ///
    /// A browser sends the cookies of your site whichever page opens the connection: a server that identifies its users
    /// by cookies has to check the [origin](crate::Server::origins) as well.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        let header = self.header("Cookie")?;
        let cookies = Cookie::split_parse_encoded(&*header);
        cookies.flatten().find(|cookie| cookie.name() == name).map(|it| it.value().to_owned())
    }

    /// Returns the token of an `Authorization: Bearer` header (RFC 6750 §2.1).
    #[must_use]
    pub fn bearer_token(&self) -> Option<Cow<'_, str>> {
        let value = self.header("Authorization")?;
        let (scheme, token) = value.split_once(' ')?;
        let token = token.trim_matches(' ');
        (scheme.eq_ignore_ascii_case("Bearer") && !token.is_empty())
            .then(|| Cow::Owned(token.to_owned()))
    }

    /// Returns the peer's address; behind a proxy, the proxy's. See
    /// [`Connection::header`](crate::Connection::header) for the client's.
    #[must_use]
    pub const fn peer_addr(&self) -> SocketAddr {
        self.peer_addr
    }
}

/// Returns the first value of this name in a query, decoded.
pub(crate) fn query_param<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, value)| value)
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head.fmt(f)
    }
}
