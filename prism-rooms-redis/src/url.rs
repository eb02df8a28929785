//! [`Target`]: the servers that a URL names, and the credentials.

use std::{borrow::Cow, error::Error, fmt, ops::Range};

use prism_driver::{InvalidUrl, ServiceAddress, percent_decode};

/// Redis' port.
const DEFAULT_PORT: u16 = 6379;

/// Sentinel's port.
const SENTINEL_PORT: u16 = 26379;

/// The user of a URL without a user name.
const DEFAULT_USER: &str = "default";

/// Servers, and who this program is to them. Only [`Redis`](crate::Redis) shows it, without the password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) is_secure: bool,
    pub(crate) servers: Servers,
    /// The credentials for the server that has the channels.
    pub(crate) login: Option<Login>,
}

/// Where the server is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Servers {
    /// Here.
    One(ServiceAddress),
    /// At any of these nodes, one at least, of a Redis Cluster.
    Cluster(Vec<ServiceAddress>),
    /// Where these Sentinels, one at least, say that the master with this name is.
    Sentinels { addresses: Vec<ServiceAddress>, master: String },
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

/// What the beginning of a URL says.
#[derive(Clone, Copy)]
struct Scheme {
    name: &'static str,
    is_secure: bool,
    hosts: Hosts,
}

/// What the hosts of a URL are.
#[derive(Clone, Copy)]
enum Hosts {
    Server,
    Nodes,
    Sentinels,
}

const SCHEMES: [Scheme; 6] = [
    Scheme { name: "redis://", is_secure: false, hosts: Hosts::Server },
    Scheme { name: "rediss://", is_secure: true, hosts: Hosts::Server },
    Scheme { name: "redis+cluster://", is_secure: false, hosts: Hosts::Nodes },
    Scheme { name: "rediss+cluster://", is_secure: true, hosts: Hosts::Nodes },
    Scheme { name: "redis+sentinel://", is_secure: false, hosts: Hosts::Sentinels },
    Scheme { name: "rediss+sentinel://", is_secure: true, hosts: Hosts::Sentinels },
];

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, InvalidRedisUrl> {
        let url = url.trim_end();
        let (scheme, rest) = split_scheme(url.trim_start())?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        // Otherwise, the end of a password with "/" and "@" in it would be the name of a master, which is shown.
        if path.contains('@') {
            return Err(InvalidRedisUrl::new(
                "\"@\" after \"/\", \"?\" or \"#\"; expected \"%2F\", \"%3F\" or \"%23\" in the user name or password, \
                 and \"%40\" in the name of a master",
            ));
        }
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(Login::parse(login)?), hosts),
            None => (None, authority),
        };
        if path.contains(['?', '#']) {
            return Err(InvalidRedisUrl::new(
                "\"?\" or \"#\" after the host; expected no parameters: settings are methods of `Redis`",
            ));
        }
        let end = url.len() - path.len();
        let hosts = end - hosts.len()..end;
        let servers = match scheme.hosts {
            Hosts::Server => {
                check_path(path)?;
                Servers::One(parse_server(url, hosts)?)
            }
            Hosts::Nodes => {
                check_path(path)?;
                Servers::Cluster(parse_hosts(url, hosts, DEFAULT_PORT)?)
            }
            Hosts::Sentinels => {
                let master = parse_master(path)?;
                Servers::Sentinels { addresses: parse_hosts(url, hosts, SENTINEL_PORT)?, master }
            }
        };
        Ok(Self { is_secure: scheme.is_secure, servers, login })
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

/// Returns the scheme, and what follows it.
fn split_scheme(url: &str) -> Result<(Scheme, &str), InvalidRedisUrl> {
    for scheme in SCHEMES {
        if let Some((start, rest)) = url.split_at_checked(scheme.name.len())
            && start.eq_ignore_ascii_case(scheme.name)
        {
            if scheme.is_secure && !cfg!(feature = "tls") {
                return Err(InvalidRedisUrl::new(
                    "a scheme with \"rediss\" needs the feature `tls` of prism-rooms-redis",
                ));
            }
            return Ok((scheme, rest));
        }
    }
    Err(InvalidRedisUrl::new(
        "expected \"redis://\", \"redis+cluster://\" or \"redis+sentinel://\" at the start; with TLS, \"rediss\"",
    ))
}

/// Parses the host and the port that are at `part` of a URL.
fn parse_server(url: &str, part: Range<usize>) -> Result<ServiceAddress, InvalidRedisUrl> {
    if url[part.clone()].contains(',') {
        return Err(InvalidRedisUrl::new(
            "several hosts; expected one, or \"redis+cluster://\" and the nodes of a Redis Cluster, or \
             \"redis+sentinel://\" and Sentinels",
        ));
    }
    Ok(ServiceAddress::parse_part(url, part, DEFAULT_PORT)?)
}

/// Parses the hosts and ports that are at `part` of a URL, with commas in between.
fn parse_hosts(
    url: &str,
    part: Range<usize>,
    default_port: u16,
) -> Result<Vec<ServiceAddress>, InvalidRedisUrl> {
    let mut start = part.start;
    let addresses = url[part].split(',').map(|host| {
        let part = start..start + host.len();
        start = part.end + 1;
        Ok(ServiceAddress::parse_part(url, part, default_port)?)
    });
    addresses.collect()
}

/// Parses a path that is the name of a master.
fn parse_master(path: &str) -> Result<String, InvalidRedisUrl> {
    match path.strip_prefix('/') {
        None | Some("") => Err(InvalidRedisUrl::new(
            "the master has no name; expected \"/\" and the name that the Sentinels know, after the hosts",
        )),
        Some(name) if name.contains('/') => Err(InvalidRedisUrl::new(
            "\"/\" after the name of the master; expected no database, because channels belong to none, and \"%2F\" in \
             a name",
        )),
        Some(name) => match percent_decode(name) {
            Ok(name) => Ok(name.into_owned()),
            Err(_) => Err(InvalidRedisUrl::new(
                "invalid escape in the name of the master; expected \"%25\" for \"%\", and UTF-8",
            )),
        },
    }
}

fn join(addresses: &[ServiceAddress]) -> String {
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    addresses.join(",")
}

/// A path is the number of a database, of which publish and subscribe know nothing: programs that differ in that alone
/// would hear each other.
fn check_path(path: &str) -> Result<(), InvalidRedisUrl> {
    match path {
        "" | "/" | "/0" => Ok(()),
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

impl From<InvalidUrl> for InvalidRedisUrl {
    fn from(error: InvalidUrl) -> Self {
        Self(error.to_string().into())
    }
}

/// Without the password.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_secure { "rediss" } else { "redis" })?;
        f.write_str(match self.servers {
            Servers::One(_) => "://",
            Servers::Cluster(_) => "+cluster://",
            Servers::Sentinels { .. } => "+sentinel://",
        })?;
        if let Some(login) = &self.login {
            write!(f, "{}@", login.user)?;
        }
        match &self.servers {
            Servers::One(address) => fmt::Display::fmt(address, f),
            Servers::Cluster(addresses) => f.write_str(&join(addresses)),
            Servers::Sentinels { addresses, master } => {
                write!(f, "{}/{master}", join(addresses))
            }
        }
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
            ("redis+cluster://a", "redis+cluster://a:6379", None),
            (
                "redis+cluster://ann:a@a,[::1]:7/",
                "redis+cluster://ann@a:6379,[::1]:7",
                Some(("ann", "a")),
            ),
            ("redis+sentinel://a,[::1]:7/b", "redis+sentinel://a:26379,[::1]:7/b", None),
            (
                "Redis+Sentinel://:,@a/%2F%C3%A9",
                "redis+sentinel://default@a:26379//\u{e9}",
                Some(("default", ",")),
            ),
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
        assert_eq!(
            parse("rediss+cluster://a,b").unwrap().to_string(),
            "rediss+cluster://a:6379,b:6379"
        );
        let sentinels = parse("rediss+sentinel://host/cache").unwrap();
        assert!(sentinels.is_secure);
        assert_eq!(sentinels.to_string(), "rediss+sentinel://host:26379/cache");
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn tls_is_a_feature() {
        assert!(parse("rediss://host").err().unwrap().contains("feature `tls`"));
    }

    #[test]
    fn errors_say_what_was_expected_and_never_show_the_password() {
        for (url, expected) in [
            ("host:6379", "expected \"redis://\", \"redis+cluster://\" or"),
            ("http://host", "at the start; with TLS, \"rediss\""),
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
            ("redis://one,two", "several hosts; expected one, or \"redis+cluster://\""),
            ("redis+cluster://one,two/3", "expected no path, and another prefix"),
            ("redis+cluster://:secret@one,,two", "the host is missing"),
            ("redis+sentinel://:se@c/ret@host", "expected \"%2F\""),
            ("redis+sentinel://a", "the master has no name"),
            ("redis+sentinel://a/", "the master has no name"),
            ("redis+sentinel://a/b/0", "expected no database"),
            ("redis+sentinel://a/b?db=0", "expected no parameters"),
            ("redis+sentinel://a/%ff", "invalid escape in the name of the master"),
            ("redis+sentinel://:secret@/b", "the host is missing"),
            ("redis+sentinel://a,,c/b", "the host is missing"),
            (
                "redis+sentinel://:sec@a,b b/c",
                "' ' (U+0020) at character 26 is not allowed in a host",
            ),
        ] {
            let error = parse(url).err().expect(url);
            assert!(error.starts_with("invalid Redis URL: "), "{error}");
            assert!(error.contains(expected), "{url}: {error}");
            assert!(!error.contains("sec") && !error.contains("ret"), "{error}");
        }
    }
}
