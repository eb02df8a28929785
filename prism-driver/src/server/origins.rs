//! [`Origins`]: the set of origins whose pages may connect.

use std::{error::Error, fmt};

use prism_core::Request;

use crate::server::origins::{origin::Origin, pattern::OriginPattern};

mod origin;
mod pattern;

/// The set of origins whose pages may connect (RFC 6454, RFC 6455 §10.2); see
/// [`Server::origins`](crate::Server::origins).
///
/// A browser lets every page open a WebSocket to every server, and sends that server's cookies along. It names the
/// origin of the page in the header `Origin`. A server that identifies its users by cookies has to check that header:
/// otherwise, any page that a user visits can act in the user's name. The check is no protection against programs other
/// than browsers. They can send any `Origin`, but have no cookies other than their own.
///
/// Origins are compared as in RFC 6454 §5: by scheme and host, ignoring case, and by port. A missing port is the
/// default port of the scheme.
///
/// ```
/// # use prism_driver::Origins;
/// let origins = Origins::these(["https://example.org", "https://*.example.org", "http://localhost:3000"])?;
/// let error = Origins::these(["https://example.org/chat"]).unwrap_err();
/// assert!(error.to_string().contains("is not an origin"));
/// # Ok::<(), prism_driver::InvalidOrigin>(())
/// ```
#[derive(Clone, Debug)]
pub struct Origins {
    allowed: Allowed,
    /// Whether a request without an origin is refused.
    required: bool,
}

#[derive(Clone, Debug)]
enum Allowed {
    Any,
    SameHost,
    Listed(Box<[OriginPattern]>),
}

impl Origins {
    /// Allows every origin. This is the default of a [`Server`](crate::Server), and is not safe if users are identified
    /// by cookies or by their network address.
    #[must_use]
    pub const fn any() -> Self {
        Self::new(Allowed::Any)
    }

    /// Allows pages from the server's own host and port, as named by the request's `Host`. Schemes are not compared,
    /// because a server behind a proxy that terminates TLS does not know its own.
    ///
    /// This does not protect against DNS rebinding, in which an attacker points the name of their page to the server's
    /// address: `Origin` and `Host` are then both that name. A server that should be reachable only from its local
    /// network should list its hosts with [`these`](Self::these).
    #[must_use]
    pub const fn same() -> Self {
        Self::new(Allowed::SameHost)
    }

    /// Allows pages of the given origins, such as `https://example.org` or `http://localhost:3000`.
    ///
    /// In `https://*.example.org`, the `*` stands for exactly one label, as in a certificate (RFC 9525 §6.3): it covers
    /// `https://app.example.org`, but neither `https://example.org` nor `https://a.b.example.org`. All pages on all of
    /// these hosts may then connect. A `*` is not allowed anywhere else.
    ///
    /// Two special origins are allowed only if they are listed:
    ///
    /// - `null` is sent for pages without an origin of their own, such as local files and sandboxed frames. Any page
    ///   can create such a frame.
    /// - `file://` is sent by applications made with Cordova or Electron. A browser may send it for any file that its
    ///   user opens.
    ///
    /// # Errors
    /// [`InvalidOrigin`] if one of the strings is not an origin: it has no scheme, or it has a path (even if that is
    /// only a `/`), or it has a `*` that is not the first label of the host. Names that are not ASCII have to be
    /// written as browsers send them (`xn--...`).
    pub fn these(
        origins: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, InvalidOrigin> {
        let parse = |pattern: &str| {
            OriginPattern::parse(pattern).ok_or_else(|| InvalidOrigin(pattern.to_owned()))
        };
        let patterns = origins.into_iter().map(|pattern| parse(pattern.as_ref()));
        Ok(Self::new(Allowed::Listed(patterns.collect::<Result<_, _>>()?)))
    }

    /// Refuses requests without an `Origin` as well. By default they are allowed, because they do not come from
    /// browsers.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Returns whether the origin of a request is in the set.
    pub(crate) fn allow(&self, request: &Request<'_>) -> bool {
        if matches!(self.allowed, Allowed::Any) && !self.required {
            return true;
        }
        let mut origins = request.headers().all("Origin");
        let origin = match (origins.next(), origins.next()) {
            (None, _) => return !self.required,
            (Some(origin), None) => Origin::parse(origin),
            (Some(_), Some(_)) => None,
        };
        match &self.allowed {
            Allowed::Any => true,
            Allowed::SameHost => origin.is_some_and(|origin| origin.is_at(request.host())),
            Allowed::Listed(patterns) => {
                origin.is_some_and(|origin| patterns.iter().any(|pattern| pattern.covers(&origin)))
            }
        }
    }

    const fn new(allowed: Allowed) -> Self {
        Self { allowed, required: false }
    }
}

/// The error of [`Origins::these`]: a string that is not an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidOrigin(String);

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected =
            "\"https://example.org\", \"https://*.example.org\", \"file://\" or \"null\"";
        write!(f, "{:?} is not an origin; expected something like {expected}", self.0)
    }
}

impl Error for InvalidOrigin {}

#[cfg(test)]
mod tests {
    use prism_core::{Config, RecvBuffer, ServerHandshake};

    use super::{InvalidOrigin, Origins};

    /// Returns whether a request for `host` with the given header lines is allowed.
    fn allows(origins: &Origins, host: &str, lines: &str) -> bool {
        let mut input = RecvBuffer::new();
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
        input.extend_from_slice(head.as_bytes());
        let request = ServerHandshake::new(&Config::default()).receive_request(&mut input);
        origins.allow(&request.expect("a valid request").expect("a complete request"))
    }

    fn allows_origin(origins: &Origins, host: &str, origin: &str) -> bool {
        allows(origins, host, &format!("Origin: {origin}\r\n"))
    }

    #[test]
    fn scheme_host_and_port_must_match_a_listed_origin() {
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
    fn the_same_origin_has_the_host_and_port_of_the_request() {
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
    fn a_request_without_an_origin_is_allowed_unless_required() {
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
    fn a_star_stands_for_exactly_one_label() {
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
    fn file_is_allowed_only_if_it_is_listed_and_spelled_exactly() {
        let origins = Origins::these(["file://"]).unwrap();
        assert!(allows_origin(&origins, "h", "file://"));
        for bad in ["file:///", "file:", "file://h", "FILE://", "null", "http://file", ""] {
            assert!(!allows_origin(&origins, "h", bad), "{bad}");
        }
        assert!(!allows_origin(&Origins::these(["null"]).unwrap(), "h", "file://"));
        assert!(!allows_origin(&Origins::same(), "h", "file://"));
    }

    #[test]
    fn a_request_with_two_origins_is_refused() {
        let twice = "Origin: https://h\r\nOrigin: https://h\r\n";
        assert!(!allows(&Origins::same(), "h", twice));
        assert!(!allows(&Origins::these(["https://h"]).unwrap(), "h", twice));
    }

    #[test]
    fn only_origins_can_be_listed() {
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
