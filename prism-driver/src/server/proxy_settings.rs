//! The settings of a [`Server`] that is behind proxies.

use crate::{
    runtime::Network,
    server::{
        Server,
        proxies::{
            ForwardedHeader,
            networks::{InvalidNetwork, Networks},
        },
    },
};

/// Settings for servers [behind proxies](crate::docs::behind_a_proxy).
impl<N: Network> Server<N> {
    /// Trusts HTTP proxies to name the clients whose requests they forward, in this header. The proxies are given by
    /// their IP addresses, or by networks in CIDR notation. An earlier call is replaced.
    ///
    /// If the peer of a connection is such a proxy, the client is the rightmost address in the header that is not a
    /// trusted proxy's. (If all are, the client is the leftmost.) Each proxy has appended its own peer, so whatever is
    /// further left may be forged. The header of any other peer is ignored.
    ///
    /// The client's address is then the one that counts everywhere:
    /// [`Connection::peer_addr`](crate::Connection::peer_addr), [`Request::peer_addr`](crate::Request::peer_addr) in
    /// pages and in authorization, and [`max_connections_per_ip`](crate::ServerOptions::max_connections_per_ip). Its
    /// port is 0 if the header does not name one.
    ///
    /// ```no_run
    /// # use prism_driver::{ForwardedHeader, Handler, Network, Server};
    /// # fn example(server: Server<impl Network>, chat: impl Handler) -> Result<(), prism_driver::InvalidNetwork> {
    /// let server = server
    ///     .trust_proxies(ForwardedHeader::XForwardedFor, ["127.0.0.1", "10.0.0.0/8", "fd00::/8"])?
    ///     .websocket("/chat", chat);
    /// # Ok(()) }
    /// ```
    ///
    /// # Without an address
    ///
    /// - If a trusted proxy sends no such header, as in a health check, the client is the proxy itself.
    /// - If the header says `unknown` or has an obfuscated name (RFC 7239 §6), the client is the proxy that wrote this.
    /// - If the header is malformed, the request gets a 400 ([`Refused::bad_proxy_header`]). To use the proxy's own
    ///   address would hide the mistake, and would give clients from the internet an address of your own network. The
    ///   part that a client may have forged is ignored, malformed or not. (Except in a line of `Forwarded`, which can
    ///   only be parsed as a whole. There, a client that sends nonsense is refused.)
    ///
    /// [`Refused::bad_proxy_header`]: crate::Refused::bad_proxy_header
    ///
    /// # Security
    ///
    /// Trust only addresses from which no client can connect. Anyone who connects from a trusted address can pretend to
    /// have any address. And every trusted proxy has to set this header, or remove the client's: a header that a proxy
    /// merely forwards is the client's word.
    ///
    /// # Errors
    /// [`InvalidNetwork`] if one of the strings is neither an address nor a network.
    pub fn trust_proxies(
        mut self,
        header: ForwardedHeader,
        networks: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, InvalidNetwork> {
        self.proxies.forwarding = Some((header, Networks::parse(networks)?));
        Ok(self)
    }

    /// Requires proxies with these addresses to begin each connection with a header of the [PROXY
    /// protocol](https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt), version 1 or 2, which names the client.
    /// This is how proxies that do not speak HTTP forward connections, such as those for TCP or TLS. The proxies are
    /// given by their IP addresses, or by networks in CIDR notation. An earlier call is replaced.
    ///
    /// The client's address and port are then those that the header names, [everywhere](Self::trust_proxies). If it
    /// names none (LOCAL, as in a health check, or UNKNOWN), the client is the proxy itself. Extensions (TLVs) are
    /// skipped.
    ///
    /// A connection of such a proxy without a valid header gets a 400, and is counted
    /// ([`Refused::bad_proxy_header`](crate::Refused::bad_proxy_header)). A header of version 1 has at most 107 bytes,
    /// one of version 2 at most 536. The [handshake timeout](crate::Options::handshake_timeout) and the [limit on
    /// handshakes](crate::ServerOptions::max_handshakes) apply to the header as well.
    ///
    /// Other peers are not expected to send such a header. If they do, it is an invalid request.
    ///
    /// If the header names an HTTP proxy that the server [trusts](Self::trust_proxies), the request of that proxy may
    /// name the client in turn.
    ///
    /// ```no_run
    /// # use prism_driver::{Network, Server};
    /// # fn example(server: Server<impl Network>) -> Result<(), prism_driver::InvalidNetwork> {
    /// let server = server.proxy_protocol(["10.0.0.7"])?;
    /// # Ok(()) }
    /// ```
    ///
    /// The header is the first thing on the stream that the [network](Self::bind_on) accepts. With
    /// [TLS](crate::docs::tls), the server reads the header first, and then TLS. A network that decrypts TLS itself has
    /// to read the header itself too, because that usually comes before the encrypted bytes.
    ///
    /// # Security
    ///
    /// Trust only addresses from which no client can connect: anyone who connects from there can pretend to have any
    /// address.
    ///
    /// # Errors
    /// [`InvalidNetwork`] if one of the strings is neither an address nor a network.
    pub fn proxy_protocol(
        mut self,
        networks: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, InvalidNetwork> {
        self.proxies.proxy_protocol = Some(Networks::parse(networks)?);
        Ok(self)
    }
}
