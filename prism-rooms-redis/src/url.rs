//! [`Target`]: the server that a URL names, and the credentials.

use std::{borrow::Cow, error::Error, fmt};

use prism_driver::{ServiceAddress, percent_decode};

/// Redis' port.
const DEFAULT_PORT: u16 = 6379;

/// The user of a URL without a user name.
const DEFAULT_USER: &str = "default";

/// A server, and who this program is to it. Only [`Redis`](crate::Redis) shows it, without the password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) is_secure: bool,
    pub(crate) address: ServiceAddress,
    pub(crate) login: Option<Login>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// The reason why a URL does not name a Redis server. The error's text (`Display`) says what is wrong and what was
/// expected. It has no password in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRedisUrl(Cow<'static, str>);

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, InvalidRedisUrl> {
        let url = url.trim_end();
        let (is_secure, rest) = split_scheme(url.trim_start())?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (login, server) = match authority.rsplit_once('@') {
            Some((login, server)) => (Some(Login::parse(login)?), server),
            None if path.contains('@') => {
                return Err(InvalidRedisUrl::new(
                    "\"/\", \"?\" or \"#\" in the user name or password; expected \"%2F\", \"%3F\" or \"%23\"",
                ));
            }
            None => (None, authority),
        };
        check_path(path)?;
        let end = url.len() - path.len();
        let address = ServiceAddress::parse_part(url, end - server.len()..end, DEFAULT_PORT)
            .map_err(|error| InvalidRedisUrl(error.to_string().into()))?;
        Ok(Self { is_secure, address, login })
    }
}

impl Login {
    /// Parses `user:password` or `:password`.
    fn parse(text: &str) -> Result<Self, InvalidRedisUrl> {
        let Some((user, password)) = text.split_once(':') else {
            return Err(InvalidRedisUrl::new(
                "no password; expected \"user:password@\" or \":password@\" in front of the host",
            ));
        };
        let user = if user.is_empty() { DEFAULT_USER } else { user };
        let decode = |text| match percent_decode(text) {
            Ok(decoded) => Ok(decoded.into_owned()),
            Err(_) => Err(InvalidRedisUrl::new(
                "invalid escape in the user name or password; expected \"%25\" for \"%\", and UTF-8",
            )),
        };
        Ok(Self { user: decode(user)?, password: decode(password)? })
    }
}

/// Returns whether the scheme is that of TLS, and what follows it.
fn split_scheme(url: &str) -> Result<(bool, &str), InvalidRedisUrl> {
    for (scheme, is_secure) in [("redis://", false), ("rediss://", true)] {
        if let Some((start, rest)) = url.split_at_checked(scheme.len())
            && start.eq_ignore_ascii_case(scheme)
        {
            if is_secure && !cfg!(feature = "tls") {
                return Err(InvalidRedisUrl::new(
                    "\"rediss://\" needs the feature `tls` of prism-rooms-redis",
                ));
            }
            return Ok((is_secure, rest));
        }
    }
    Err(InvalidRedisUrl::new("expected \"redis://\" or \"rediss://\" at the start"))
}

/// A path is the number of a database, of which publish and subscribe know nothing: programs that differ in that alone
/// would hear each other.
fn check_path(path: &str) -> Result<(), InvalidRedisUrl> {
    match path {
        "" | "/" | "/0" => Ok(()),
        _ if path.contains(['?', '#']) => Err(InvalidRedisUrl::new(
            "\"?\" or \"#\" after the host; expected no parameters: settings are methods of `Redis`",
        )),
        _ => Err(InvalidRedisUrl::new(
            "a database after the host, but channels belong to none; expected no path, and another prefix \
             for each program",
        )),
    }
}

impl InvalidRedisUrl {
    const fn new(what: &'static str) -> Self {
        Self(Cow::Borrowed(what))
    }
}

/// Without the password.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_secure { "rediss://" } else { "redis://" })?;
        if let Some(login) = &self.login {
            write!(f, "{}@", login.user)?;
        }
        fmt::Display::fmt(&self.address, f)
    }
}

impl fmt::Display for InvalidRedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid Redis URL: {}", self.0)
    }
}

impl Error for InvalidRedisUrl {}

#[cfg(test)]
mod tests {
    use super::Target;

    fn parse(url: &str) -> Result<Target, String> {
        Target::parse(url).map_err(|error| error.to_string())
    }

    #[test]
    fn urls_name_a_server_and_a_user() {
        for (url, shown, login) in [
            ("redis://localhost", "redis://localhost:6379", None),
            (" redis://10.0.0.5:7000/ ", "redis://10.0.0.5:7000", None),
            ("REDIS://[::1]/0", "redis://[::1]:6379", None),
            ("redis://:secret@host", "redis://default@host:6379", Some(("default", "secret"))),
            ("redis://ann:a:b@host", "redis://ann@host:6379", Some(("ann", "a:b"))),
            ("redis://ann:a@b@host", "redis://ann@host:6379", Some(("ann", "a@b"))),
            ("redis://%C3%A9:%2F%40@host", "redis://\u{e9}@host:6379", Some(("\u{e9}", "/@"))),
            ("redis://ann:@host", "redis://ann@host:6379", Some(("ann", ""))),
        ] {
            let target = parse(url).unwrap();
            assert_eq!(target.to_string(), shown);
            assert!(!target.is_secure);
            let parsed = target.login.as_ref();
            assert_eq!(parsed.map(|login| (&*login.user, &*login.password)), login);
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn rediss_stands_for_tls() {
        assert!(parse("rediss://host").unwrap().is_secure);
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn tls_is_a_feature() {
        assert!(parse("rediss://host").err().unwrap().contains("feature `tls`"));
    }

    #[test]
    fn errors_say_what_was_expected_and_never_show_the_password() {
        for (url, expected) in [
            ("host:6379", "expected \"redis://\" or \"rediss://\" at the start"),
            ("http://host", "expected \"redis://\" or \"rediss://\" at the start"),
            ("redis://", "the host is missing"),
            ("redis://:secret@", "the host is missing"),
            ("redis://secret@host", "no password; expected \"user:password@\""),
            ("redis://:sec/ret@host", "expected \"%2F\""),
            ("redis://:sec%ret@host", "expected \"%25\" for \"%\""),
            ("redis://host:secret", "invalid port; expected a number"),
            ("redis://host:99999", "invalid port; expected at most 65535"),
            ("redis://::1", "expected \"[::1]\""),
            (" redis://:sec@ho st", "' ' (U+0020) at character 17 is not allowed in a host"),
            ("redis://host/3", "expected no path, and another prefix"),
            ("redis://host?protocol=resp3", "expected no parameters"),
        ] {
            let error = parse(url).err().expect(url);
            assert!(error.starts_with("invalid Redis URL: "), "{error}");
            assert!(error.contains(expected), "{url}: {error}");
            assert!(!error.contains("sec") && !error.contains("ret"), "{error}");
        }
    }
}
