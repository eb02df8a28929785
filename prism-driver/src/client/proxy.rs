//! [`Proxy`]: the proxy that a client connects through.
//!
//! ```text
//!   Client ──► Proxy            which proxy, if any, for this URL: `env`, `no_proxy`
//!                │
//!                ▼
//!            ProxyServer        address, protocol, credentials
//!                │
//!                ▼
//!            dial_through       connects to the proxy, and asks it for a tunnel: `http_connect`, `socks`
//! ```

use std::{env, ffi::OsString, fmt};

use crate::client::{
    proxy::{
        no_proxy::NoProxy,
        server::{InvalidProxy, ProxyServer},
    },
    url::Url,
};

mod dial_through;
mod environment;
pub(crate) mod error;
mod http_connect;
mod no_proxy;
pub(crate) mod server;
#[cfg(feature = "socks")]
mod socks;

pub(crate) use self::dial_through::dial_through;

/// A proxy that a client connects through; see [`Client::proxy`](crate::Client::proxy).
///
/// | URL | protocol | default port | who resolves the server's name |
/// |---|---|---|---|
/// | `http://USER:PASSWORD@HOST:PORT` | `CONNECT` (RFC 9110 §9.3.6) | 80 | the proxy |
/// | `socks5h://USER:PASSWORD@HOST:PORT` | SOCKS5 (RFC 1928) | 1080 | the proxy |
/// | `socks5://USER:PASSWORD@HOST:PORT` | SOCKS5 (RFC 1928) | 1080 | this machine |
///
/// The user name and the password may be missing. SOCKS needs the feature `socks`. A proxy with TLS of its own
/// (`https://`) is not supported.
///
/// The proxy forwards `ws://` and `wss://` alike. With `wss://`, TLS runs between the client and the server, and the
/// certificate has to be for the server. The proxy sees the server's host and port, and nothing else. But user name and
/// password travel to the proxy unencrypted.
///
/// ```
/// # use prism_driver::{InvalidProxy, Proxy};
/// let proxy = Proxy::new("http://proxy.example:3128")?
///     .credentials("alice", "correct horse")?
///     .no_proxy("localhost, 127.0.0.0/8, .internal.example");
/// # Ok::<(), InvalidProxy>(())
/// ```
#[derive(Clone)]
pub struct Proxy {
    for_ws: Option<ProxyServer>,
    for_wss: Option<ProxyServer>,
    no_proxy: NoProxy,
}

impl Proxy {
    /// Creates a proxy from its URL. Without a scheme, it is `http://`.
    ///
    /// In a user name or password, percent-encode `%` and all characters that have a meaning in a URL, or pass both to
    /// [`credentials`](Self::credentials), as they are.
    ///
    /// # Errors
    /// If the URL is malformed, or its scheme is not supported. The error never shows a part of the URL.
    pub fn new(url: &str) -> Result<Self, InvalidProxy> {
        let server = ProxyServer::parse(url)?;
        let (for_ws, for_wss) = (Some(server.clone()), Some(server));
        Ok(Self { for_ws, for_wss, no_proxy: NoProxy::default() })
    }

    /// Reads from the environment which proxy to use for which server. The environment is read by this call, and by
    /// nothing else in Prism. The first of these variables counts that is not empty:
    ///
    /// | for `wss://` | for `ws://` |
    /// |---|---|
    /// | `wss_proxy`, `WSS_PROXY` | `ws_proxy`, `WS_PROXY` |
    /// | `https_proxy`, `HTTPS_PROXY` | `http_proxy`, `HTTP_PROXY` |
    /// | `all_proxy`, `ALL_PROXY` | `all_proxy`, `ALL_PROXY` |
    ///
    /// If there is none, clients connect directly, as they do to the servers that `no_proxy` or `NO_PROXY` lists; see
    /// [`no_proxy`](Self::no_proxy).
    ///
    /// In a CGI program (`REQUEST_METHOD` is set), `HTTP_PROXY` may be a header of the request, so it is ignored, and
    /// `http_proxy` as well.
    ///
    /// # Errors
    /// If a variable is not a valid proxy, also if it is for the other scheme. The error names the variable.
    pub fn from_env() -> Result<Self, InvalidProxy> {
        Self::from_vars(|name| env::var_os(name))
    }

    fn from_vars(var: impl Fn(&str) -> Option<OsString>) -> Result<Self, InvalidProxy> {
        Ok(Self {
            for_ws: environment::proxy_for_ws(&var)?,
            for_wss: environment::proxy_for_wss(&var)?,
            no_proxy: environment::no_proxy(&var)?,
        })
    }

    /// Sets the user name and the password for the proxy. They replace those of its URL.
    ///
    /// # Errors
    /// If the protocol cannot transmit them. For `http://`, the user name must not contain a colon, and neither may
    /// contain control characters (RFC 7617 §2). For SOCKS5, each has 1 to 255 bytes (RFC 1929 §2).
    pub fn credentials(mut self, user: &str, password: &str) -> Result<Self, InvalidProxy> {
        for server in [&mut self.for_ws, &mut self.for_wss].into_iter().flatten() {
            server.set_credentials(user, password)?;
        }
        Ok(self)
    }

    /// Sets to which servers clients connect directly: a list with commas, as in the variable `NO_PROXY`. It replaces
    /// an earlier one. These can be in the list:
    ///
    /// - a name: `example.org`, or equally `.example.org` or `*.example.org`, for this host and all names below it;
    /// - an address or a network: `192.0.2.1`, `::1`, `10.0.0.0/8`. They are compared with addresses in URLs. Names are
    ///   not resolved for this;
    /// - each with a port: `example.org:8080`, `[::1]:8080`;
    /// - `*` for all servers.
    ///
    /// Everything else is ignored.
    #[must_use]
    pub fn no_proxy(mut self, list: &str) -> Self {
        self.no_proxy = NoProxy::parse(list);
        self
    }

    /// Returns the proxy for a server; `None` for a direct connection.
    pub(crate) fn server_for(&self, url: &Url) -> Option<&ProxyServer> {
        let server = if url.secure { &self.for_wss } else { &self.for_ws };
        server.as_ref().filter(|_| !self.no_proxy.covers(&url.address))
    }
}

/// Shows the addresses of the proxies, without credentials.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("for_ws", &self.for_ws)
            .field("for_wss", &self.for_wss)
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

#[cfg(test)]
mod tests;
