//! Redirects: where a response sends a client, and whether the client goes there (RFC 9110 §15.4).

use std::{error::Error, fmt};

use crate::client::{
    target::{join_query, split_query},
    url::{InvalidUrl, Url},
};

/// The reason why a client did not follow a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidRedirect {
    /// It leads from `wss:` to `ws:`, so that everybody on the way could read and change what is sent.
    Insecure,
    /// It leads to a URL to which a client cannot connect.
    InvalidUrl(InvalidUrl),
    /// `Location` is missing, appears twice, or is not UTF-8.
    NoLocation,
    /// It leads to a URL with another scheme than `ws:`, `wss:`, `http:` and `https:`.
    UnsupportedScheme,
}

/// Returns whether a response asks the client to send the same request elsewhere. 300 leaves the choice to the user,
/// 304 and 305 are something else.
pub(super) const fn is_redirect(status: u16) -> bool {
    matches!(status, 301..=303 | 307 | 308)
}

/// Returns where a redirect leads to that was the response to a request for `base`. `locations` are the values of its
/// header `Location`.
pub(super) fn next_url<'a>(
    base: &Url,
    mut locations: impl Iterator<Item = &'a [u8]>,
) -> Result<Url, InvalidRedirect> {
    let (Some(location), None) = (locations.next(), locations.next()) else {
        return Err(InvalidRedirect::NoLocation);
    };
    let location = std::str::from_utf8(location).map_err(|_| InvalidRedirect::NoLocation)?;
    let url = resolve(base, location)?;
    if base.secure && !url.secure {
        return Err(InvalidRedirect::Insecure);
    }
    Ok(url)
}

/// Resolves a reference (RFC 3986 §5.2). Fragments have no meaning for WebSockets, and are dropped.
fn resolve(base: &Url, reference: &str) -> Result<Url, InvalidRedirect> {
    let reference = reference.split('#').next().unwrap_or_default();
    if let Some((scheme, rest)) = split_scheme(reference) {
        let is = |other| scheme.eq_ignore_ascii_case(other);
        let scheme = match () {
            () if is("ws") || is("http") => "ws",
            () if is("wss") || is("https") => "wss",
            () => return Err(InvalidRedirect::UnsupportedScheme),
        };
        return parse_absolute(scheme, rest);
    }
    if reference.starts_with("//") {
        return parse_absolute(if base.secure { "wss" } else { "ws" }, reference);
    }
    let (path, query) = split_query(reference);
    let (base_path, base_query) = split_query(&base.target);
    let path = match path {
        "" => base_path.to_owned(),
        rooted if rooted.starts_with('/') => without_dot_segments(rooted),
        relative => {
            let folder = base_path.rfind('/').map_or("/", |at| &base_path[..=at]);
            without_dot_segments(&format!("{folder}{relative}"))
        }
    };
    let query = if reference.is_empty() { base_query } else { query };
    Ok(base.with_target(&join_query(&path, query))?)
}

/// Parses what follows the scheme and its colon.
fn parse_absolute(scheme: &str, rest: &str) -> Result<Url, InvalidRedirect> {
    let mut url = Url::parse(&format!("{scheme}:{rest}"))?;
    let (path, query) = split_query(&url.target);
    url.target = join_query(&without_dot_segments(path), query);
    Ok(url)
}

/// Splits an absolute URL at the colon that ends its scheme (RFC 3986 §3.1).
fn split_scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let is_scheme_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(is_scheme_char))
        .then_some((scheme, rest))
}

/// Removes the segments `.` and `..` from a path that starts with `/` (RFC 3986 §5.2.4).
fn without_dot_segments(path: &str) -> String {
    let mut kept = String::with_capacity(path.len());
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    // The searched part is then removed, so all searches together take linear time.
                    kept.truncate(kept.rfind('/').unwrap_or(0));
                }
                if is_last {
                    kept.push('/');
                }
            }
            _ => {
                kept.push('/');
                kept.push_str(segment);
            }
        }
    }
    kept
}

impl fmt::Display for InvalidRedirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insecure => f.write_str("it leads from \"wss://\" to \"ws://\""),
            Self::InvalidUrl(error) => write!(f, "it leads to an invalid URL: {error}"),
            Self::NoLocation => f.write_str("expected exactly one Location, in UTF-8"),
            Self::UnsupportedScheme => f.write_str(
                "it leads to a URL that is not \"ws:\", \"wss:\", \"http:\" or \"https:\"",
            ),
        }
    }
}

impl Error for InvalidRedirect {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::InvalidUrl(error) => Some(error),
            _ => None,
        }
    }
}

impl From<InvalidUrl> for InvalidRedirect {
    fn from(error: InvalidUrl) -> Self {
        Self::InvalidUrl(error)
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidRedirect, next_url, resolve};
    use crate::client::url::Url;

    /// Returns where a reference leads to.
    fn resolved(base: &str, reference: &str) -> Result<String, InvalidRedirect> {
        let url = resolve(&Url::parse(base).unwrap(), reference)?;
        let scheme = if url.secure { "wss" } else { "ws" };
        Ok(format!("{scheme}://{}{}", url.authority, url.target))
    }

    #[track_caller]
    fn assert_leads(base: &str, reference: &str, expected: &str) {
        assert_eq!(resolved(base, reference).as_deref(), Ok(expected), "{base} {reference:?}");
    }

    /// The examples of RFC 3986 §5.4, with the base `http://a/b/c/d;p?q`.
    #[test]
    fn references_are_resolved_as_the_rfc_says() {
        for (reference, expected) in [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            ("/g", "/g"),
            ("?y", "/b/c/d;p?y"),
            ("g?y", "/b/c/g?y"),
            ("#s", "/b/c/d;p?q"),
            ("g#s", "/b/c/g"),
            ("g?y#s", "/b/c/g?y"),
            (";x", "/b/c/;x"),
            ("g;x", "/b/c/g;x"),
            ("g;x?y#s", "/b/c/g;x?y"),
            ("", "/b/c/d;p?q"),
            (".", "/b/c/"),
            ("./", "/b/c/"),
            ("..", "/b/"),
            ("../", "/b/"),
            ("../g", "/b/g"),
            ("../..", "/"),
            ("../../", "/"),
            ("../../g", "/g"),
            ("../../../g", "/g"),
            ("../../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("g.", "/b/c/g."),
            (".g", "/b/c/.g"),
            ("g..", "/b/c/g.."),
            ("..g", "/b/c/..g"),
            ("./../g", "/b/g"),
            ("./g/.", "/b/c/g/"),
            ("g/./h", "/b/c/g/h"),
            ("g/../h", "/b/c/h"),
            ("g;x=1/./y", "/b/c/g;x=1/y"),
            ("g;x=1/../y", "/b/c/y"),
            ("g?y/./x", "/b/c/g?y/./x"),
            ("g?y/../x", "/b/c/g?y/../x"),
        ] {
            assert_leads("ws://a/b/c/d;p?q", reference, &format!("ws://a{expected}"));
        }
    }

    #[test]
    fn absolute_references_replace_scheme_and_host() {
        for (reference, expected) in [
            ("ws://h/x?y", "ws://h/x?y"),
            ("http://h", "ws://h/"),
            ("HTTPS://h:8443/a/../b", "wss://h:8443/b"),
            ("wss://h:443/", "wss://h/"),
            ("http://h:443/", "ws://h:443/"),
            ("//h:8080/x", "ws://h:8080/x"),
            ("//h?y/..", "ws://h/?y/.."),
            ("http://[::1]:8080/é d", "ws://[::1]:8080/%C3%A9%20d"),
        ] {
            assert_leads("ws://a/b", reference, expected);
        }
        assert_leads("wss://a:1/b", "//h/x", "wss://h/x");
        assert_leads("wss://a:1/b", "x", "wss://a:1/x");
        assert_leads("ws://[fe80::1%25eth0]/", "/x", "ws://[fe80::1]/x");
    }

    #[test]
    fn a_redirect_from_wss_stays_on_wss() {
        let next = |base, location: &'static str| {
            let base = Url::parse(base).unwrap();
            next_url(&base, [location.as_bytes()].into_iter()).map(|url| url.secure)
        };
        for location in ["ws://a/", "http://a/", "http://b:443/"] {
            assert_eq!(next("wss://a/", location), Err(InvalidRedirect::Insecure), "{location}");
            assert_eq!(next("ws://a/", location), Ok(false), "{location}");
        }
        for location in ["wss://a/", "https://b/"] {
            assert_eq!(next("wss://a/", location), Ok(true), "{location}");
            assert_eq!(next("ws://a/", location), Ok(true), "{location}");
        }
        assert_eq!(next("wss://a/", "//b/"), Ok(true));
        assert_eq!(next("wss://a/", "/b"), Ok(true));
    }

    #[test]
    fn there_is_exactly_one_location() {
        let base = Url::parse("ws://a/").unwrap();
        for locations in [&[][..], &[&b"/a"[..], b"/a"], &[b"/\xff"]] {
            let outcome = next_url(&base, locations.iter().copied());
            assert_eq!(outcome, Err(InvalidRedirect::NoLocation), "{locations:?}");
        }
    }

    #[test]
    fn other_schemes_and_invalid_urls_are_refused() {
        for reference in ["ftp://h/", "mailto:a@b", "javascript:alert(1)", "chat:1"] {
            let outcome = resolved("ws://a/", reference);
            assert_eq!(outcome, Err(InvalidRedirect::UnsupportedScheme), "{reference}");
        }
        for reference in [
            "http:h",
            "https:///x",
            "ws://u:p@h/",
            "//",
            "ws://h:99999/",
            "/a\tb",
            "ws://ü/",
            "ws:",
        ] {
            let outcome = resolved("ws://a/", reference);
            assert!(
                matches!(outcome, Err(InvalidRedirect::InvalidUrl(_))),
                "{reference} {outcome:?}"
            );
        }
    }
}
