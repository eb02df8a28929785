//! [`Target`]: the server that a URL names, and the credentials.

use std::{borrow::Cow, error::Error, fmt};

use prism_driver::{ServiceAddress, percent_decode};

/// NATS' port.
const DEFAULT_PORT: u16 = 4222;

/// A server, and who this program is to it. Only [`Nats`](crate::Nats) shows it, without the secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) is_secure: bool,
    pub(crate) address: ServiceAddress,
    pub(crate) login: Option<Login>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    User { user: String, password: String },
    Token(String),
}

/// The reason why a URL does not name a NATS server. The error's text (`Display`) says what is wrong and what was
/// expected. It has no password and no token in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidNatsUrl(Cow<'static, str>);

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, InvalidNatsUrl> {
        let url = url.trim_end();
        let url = url.strip_suffix('/').filter(|url| !url.ends_with('/')).unwrap_or(url);
        let (is_secure, rest) = match url.trim_start().split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("nats") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("tls") => (true, rest),
            _ => return invalid("expected \"nats://\" or \"tls://\" at the start"),
        };
        if is_secure && !cfg!(feature = "tls") {
            return invalid("\"tls://\" needs the feature `tls` of prism-rooms-nats");
        }
        let (login, server) = match rest.rsplit_once('@') {
            Some((login, server)) => (Some(login), server),
            None => (None, rest),
        };
        for text in [login.unwrap_or_default(), server] {
            if text.contains(['/', '?', '#']) {
                return invalid(
                    "\"/\", \"?\" or \"#\" after the scheme; expected nothing after the host, and \"%2F\", \"%3F\" or \
                     \"%23\" in front of it",
                );
            }
        }
        if server.contains(',') {
            return invalid("several servers; expected one, whose name may have several addresses");
        }
        let place = url.len() - server.len()..url.len();
        let address = ServiceAddress::parse_part(url, place, DEFAULT_PORT)
            .map_err(|error| InvalidNatsUrl(error.to_string().into()))?;
        Ok(Self { is_secure, address, login: login.map(Login::parse).transpose()? })
    }
}

impl Login {
    /// Parses `user:password` or a token.
    fn parse(text: &str) -> Result<Self, InvalidNatsUrl> {
        let decode = |text| match percent_decode(text) {
            Ok(decoded) if decoded.is_empty() => invalid(
                "an empty user name, password or token; expected \"user:password@\" or \"token@\" in front of the host",
            ),
            Ok(decoded) => Ok(decoded.into_owned()),
            Err(_) => invalid(
                "invalid escape in front of the host; expected \"%25\" for \"%\", and UTF-8",
            ),
        };
        Ok(match text.split_once(':') {
            Some((user, password)) => {
                Self::User { user: decode(user)?, password: decode(password)? }
            }
            None => Self::Token(decode(text)?),
        })
    }
}

const fn invalid<T>(what: &'static str) -> Result<T, InvalidNatsUrl> {
    Err(InvalidNatsUrl(Cow::Borrowed(what)))
}

/// Without the password or the token.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_secure { "tls://" } else { "nats://" })?;
        if let Some(Login::User { user, .. }) = &self.login {
            write!(f, "{user}@")?;
        }
        fmt::Display::fmt(&self.address, f)
    }
}

impl fmt::Display for InvalidNatsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid NATS URL: {}", self.0)
    }
}

impl Error for InvalidNatsUrl {}

#[cfg(test)]
mod tests {
    use super::{Login, Target};

    fn parse(url: &str) -> Result<Target, String> {
        Target::parse(url).map_err(|error| error.to_string())
    }

    #[test]
    fn urls_name_a_server_and_a_user() {
        let user = |user: &str, password: &str| {
            Some(Login::User { user: user.to_owned(), password: password.to_owned() })
        };
        let token = |token: &str| Some(Login::Token(token.to_owned()));
        for (url, shown, login) in [
            ("nats://localhost", "nats://localhost:4222", None),
            (" nats://10.0.0.5:7000/ ", "nats://10.0.0.5:7000", None),
            ("NATS://[::1]", "nats://[::1]:4222", None),
            ("nats://ann:secret@host", "nats://ann@host:4222", user("ann", "secret")),
            ("nats://ann:a:b@c@host", "nats://ann@host:4222", user("ann", "a:b@c")),
            ("nats://%C3%A9:%2F%40@host", "nats://\u{e9}@host:4222", user("\u{e9}", "/@")),
            ("nats://secret@host", "nats://host:4222", token("secret")),
            ("nats://s%3Aecret@host", "nats://host:4222", token("s:ecret")),
        ] {
            let target = parse(url).unwrap();
            assert_eq!(target.to_string(), shown);
            assert!(!target.is_secure && target.login == login, "{url}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn tls_is_a_scheme() {
        assert!(parse("tls://host").unwrap().is_secure);
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn tls_is_a_feature() {
        assert!(parse("tls://host").err().unwrap().contains("feature `tls`"));
    }

    #[test]
    fn errors_say_what_was_expected_and_never_show_the_secret() {
        for (url, expected) in [
            ("host:4222", "expected \"nats://\" or \"tls://\" at the start"),
            ("http://host", "expected \"nats://\" or \"tls://\" at the start"),
            ("nats://", "the host is missing"),
            ("nats://secret@", "the host is missing"),
            ("nats://ann:sec/ret@host", "\"%2F\""),
            ("nats://sec?ret@host", "\"%3F\""),
            ("nats://sec%ret@host", "expected \"%25\" for \"%\""),
            ("nats://:secret@host", "expected \"user:password@\" or \"token@\""),
            ("nats://@host", "expected \"user:password@\" or \"token@\""),
            ("nats://host:99999", "invalid port; expected at most 65535"),
            ("nats://::1", "expected \"[::1]\""),
            (" nats://sec@ho st", "' ' (U+0020) at character 15 is not allowed in a host"),
            ("nats://host/3", "expected nothing after the host"),
            ("nats://host?x", "expected nothing after the host"),
            ("nats://one,nats://two", "expected nothing after the host"),
            ("nats://one,two", "expected one"),
        ] {
            let error = parse(url).err().expect(url);
            assert!(error.starts_with("invalid NATS URL: "), "{error}");
            assert!(error.contains(expected), "{url}: {error}");
            assert!(!error.contains("sec") && !error.contains("ret"), "{error}");
        }
    }
}
