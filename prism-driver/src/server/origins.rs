//! [`Origins`]: whose pages may connect.

use std::{error::Error, fmt};

use http::uri::{Authority, Scheme};
use prism_core::Request;

/// Whose pages may connect (RFC 6454, RFC 6455 §10.2); see [`Server::origins`](crate::Server::origins).
///
/// A browser lets every page open a WebSocket to every server, sends that server's cookies along, and
/// says in the header `Origin` whose page it is. A server that knows its users by cookies has to look
/// at it, or any page that they visit speaks in their name. It is no protection from programs that are
/// no browsers: they send what they like, and have no cookies but their own.
///
/// Origins are compared as RFC 6454 says: by scheme and host, in any case, and by port, which is that
/// of the scheme where none is written.
///
/// ```
/// use prism_driver::Origins;
///
/// let ours = Origins::these(["https://example.org", "https://*.example.org", "http://localhost:3000"])?;
/// let error = Origins::these(["https://example.org/chat"]).unwrap_err();
/// assert!(error.to_string().contains("is not an origin"));
/// # Ok::<(), prism_driver::InvalidOrigin>(())
/// ```
#[derive(Clone, Debug)]
pub struct Origins {
    whose: Whose,
    /// Whether a request without an origin is refused.
    required: bool,
}

#[derive(Clone, Debug)]
enum Whose {
    Anybodys,
    OfTheSameHost,
    These(Box<[Listed]>),
}

impl Origins {
    /// Every page: the default.
    #[must_use]
    pub const fn any() -> Self {
        Self::new(Whose::Anybodys)
    }

    /// Pages from the server's own host and port, as the request's `Host` names them; their scheme is
    /// not compared, because a server behind a proxy that does TLS does not know its own.
    ///
    /// Against a page whose name was made to mean this server's address (DNS rebinding) it is of no use,
    /// for then both are that name: a server that only those near it may reach should name its hosts by
    /// [`these`](Self::these).
    #[must_use]
    pub const fn same() -> Self {
        Self::new(Whose::OfTheSameHost)
    }

    /// Pages of these origins, such as `https://example.org` or `http://localhost:3000`.
    ///
    /// In `https://*.example.org` the `*` is any one label, as in a certificate (RFC 9525 §6.3):
    /// `https://app.example.org` is covered, `https://example.org` and `https://a.b.example.org` are not.
    /// Anyone who may put pages on one of these hosts can have them connect. A `*` may stand nowhere else.
    ///
    /// `null`, which is what pages without an origin of their own have, such as local files and
    /// sandboxed frames, is allowed only if it is listed: any page can make itself such a frame.
    /// `file://`, which applications made with Cordova or Electron send, is allowed only if it is listed:
    /// a browser may send it for any file that its user opens.
    ///
    /// # Errors
    /// If one of them is not an origin: it has no scheme, or a path, even if that is only a `/`, or a `*`
    /// that is not its host's first label. A name that is not ASCII has to be written as browsers send it
    /// (`xn--...`).
    pub fn these(
        origins: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, InvalidOrigin> {
        let parse =
            |origin: &str| Listed::parse(origin).ok_or_else(|| InvalidOrigin(origin.to_owned()));
        let origins = origins.into_iter().map(|origin| parse(origin.as_ref()));
        Ok(Self::new(Whose::These(origins.collect::<Result<_, _>>()?)))
    }

    /// Refuses requests that have no `Origin` as well. They are not from browsers, so by default they
    /// are allowed.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(crate) fn allow(&self, request: &Request<'_>) -> bool {
        if matches!(self.whose, Whose::Anybodys) && !self.required {
            return true;
        }
        let mut origins = request.headers().all("Origin");
        let origin = match (origins.next(), origins.next()) {
            (None, _) => return !self.required,
            (Some(origin), None) => Origin::parse(origin),
            (Some(_), Some(_)) => None,
        };
        match &self.whose {
            Whose::Anybodys => true,
            Whose::OfTheSameHost => origin.is_some_and(|origin| origin.is_at(request.host())),
            Whose::These(these) => {
                origin.is_some_and(|origin| these.iter().any(|listed| listed.covers(&origin)))
            }
        }
    }

    const fn new(whose: Whose) -> Self {
        Self { whose, required: false }
    }
}

/// What is listed: an origin, or the hosts that are one label below one.
#[derive(Clone, Debug)]
enum Listed {
    Exactly(Origin),
    /// The origin of which only the subdomains are meant.
    Below(Origin),
}

impl Listed {
    fn parse(listed: &str) -> Option<Self> {
        let Some((scheme, parent)) = listed.split_once("://*.") else {
            return Origin::parse(listed.as_bytes()).map(Self::Exactly);
        };
        let parent = Origin::parse(format!("{scheme}://{parent}").as_bytes())?;
        // Below an address there is nothing, but `127.0.0.1` ends in `.0.0.1`.
        let is_name = |host: &str| {
            let last = host.rsplit('.').next().unwrap_or_default();
            !host.starts_with('[') && last.bytes().any(|byte| byte.is_ascii_alphabetic())
        };
        matches!(&parent, Origin::Of { host, .. } if is_name(host)).then_some(Self::Below(parent))
    }

    fn covers(&self, origin: &Origin) -> bool {
        match (self, origin) {
            (Self::Exactly(listed), origin) => listed == origin,
            (
                Self::Below(Origin::Of { scheme, host, port }),
                Origin::Of { scheme: their_scheme, host: their_host, port: their_port },
            ) => {
                let is_below = their_host
                    .split_once('.')
                    .is_some_and(|(label, parent)| !label.is_empty() && parent == host);
                is_below && scheme == their_scheme && port == their_port
            }
            (Self::Below(_), _) => false,
        }
    }
}

/// As RFC 6454 §4 has it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Null,
    /// `file://`: it has no host.
    File,
    /// Scheme and host are in lower case; the port is the scheme's, where it has one and none is
    /// written.
    Of {
        scheme: Scheme,
        host: String,
        port: Option<u16>,
    },
}

impl Origin {
    fn parse(origin: &[u8]) -> Option<Self> {
        match origin {
            b"null" => return Some(Self::Null),
            b"file://" => return Some(Self::File),
            _ => {}
        }
        let origin = str::from_utf8(origin).ok()?.to_ascii_lowercase();
        let (scheme, rest) = origin.split_once("://")?;
        let scheme: Scheme = scheme.parse().ok()?;
        let (host, port) = split_port(rest)?;
        let port = port.or_else(|| default_port(&scheme));
        // No host has one, and what is listed with one would never be seen.
        (!host.contains('*')).then_some(Self::Of { scheme, host, port })
    }

    /// Whether this is where a request for this host was sent to.
    fn is_at(&self, host: &str) -> bool {
        match (self, split_port(&host.to_ascii_lowercase())) {
            (Self::Of { scheme, host, port }, Some((asked, asked_port))) => {
                *host == asked && *port == asked_port.or_else(|| default_port(scheme))
            }
            _ => false,
        }
    }
}

fn split_port(authority: &str) -> Option<(String, Option<u16>)> {
    let authority: Authority = authority.parse().ok()?;
    let (host, port) = (authority.host(), authority.port());
    // What is there beside host and port is a user, or a port that is none.
    let length = host.len() + port.as_ref().map_or(0, |port| 1 + port.as_str().len());
    (length == authority.as_str().len()).then(|| (host.to_owned(), port.map(|port| port.as_u16())))
}

fn default_port(scheme: &Scheme) -> Option<u16> {
    match scheme.as_str() {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// What was given as an origin is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidOrigin(String);

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected =
            "\"https://example.org\", \"https://*.example.org\", \"file://\" or \"null\"";
        write!(f, "{:?} is not an origin; expected {expected}", self.0)
    }
}

impl Error for InvalidOrigin {}

#[cfg(test)]
mod tests {
    use prism_core::{Config, RecvBuffer, ServerHandshake};

    use super::{InvalidOrigin, Origins};

    /// Whether a request with these header lines, for this host, is allowed.
    fn allows(origins: &Origins, host: &str, lines: &str) -> bool {
        let mut input = RecvBuffer::new();
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
        input.extend_from_slice(head.as_bytes());
        let request = ServerHandshake::new(&Config::default()).receive_request(&mut input);
        origins.allow(&request.expect("a good request").expect("a whole one"))
    }

    fn allows_origin(origins: &Origins, host: &str, origin: &str) -> bool {
        allows(origins, host, &format!("Origin: {origin}\r\n"))
    }

    #[test]
    fn scheme_host_and_port_have_to_be_those_of_one_that_is_listed() {
        let listed = ["https://Example.org", "http://localhost:3000", "app://x", "HTTP://[::1]:80"];
        let origins = Origins::these(listed).unwrap();
        for good in [
            "https://example.org",
            "HTTPS://EXAMPLE.ORG",
            "https://example.org:443",
            "http://localhost:3000",
            "app://x",
            "http://[::1]",
        ] {
            assert!(allows_origin(&origins, "h", good), "{good}");
        }
        for bad in [
            "http://example.org",
            "https://example.org:444",
            "https://example.org:",
            "https://example.org:99999",
            "https://example.org.",
            "https://example.org.evil.example",
            "https://evil.example/https://example.org",
            "https://evilexample.org",
            "https://a@example.org",
            "https://example.org/",
            "https://example.org https://evil.example",
            "http://localhost",
            "app://x:80",
            "example.org",
            "//example.org",
            "null",
            "",
            "\u{ff45}xample.org",
        ] {
            assert!(!allows_origin(&origins, "h", bad), "{bad}");
        }
    }

    #[test]
    fn the_same_origin_is_where_the_request_was_sent_to() {
        let same = Origins::same();
        for (host, origin) in [
            ("example.org", "https://example.org"),
            ("example.org", "http://example.org:80"),
            ("Example.org:443", "https://exAmple.org"),
            ("localhost:8080", "http://localhost:8080"),
            ("[::1]:8080", "http://[::1]:8080"),
        ] {
            assert!(allows_origin(&same, host, origin), "{host} {origin}");
        }
        for (host, origin) in [
            ("example.org", "https://example.org:8443"),
            ("example.org:8080", "http://example.org"),
            ("example.org", "https://www.example.org"),
            ("example.org", "app://example.org:80"),
            ("null", "null"),
        ] {
            assert!(!allows_origin(&same, host, origin), "{host} {origin}");
        }
    }

    #[test]
    fn who_sends_no_origin_is_no_browser_and_allowed_unless_it_is_required() {
        for origins in [Origins::any(), Origins::same(), Origins::these(["null"]).unwrap()] {
            assert!(allows(&origins, "h", ""));
            assert!(!allows(&origins.required(), "h", ""));
        }
    }

    #[test]
    fn null_is_allowed_only_if_it_is_listed() {
        assert!(allows_origin(&Origins::these(["null"]).unwrap(), "h", "null"));
        assert!(allows_origin(&Origins::any(), "h", "null"));
        assert!(!allows_origin(&Origins::these(["http://null"]).unwrap(), "h", "null"));
    }

    #[test]
    fn a_star_is_any_one_label_of_a_host_and_no_more() {
        let origins = Origins::these(["https://*.Example.org", "http://*.a.test:3000"]).unwrap();
        for good in [
            "https://app.example.org",
            "HTTPS://APP.EXAMPLE.ORG:443",
            "https://xn--caf-dma.example.org",
            "http://b.a.test:3000",
        ] {
            assert!(allows_origin(&origins, "h", good), "{good}");
        }
        for bad in [
            "https://example.org",
            "https://evilexample.org",
            "https://.example.org",
            "https://a..example.org",
            "https://a.b.example.org",
            "https://*.example.org",
            "https://app.example.org.",
            "https://app.example.org.evil.example",
            "https://evil.example/.example.org",
            "https://a@app.example.org",
            "https://app.example.org:8443",
            "https://app.example.org/",
            "http://app.example.org",
            "http://a.test:3000",
            "http://b.a.test",
            "https://[::1].example.org",
            "file://",
            "null",
            "",
        ] {
            assert!(!allows_origin(&origins, "h", bad), "{bad}");
        }
    }

    #[test]
    fn a_local_file_is_allowed_only_if_it_is_listed_and_as_it_is_sent() {
        let origins = Origins::these(["file://"]).unwrap();
        assert!(allows_origin(&origins, "h", "file://"));
        for bad in ["file:///", "file:", "file://h", "FILE://", "null", "http://file", ""] {
            assert!(!allows_origin(&origins, "h", bad), "{bad}");
        }
        assert!(!allows_origin(&Origins::these(["null"]).unwrap(), "h", "file://"));
        assert!(!allows_origin(&Origins::same(), "h", "file://"));
    }

    #[test]
    fn two_origins_are_none() {
        let twice = "Origin: https://h\r\nOrigin: https://h\r\n";
        assert!(!allows(&Origins::same(), "h", twice));
        assert!(!allows(&Origins::these(["https://h"]).unwrap(), "h", twice));
    }

    #[test]
    fn what_is_listed_has_to_be_an_origin() {
        for bad in [
            "example.org",
            "https://example.org/",
            "https://",
            "",
            "file:///",
            "file://*",
            "*",
            "*://example.org",
            "*.example.org",
            "https://*",
            "https://*.",
            "https://*\r\n",
            "https://*:8443",
            "https://*example.org",
            "https://a*.example.org",
            "https://**.example.org",
            "https://*.*.example.org",
            "https://a.*.example.org",
            "https://*.example.*",
            "https://*.0.0.1",
            "https://*.[::1]",
            "https://*.example.org/",
            "https://*.example.org:x",
        ] {
            let error = Origins::these([bad]).map(drop).unwrap_err();
            assert_eq!(error, InvalidOrigin(bad.to_owned()));
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
