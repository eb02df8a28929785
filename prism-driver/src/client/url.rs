//! [`Url`]: parses the URL that a client connects to (RFC 6455 §3, RFC 3986).

use std::{
    borrow::Cow,
    error::Error,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    ops::Range,
};

#[cfg(feature = "tls")]
use rustls::pki_types::ServerName;

use crate::client::percent;

/// The parts of a `ws:` or `wss:` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) secure: bool,
    pub(crate) address: ServerAddress,
    /// The value of the request's `Host` header.
    pub(crate) authority: String,
    /// The path and query, percent-encoded.
    pub(crate) target: String,
}

/// The address to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerAddress {
    Address(SocketAddr),
    /// A host name, or an address with the name of an interface. The resolver resolves both.
    Named {
        host: String,
        port: u16,
    },
}

impl ServerAddress {
    /// Parses a host and a port, such as those of a proxy.
    pub(crate) fn parse(authority: &str, default_port: u16) -> Result<Self, InvalidUrl> {
        Self::parse_part(authority, 0..authority.len(), default_port)
    }

    /// Parses a host and a port that are a part of a URL. An error counts the URL's characters.
    pub(crate) fn parse_part(
        url: &str,
        part: Range<usize>,
        default_port: u16,
    ) -> Result<Self, InvalidUrl> {
        let Host { kind, port, .. } = Host::parse(url, part)?;
        Ok(kind.with_port(parse_port(port)?.unwrap_or(default_port)))
    }

    pub(crate) const fn port(&self) -> u16 {
        match self {
            Self::Address(address) => address.port(),
            Self::Named { port, .. } => *port,
        }
    }

    /// Returns whether the address is one of the local machine's links (RFC 4007), and means nothing to others.
    pub(crate) fn has_zone(&self) -> bool {
        match self {
            Self::Address(SocketAddr::V6(address)) => address.scope_id() != 0,
            Self::Address(SocketAddr::V4(_)) => false,
            Self::Named { host, .. } => host.contains('%'),
        }
    }

    /// Returns whether this is the same host and port. The case of a name does not matter.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Named { host, port }, Self::Named { host: other, port: other_port }) => {
                host.eq_ignore_ascii_case(other) && port == other_port
            }
            _ => self == other,
        }
    }

    /// Returns the name that the server's certificate has to be for.
    #[cfg(feature = "tls")]
    pub(crate) fn certificate_name(&self) -> Result<ServerName<'static>, InvalidUrl> {
        match self {
            Self::Address(address) => Ok(address.ip().into()),
            Self::Named { host, .. } => ServerName::try_from(host.clone())
                .map_err(|_| InvalidUrl::new("no certificate is for such a host; expected a name")),
        }
    }
}

/// The host and the port, an IPv6 address in brackets.
impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => fmt::Display::fmt(address, f),
            Self::Named { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Named { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// The reason why a client cannot connect to a URL. The error's text (`Display`) says what is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidUrl(Cow<'static, str>);

impl Url {
    pub(crate) fn parse(url: &str) -> Result<Self, InvalidUrl> {
        if let Some((at, control)) = url.char_indices().find(|(_, c)| c.is_control()) {
            return Err(invalid_char(url, at, control, "is a control character"));
        }
        // Spaces around a URL are ignored, as in the WHATWG URL Standard.
        let url = url.trim_end_matches(' ');
        let (secure, start) = split_scheme(url)?;
        if let Some(at) = url.find('#') {
            let what = "starts a fragment, which a WebSocket URL cannot have (RFC 6455 §3); \
                expected \"%23\" for the character itself";
            return Err(invalid_char(url, at, '#', what));
        }
        let end = url[start..].find(['/', '?']).map_or(url.len(), |at| start + at);
        let Host { mut sent, kind, port } = Host::parse(url, start..end)?;
        let default_port = if secure { 443 } else { 80 };
        let port = parse_port(port)?.unwrap_or(default_port);
        // RFC 6455 §4.1, 4: "followed by /port/ (when not using the default port)".
        if port != default_port {
            sent = format!("{sent}:{port}");
        }
        let target = percent::encode_target(&url[end..]);
        Ok(Self { secure, address: kind.with_port(port), authority: sent, target })
    }

    /// Returns the URL with another path and query.
    pub(crate) fn with_target(&self, target: &str) -> Result<Self, InvalidUrl> {
        if let Some((at, control)) = target.char_indices().find(|(_, c)| c.is_control()) {
            return Err(invalid_char(target, at, control, "is a control character"));
        }
        Ok(Self { target: percent::encode_target(target), ..self.clone() })
    }

    /// Returns whether both have the same origin: scheme, host and port (RFC 6454 §5).
    pub(crate) fn is_same_origin(&self, other: &Self) -> bool {
        self.secure == other.secure && self.address.is_same(&other.address)
    }
}

/// Returns whether the scheme is `wss:`, and where the text after `//` begins.
fn split_scheme(url: &str) -> Result<(bool, usize), InvalidUrl> {
    let spaces = url.len() - url.trim_start_matches(' ').len();
    for (scheme, secure) in [("ws://", false), ("wss://", true)] {
        let start = spaces + scheme.len();
        if url.get(spaces..start).is_some_and(|start| start.eq_ignore_ascii_case(scheme)) {
            return Ok((secure, start));
        }
    }
    Err(InvalidUrl::new("expected \"ws://\" or \"wss://\" at the start"))
}

/// The host of a URL, and its port.
struct Host<'u> {
    /// The host as it is sent, without the port.
    sent: String,
    kind: HostKind,
    port: &'u str,
}

enum HostKind {
    Address(IpAddr),
    /// An address that is valid on one interface only.
    Zoned(Ipv6Addr, String),
    Name(String),
}

impl<'u> Host<'u> {
    /// Parses the authority, which is at `range` in the URL.
    fn parse(url: &'u str, range: Range<usize>) -> Result<Self, InvalidUrl> {
        let start = range.start;
        let authority = &url[range];
        if authority.contains('@') {
            return Err(InvalidUrl::new(
                "user name or password in the URL; expected an Authorization header instead",
            ));
        }
        if authority.starts_with('[') {
            return Self::parse_bracketed(url, start, authority);
        }
        if is_ipv6(authority) {
            let what =
                format!("IPv6 address without brackets; expected {:?}", format!("[{authority}]"));
            return Err(InvalidUrl(what.into()));
        }
        let (name, port) = authority.split_once(':').unwrap_or((authority, ""));
        if name.is_empty() {
            return Err(InvalidUrl::new("the host is missing"));
        }
        if let Some((at, c)) = name.char_indices().find(|(_, c)| !is_host_char(*c)) {
            let what = match c.is_ascii() {
                true => "is not allowed in a host",
                false => "is not ASCII; expected the host in its IDNA encoding, \"xn--...\"",
            };
            return Err(invalid_char(url, start + at, c, what));
        }
        let kind = match name.parse::<Ipv4Addr>() {
            Ok(address) => HostKind::Address(address.into()),
            Err(_) => HostKind::Name(name.to_owned()),
        };
        Ok(Self { sent: name.to_owned(), kind, port })
    }

    /// Parses an authority that begins with an IPv6 address in brackets.
    ///
    /// RFC 3986 §3.2.2: `IP-literal = "[" ( IPv6address / IPvFuture ) "]"`. No `IPvFuture` is defined yet, and RFC
    /// 6874 §2 adds the zone.
    fn parse_bracketed(url: &str, start: usize, authority: &'u str) -> Result<Self, InvalidUrl> {
        let Some((literal, after)) = authority[1..].split_once(']') else {
            return Err(invalid_char(url, start, '[', "is not closed; expected \"]\""));
        };
        if let Some(c) = after.chars().next().filter(|c| *c != ':') {
            let at = start + authority.len() - after.len();
            return Err(invalid_char(url, at, c, "follows \"]\"; expected \":\" and a port"));
        }
        let (address, zone) = literal.split_once('%').unzip();
        let address = address.unwrap_or(literal);
        let Ok(parsed) = address.parse::<Ipv6Addr>() else {
            return Err(InvalidUrl(
                format!("invalid IPv6 address {address:?} in the brackets").into(),
            ));
        };
        let kind = match zone {
            None => HostKind::Address(parsed.into()),
            Some(zone) => HostKind::Zoned(parsed, parse_zone(zone)?),
        };
        // RFC 6874 §4: "An HTTP client [...] MUST remove any ZoneID attached to an outgoing URI".
        let sent = format!("[{address}]");
        Ok(Self { sent, kind, port: after.strip_prefix(':').unwrap_or_default() })
    }
}

impl HostKind {
    fn with_port(self, port: u16) -> ServerAddress {
        match self {
            Self::Address(address) => ServerAddress::Address(SocketAddr::new(address, port)),
            Self::Name(host) => ServerAddress::Named { host, port },
            Self::Zoned(address, zone) => match parse_number(&zone) {
                Some(index) => {
                    ServerAddress::Address(SocketAddrV6::new(address, port, 0, index).into())
                }
                // A zone distinguishes links (RFC 4007 §6). The resolver accepts one only for link-local addresses.
                None if !address.is_unicast_link_local() => {
                    ServerAddress::Address(SocketAddr::new(address.into(), port))
                }
                None => ServerAddress::Named { host: format!("{address}%{zone}"), port },
            },
        }
    }
}

/// Returns whether a text is an IPv6 address without brackets.
fn is_ipv6(text: &str) -> bool {
    text.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// Returns whether a host name may contain a character: `reg-name` of RFC 3986 §3.2.2, except for escapes, which
/// resolvers do not understand.
const fn is_host_char(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(c, '-' | '.' | '_' | '~' | '!' | '$' | '&'..=',' | ';' | '=')
}

/// Parses what follows the `%` of an address. RFC 6874 §2 requires that `%` to be escaped, as `%25`. Like curl, this
/// also accepts a plain `%`, because people type it. A zone is never empty, so `25` alone is a number.
fn parse_zone(text: &str) -> Result<String, InvalidUrl> {
    let zone = text.strip_prefix("25").filter(|zone| !zone.is_empty()).unwrap_or(text);
    let is_name = |zone: &String| {
        !zone.is_empty() && !zone.contains(|c: char| c.is_control() || c.is_whitespace())
    };
    let decoded = String::from_utf8(percent::decode(zone)).ok().filter(is_name);
    decoded.ok_or_else(|| {
        let what = format!("invalid zone {zone:?}; expected the name or index of an interface");
        InvalidUrl(what.into())
    })
}

fn parse_port(port: &str) -> Result<Option<u16>, InvalidUrl> {
    if port.is_empty() {
        return Ok(None);
    }
    // It is not shown, because it may be the beginning of a password with a "/" in it.
    if !is_digits(port) {
        return Err(InvalidUrl::new("invalid port; expected a number"));
    }
    port.parse().map(Some).map_err(|_| InvalidUrl::new("invalid port; expected at most 65535"))
}

fn parse_number(text: &str) -> Option<u32> {
    if is_digits(text) { text.parse().ok() } else { None }
}

/// Returns whether a text has only digits. (`parse` alone would accept a sign.)
fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn invalid_char(url: &str, at: usize, c: char, what: &str) -> InvalidUrl {
    let number = url[..at].chars().count() + 1;
    InvalidUrl(format!("{c:?} (U+{:04X}) at character {number} {what}", u32::from(c)).into())
}

impl InvalidUrl {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self(Cow::Borrowed(what))
    }

    #[cfg(not(feature = "tls"))]
    pub(crate) const fn needs_tls() -> Self {
        Self::new(
            "\"wss://\" needs the feature `tls`, or a TLS stream that is passed to connect_stream",
        )
    }
}

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for InvalidUrl {}

#[cfg(test)]
mod tests;
