//! [`Request`]: a request to a server, as the application sees it.

use std::{borrow::Cow, fmt, net::SocketAddr, sync::Arc};

use percent_encoding::percent_decode_str;
use prism_core::{OwnedHeaders, OwnedRequest};

use crate::{
    server::path_map::{self, Params},
    tls::info::TlsInfo,
};

/// A request to a [`Server`](crate::Server): for a WebSocket connection or for a page. It does not borrow anything, and
/// is cheap to clone.
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
    peer: RequestPeer,
}

/// What is known of the peer that sends a request.
#[derive(Clone)]
pub(crate) struct RequestPeer {
    pub(crate) addr: SocketAddr,
    /// `None` without TLS.
    pub(crate) tls: Option<Arc<TlsInfo>>,
}

impl Request {
    pub(crate) fn new(head: Arc<OwnedRequest>, params: Params, peer: RequestPeer) -> Self {
        Self { head, params: Arc::new(params), peer }
    }

    pub(crate) fn owned_headers(&self) -> &OwnedHeaders {
        self.head.owned_headers()
    }

    pub(crate) fn tls_info(&self) -> Option<Arc<TlsInfo>> {
        self.peer.tls.clone()
    }

    pub(crate) fn params(&self) -> &Params {
        &self.params
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

    /// Returns the target's path, without the query, in its [normal form](crate::normalize_path). Base decisions on
    /// this path, which selected the route, or on the [parameters](Self::param), and not on the [target](Self::target),
    /// which has the client's spelling.
    #[must_use]
    pub fn path(&self) -> &str {
        self.head.path()
    }

    /// Returns a parameter of the route, percent-decoded, or `None` if the route has none of this name; see
    /// [`Connection::param`](crate::Connection::param).
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        path_map::param(&self.params, name)
    }

    /// Returns the query of the target as received, without the `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.head.query()
    }

    /// Returns the first value of this name in the query, decoded like a form (`application/x-www-form-urlencoded`):
    /// `+` is a space, and bytes that are not UTF-8 are replaced by U+FFFD.
    ///
    /// A token in a query ends up in the logs of proxies. Prefer a header or a cookie where the client can send one
    /// (for a WebSocket, a browser can send only cookies).
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

    /// Returns the subprotocols that the client offers, in its order of preference.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> + Clone {
        self.head.subprotocols()
    }

    /// Returns the value of a cookie, percent-decoded and without surrounding quotes, or `None` if the client sent no
    /// cookie of this name. If it sent several, returns the first, which has the most specific path (RFC 6265 §5.4).
    /// Bytes that are not UTF-8 are replaced by U+FFFD, an invalid escape is left as it is, and a cookie without `=`
    /// is skipped.
    ///
    /// The name is case-sensitive, and is not decoded: `%5F%5FHost-id` is not `__Host-id`, which browsers protect.
    ///
    /// A browser may send the cookies of your site when a page of another site opens the connection, so a server that
    /// identifies its users by cookies has to check the [origin](crate::Server::origins) as well.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        let header = self.header("Cookie")?;
        let mut cookies = header.split(';').filter_map(|pair| pair.split_once('='));
        let value = cookies.find(|cookie| cookie.0.trim() == name)?.1.trim();
        let unquoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        Some(percent_decode_str(unquoted.unwrap_or(value)).decode_utf8_lossy().into_owned())
    }

    /// Returns the token of the `Authorization` header, if its scheme is `Bearer` (RFC 6750 §2.1), which is not
    /// case-sensitive. Returns `None` if the request has several `Authorization` headers, or if the token is empty or
    /// contains spaces or tabs.
    #[must_use]
    pub fn bearer_token(&self) -> Option<Cow<'_, str>> {
        let mut lines = self.header_all("Authorization");
        // RFC 9110 §5.3: this header is not a list, so there may be only one line of it.
        match (lines.next()?, lines.next()) {
            (Cow::Borrowed(only), None) => bearer_token(only).map(Cow::Borrowed),
            (Cow::Owned(only), None) => bearer_token(&only).map(|it| Cow::Owned(it.to_owned())),
            (_, Some(_)) => None,
        }
    }

    /// Returns the client's address; see [`Connection::peer_addr`](crate::Connection::peer_addr).
    #[must_use]
    pub const fn peer_addr(&self) -> SocketAddr {
        self.peer.addr
    }

    /// Returns what the TLS handshake has agreed on, with the client's certificates; `None` if the server does not
    /// speak [TLS](crate::Server::tls) itself, for instance because a proxy does.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.peer.tls.as_deref()
    }
}

/// Returns the first value of this name in a query, decoded.
pub(crate) fn query_param<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, value)| value)
}

/// Returns the token in the value of an `Authorization` header.
fn bearer_token(credentials: &str) -> Option<&str> {
    let (scheme, token) = credentials.split_once(' ')?;
    let token = token.trim_matches(' ');
    let is_one_word = !token.is_empty() && !token.contains([' ', '\t']);
    (is_one_word && scheme.eq_ignore_ascii_case("Bearer")).then_some(token)
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc};

    use prism_core::{Config, RecvBuffer, ServerHandshake};

    use super::{Request, RequestPeer, query_param};

    fn peer_addr() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 40_000))
    }

    /// Returns a request for this target, with these header lines.
    fn request(target: &str, lines: &[&str]) -> Request {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        request_of(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes())
    }

    fn request_of(head: &[u8]) -> Request {
        let mut input = RecvBuffer::new();
        input.extend_from_slice(head);
        let parsed = ServerHandshake::new(&Config::default()).receive_request(&mut input);
        let head = parsed.expect("a valid head").expect("a whole head").into_owned();
        let params = vec![("room".into(), "a b".into()), ("rest".into(), "".into())];
        Request::new(Arc::new(head), params, RequestPeer { addr: peer_addr(), tls: None })
    }

    #[test]
    fn a_request_has_its_parts() {
        let request = request("http://b.example/%61?x=1?y", &["X-A: 1", "x-a: 2"]);
        assert_eq!((request.method(), request.target()), ("GET", "http://b.example/%61?x=1?y"));
        assert_eq!((request.path(), request.query()), ("/a", Some("x=1?y")));
        assert_eq!(request.host(), "b.example");
        assert_eq!((request.param("room"), request.param("rest")), (Some("a b"), Some("")));
        assert_eq!((request.param("Room"), request.param("x")), (None, None));
        assert_eq!(request.header("X-A").as_deref(), Some("1, 2"));
        assert_eq!(request.header_all("X-A").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((request.header("X-B"), request.header_all("X-B").count()), (None, 0));
        assert_eq!(request.clone().peer_addr(), peer_addr());
    }

    #[test]
    fn a_header_that_is_not_utf_8_is_replaced() {
        let request = request_of(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\xffc\r\n\r\n");
        assert_eq!(request.header("x-a").as_deref(), Some("b\u{fffd}c"));
        assert_eq!(request.header_all("x-a").next().as_deref(), Some("b\u{fffd}c"));
    }

    #[test]
    fn a_query_is_decoded_as_a_form() {
        for (query, value) in [
            ("a=1", Some("1")),
            ("b=2&a=1", Some("1")),
            ("a=1&a=2", Some("1")),
            ("a=&a=2", Some("")),
            ("a", Some("")),
            ("&&a=1&", Some("1")),
            ("a=1=2", Some("1=2")),
            ("a=1+2%2B3%26", Some("1 2+3&")),
            ("%61=caf%C3%A9", Some("café")),
            ("a=%ff%", Some("\u{fffd}%")),
            ("a=%zz", Some("%zz")),
            ("A=1", None),
            ("ab=1", None),
            ("b=a", None),
            ("", None),
        ] {
            assert_eq!(query_param(query, "a").as_deref(), value, "{query}");
            let request = request(&format!("/?{query}"), &[]);
            assert_eq!(request.query_param("a").as_deref(), value, "{query}");
        }
        assert_eq!(request("/a=1", &[]).query_param("a"), None);
    }

    #[test]
    fn the_first_cookie_of_a_name_counts() {
        for (lines, value) in [
            (&["Cookie: sid=1"][..], Some("1")),
            (&["Cookie: a=b; sid=1; sid=2"], Some("1")),
            (&["Cookie: a=b", "cookie: sid=1", "Cookie: sid=2"], Some("1")),
            (&["Cookie: a=b;sid=1;c=d"], Some("1")),
            (&["Cookie:   sid = 1 ;"], Some("1")),
            (&["Cookie: sid="], Some("")),
            (&["Cookie: sid=; sid=2"], Some("")),
            (&["Cookie: sid=a=b=="], Some("a=b==")),
            (&["Cookie: SID=1"], None),
            (&["Cookie: xsid=1; sidx=2; a=sid=3"], None),
            (&["Cookie: sid"], None),
            (&["X: sid=1", "Set-Cookie: sid=1"], None),
            (&["Cookie: ", "Cookie: ;;=; =x;sid;sid=1"], Some("1")),
        ] {
            assert_eq!(request("/", lines).cookie("sid").as_deref(), value, "{lines:?}");
        }
    }

    #[test]
    fn the_value_of_a_cookie_is_decoded_and_its_name_is_not() {
        for (value, decoded) in [
            ("caf%C3%A9%3B+", "café;+"),
            ("%41%2541", "A%41"),
            ("50%", "50%"),
            ("%zz%4", "%zz%4"),
            ("%FFa", "\u{fffd}a"),
            ("\"a b\"", "a b"),
            ("\"%22\"", "\""),
            ("\"", "\""),
            ("\"\"", ""),
            ("a\"b\"", "a\"b\""),
        ] {
            // Whatever its value, a later cookie does not take the place of the first.
            let request = request("/", &[&format!("Cookie: sid={value}; sid=later")]);
            assert_eq!(request.cookie("sid").as_deref(), Some(decoded), "{value}");
        }
        // A browser lets no other host set a `__Host-` cookie, but would let it set this one.
        let request = request("/", &["Cookie: %5F%5FHost-sid=forged; __Host-sid=ours"]);
        assert_eq!(request.cookie("__Host-sid").as_deref(), Some("ours"));
    }

    #[test]
    fn a_bearer_token_is_that_of_the_only_authorization() {
        for (lines, token) in [
            (&["Authorization: Bearer abc"][..], Some("abc")),
            (&["authorization: bEARER  a.b-c_d~e+f/g==  "], Some("a.b-c_d~e+f/g==")),
            (&["Authorization: Bearer 1|a:b"], Some("1|a:b")),
            (&["Authorization: Bearer"], None),
            (&["Authorization: Bearer   "], None),
            (&["Authorization: Bearer\tabc"], None),
            (&["Authorization: Bearerabc"], None),
            (&["Authorization: BearerX abc"], None),
            (&["Authorization: Basic abc"], None),
            (&["Authorization: abc"], None),
            (&["Authorization: "], None),
            (&["X: Bearer abc"], None),
            // Which of them would a proxy have checked?
            (&["Authorization: Bearer a", "Authorization: Bearer b"], None),
            (&["Authorization: Basic a", "Authorization: Bearer b"], None),
            (&["Authorization: Bearer a b"], None),
            (&["Authorization: Bearer a\tb"], None),
            (&["Authorization: Bearer a, Bearer b"], None),
        ] {
            assert_eq!(request("/", lines).bearer_token().as_deref(), token, "{lines:?}");
        }
    }
}
