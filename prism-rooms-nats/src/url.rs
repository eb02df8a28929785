//! [`Target`]: the servers that URLs name, and the credentials.

use std::{borrow::Cow, error::Error, fmt};

use prism_driver::{ServiceAddress, percent_decode};

#[cfg(feature = "nkeys")]
use crate::credentials::Credentials;

/// NATS' port.
const DEFAULT_PORT: u16 = 4222;

/// Servers, at least one, and how they are reached. Only [`Nats`](crate::Nats) shows it, without the secrets.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) is_secure: bool,
    pub(crate) servers: Vec<Server>,
}

/// A server, and who this program is to it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) address: ServiceAddress,
    /// The host that its certificate has to be for.
    pub(crate) certified: ServiceAddress,
    pub(crate) login: Option<Login>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    User {
        user: String,
        password: String,
    },
    Token(String),
    #[cfg(feature = "nkeys")]
    Key(Credentials),
}

/// The reason why a URL does not name NATS servers. The error's text (`Display`) says what is wrong and what was
/// expected. It has no password and no token in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidNatsUrl(Cow<'static, str>);

impl Target {
    /// Parses URLs with commas in between. A host without a scheme belongs to the URL in front of it, and has its
    /// login.
    pub(crate) fn parse(urls: &str) -> Result<Self, InvalidNatsUrl> {
        check_commas(urls)?;
        let mut servers: Vec<Server> = Vec::new();
        let (mut is_secure, mut start) = (None, 0);
        for part in urls.split(',') {
            let url = without_slash(part.trim_end());
            let end = start + url.len();
            start += part.len() + 1;
            let url = url.trim_start();
            let scheme = split_scheme(url)?;
            let (login, host) = split_login(scheme.map_or(url, |(_, rest)| rest))?;
            let login = match (login, scheme, servers.last()) {
                (Some(login), ..) => Some(Login::parse(login)?),
                (None, Some(_), _) => None,
                (None, None, Some(previous)) => previous.login.clone(),
                (None, None, None) => return invalid(EXPECTED_SCHEME),
            };
            if let Some((secure, _)) = scheme
                && *is_secure.get_or_insert(secure) != secure
            {
                return invalid("\"nats://\" and \"tls://\" in one list; expected one of them");
            }
            let address = ServiceAddress::parse_part(urls, end - host.len()..end, DEFAULT_PORT)
                .map_err(|error| InvalidNatsUrl(error.to_string().into()))?;
            servers.push(Server { certified: address.clone(), address, login });
        }
        Ok(Self { is_secure: is_secure == Some(true), servers })
    }
}

impl Server {
    /// Returns another server, which this one names: it has the same users, and a certificate for the same host. `None`
    /// if the address is invalid.
    pub(crate) fn another(&self, address: &str) -> Option<Self> {
        let address = ServiceAddress::parse(address, DEFAULT_PORT).ok()?;
        Some(Self { address, certified: self.certified.clone(), login: self.login.clone() })
    }
}

const EXPECTED_SCHEME: &str = "expected \"nats://\" or \"tls://\" at the start";

/// A comma in a password would be taken for the end of a host, whose name is then the beginning of the password.
fn check_commas(urls: &str) -> Result<(), InvalidNatsUrl> {
    if urls.split(',').skip(1).any(|part| part.contains('@') && !part.contains("://")) {
        return invalid(
            "\"@\" after a comma; expected \"%2C\" for a comma in front of the host, and a scheme such as \"nats://\" \
             in front of each server with another login",
        );
    }
    Ok(())
}

fn without_slash(url: &str) -> &str {
    url.strip_suffix('/').filter(|url| !url.ends_with('/')).unwrap_or(url)
}

/// Returns whether the scheme stands for TLS, and what follows it; `None` if there is no scheme.
fn split_scheme(url: &str) -> Result<Option<(bool, &str)>, InvalidNatsUrl> {
    let Some((scheme, rest)) = url.split_once("://") else { return Ok(None) };
    if scheme.eq_ignore_ascii_case("nats") {
        Ok(Some((false, rest)))
    } else if !scheme.eq_ignore_ascii_case("tls") {
        invalid(EXPECTED_SCHEME)
    } else if cfg!(feature = "tls") {
        Ok(Some((true, rest)))
    } else {
        invalid("\"tls://\" needs the feature `tls` of prism-rooms-nats")
    }
}

/// Splits what follows the scheme into the login, if there is one, and the host.
fn split_login(rest: &str) -> Result<(Option<&str>, &str), InvalidNatsUrl> {
    if rest.contains(['/', '?', '#']) {
        return invalid(
            "\"/\", \"?\" or \"#\" after the scheme; expected nothing after the host, and \"%2F\", \"%3F\" or \
             \"%23\" in front of it",
        );
    }
    Ok(rest.rsplit_once('@').map_or((None, rest), |(login, host)| (Some(login), host)))
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

/// Without the passwords or the tokens.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, server) in self.servers.iter().enumerate() {
            f.write_str(if number > 0 { "," } else { "" })?;
            f.write_str(if self.is_secure { "tls://" } else { "nats://" })?;
            if let Some(Login::User { user, .. }) = &server.login {
                write!(f, "{user}@")?;
            }
            fmt::Display::fmt(&server.address, f)?;
        }
        Ok(())
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
            assert!(!target.is_secure && target.servers[0].login == login, "{url}");
        }
    }

    #[test]
    fn urls_may_name_several_servers() {
        for (urls, shown) in [
            ("nats://one,two:7000", "nats://one:4222,nats://two:7000"),
            (" nats://one/ , nats://[::1]:7000/ ", "nats://one:4222,nats://[::1]:7000"),
            ("nats://ann:secret@one,two", "nats://ann@one:4222,nats://ann@two:4222"),
            (
                "nats://ann:secret@one,nats://two,three",
                "nats://ann@one:4222,nats://two:4222,nats://three:4222",
            ),
            ("nats://ann:1@one,nats://eve:2@two", "nats://ann@one:4222,nats://eve@two:4222"),
        ] {
            assert_eq!(parse(urls).unwrap().to_string(), shown);
        }
        let servers = parse("nats://s%2Cecret@one,two").unwrap().servers;
        assert!(servers.iter().all(|server| server.login == Some(Login::Token("s,ecret".into()))));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn tls_is_a_scheme() {
        assert!(parse("tls://host").unwrap().is_secure);
        assert_eq!(parse("tls://one,two").unwrap().to_string(), "tls://one:4222,tls://two:4222");
        for urls in ["tls://one,nats://two", "nats://one,tls://two"] {
            assert!(parse(urls).err().unwrap().contains("in one list; expected one of them"));
        }
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
            ("nats://one,", "the host is missing"),
            ("nats://one,,two", "the host is missing"),
            ("nats://one,two/3", "expected nothing after the host"),
            ("nats://one,http://two", "expected \"nats://\" or \"tls://\" at the start"),
            ("one,nats://two", "expected \"nats://\" or \"tls://\" at the start"),
            ("nats://sec,ret@host", "expected \"%2C\" for a comma"),
            ("nats://ann:sec,ret@host", "expected \"%2C\" for a comma"),
            ("nats://one,nats://t wo", "' ' (U+0020) at character 20 is not allowed in a host"),
        ] {
            let error = parse(url).err().expect(url);
            assert!(error.starts_with("invalid NATS URL: "), "{error}");
            assert!(error.contains(expected), "{url}: {error}");
            assert!(!error.contains("sec") && !error.contains("ret"), "{error}");
        }
    }
}
