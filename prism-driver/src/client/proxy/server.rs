//! [`ProxyServer`]: the address, the protocol and the credentials of a proxy, from its URL.

use std::{error::Error, fmt};

use prism_core::BasicCredentials;

use crate::client::{percent, url::ServerAddress};

/// A proxy to connect to.
#[derive(Clone)]
pub(crate) struct ProxyServer {
    pub(crate) address: ServerAddress,
    pub(crate) protocol: ProxyProtocol,
}

#[derive(Clone)]
pub(crate) enum ProxyProtocol {
    /// `CONNECT` (RFC 9110 §9.3.6).
    Http(Option<BasicCredentials>),
    /// SOCKS5 (RFC 1928).
    #[cfg(feature = "socks")]
    Socks { resolves_names: bool, credentials: Option<SocksCredentials> },
}

/// A user name and a password as in RFC 1929.
#[cfg(feature = "socks")]
#[derive(Clone)]
pub(crate) struct SocksCredentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// The reason why a client cannot use a proxy. The error's text (`Display`) says what is wrong, and in which variable
/// of the environment. It shows no part of the proxy's URL, because any part may belong to a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidProxy {
    variable: Option<&'static str>,
    what: &'static str,
}

impl ProxyServer {
    pub(crate) fn parse(url: &str) -> Result<Self, InvalidProxy> {
        let url = url.trim_matches(' ');
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let (protocol, default_port) = protocol(scheme)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(InvalidProxy::new(
                "text after the host and port; expected \"/\", \"?\" and \"#\" percent-encoded in a user name or password",
            ));
        }
        let (user_info, host) = match authority.rsplit_once('@') {
            Some((user_info, host)) => (Some(user_info), host),
            None => (None, authority),
        };
        let address = ServerAddress::parse(host, default_port).map_err(|_| {
            InvalidProxy::new(
                "invalid host or port; expected \"host:port\", with brackets around an IPv6 address",
            )
        })?;
        let mut server = Self { address, protocol };
        if let Some(user_info) = user_info {
            let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
            server.set_credentials(&decode(user)?, &decode(password)?)?;
        }
        Ok(server)
    }

    pub(crate) fn set_credentials(
        &mut self,
        user: &str,
        password: &str,
    ) -> Result<(), InvalidProxy> {
        match &mut self.protocol {
            ProxyProtocol::Http(credentials) => {
                *credentials = Some(BasicCredentials::new(user, password).map_err(|_| {
                    InvalidProxy::new(
                        "a user name with a colon, or a control character in it or in the password, cannot be sent",
                    )
                })?);
            }
            #[cfg(feature = "socks")]
            ProxyProtocol::Socks { credentials, .. } => {
                if [user, password].iter().any(|text| !(1..=255).contains(&text.len())) {
                    return Err(InvalidProxy::new(
                        "expected 1 to 255 bytes of user name and as many of password",
                    ));
                }
                let (user, password) = (user.to_owned(), password.to_owned());
                *credentials = Some(SocksCredentials { user, password });
            }
        }
        Ok(())
    }
}

impl ProxyProtocol {
    /// Returns whether the protocol can transmit a server's name, if it has to (RFC 1928 §5).
    #[cfg_attr(not(feature = "socks"), expect(unused_variables, reason = "HTTP takes any name"))]
    pub(crate) const fn takes_name(&self, name: &str) -> bool {
        match self {
            Self::Http(_) => true,
            #[cfg(feature = "socks")]
            Self::Socks { resolves_names, .. } if !*resolves_names => true,
            #[cfg(feature = "socks")]
            Self::Socks { .. } => name.len() <= 255,
        }
    }

    /// Returns whether the proxy resolves the names of servers.
    pub(crate) const fn resolves_names(&self) -> bool {
        match self {
            Self::Http(_) => true,
            #[cfg(feature = "socks")]
            Self::Socks { resolves_names, .. } => *resolves_names,
        }
    }
}

/// Returns the protocol that a scheme stands for, and its default port.
fn protocol(scheme: &str) -> Result<(ProxyProtocol, u16), InvalidProxy> {
    let is = |other| scheme.eq_ignore_ascii_case(other);
    if is("http") {
        return Ok((ProxyProtocol::Http(None), 80));
    }
    if is("socks5") || is("socks5h") {
        return socks(is("socks5h"));
    }
    Err(InvalidProxy::new(if is("https") {
        "TLS to the proxy (\"https://\") is not supported; expected \"http://\", \"socks5://\" or \"socks5h://\""
    } else {
        "expected \"http://\", \"socks5://\" or \"socks5h://\" at the start"
    }))
}

#[cfg(feature = "socks")]
const fn socks(resolves_names: bool) -> Result<(ProxyProtocol, u16), InvalidProxy> {
    Ok((ProxyProtocol::Socks { resolves_names, credentials: None }, 1080))
}

#[cfg(not(feature = "socks"))]
const fn socks(_: bool) -> Result<(ProxyProtocol, u16), InvalidProxy> {
    Err(InvalidProxy::new("\"socks5://\" and \"socks5h://\" need the feature `socks`"))
}

fn decode(text: &str) -> Result<String, InvalidProxy> {
    String::from_utf8(percent::decode(text))
        .map_err(|_| InvalidProxy::new("the user name or the password is not UTF-8"))
}

impl InvalidProxy {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self { variable: None, what }
    }

    /// Says in which variable of the environment the proxy is.
    pub(crate) const fn in_variable(self, variable: &'static str) -> Self {
        Self { variable: Some(variable), ..self }
    }
}

/// Shows the URL without credentials.
impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.protocol {
            ProxyProtocol::Http(_) => "http",
            #[cfg(feature = "socks")]
            ProxyProtocol::Socks { resolves_names: false, .. } => "socks5",
            #[cfg(feature = "socks")]
            ProxyProtocol::Socks { resolves_names: true, .. } => "socks5h",
        };
        write!(f, "{scheme}://{}", self.address)
    }
}

impl fmt::Display for InvalidProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(variable) = self.variable {
            write!(f, "{variable}: ")?;
        }
        f.write_str(self.what)
    }
}

impl Error for InvalidProxy {}
