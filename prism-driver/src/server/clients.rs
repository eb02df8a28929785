//! [`Clients`]: who the client of a connection is, and whether that client may have one more.
//!
//! ```text
//!   a peer that speaks the PROXY protocol ─► its header ─┐
//!                                                        ▼
//!   a peer that is a trusted HTTP proxy ───────────────► the request ─► the client
//!   any other peer ───────────────────────────────────────────────────► the client
//! ```

use std::{net::SocketAddr, sync::Arc, time::Duration};

use prism_core::{RecvBuffer, Request};

use crate::{
    connection::peer_addr::canonical,
    options::Options,
    server::{
        address_limit::{AddressLimit, Admitted, Place},
        handshake::Preface,
        plain_reply::PlainReply,
        proxies::{Proxies, proxy_protocol},
        request::RequestPeer,
    },
    tls::info::TlsInfo,
};

/// The proxies that a server trusts, and its limit on connections from one address.
pub(crate) struct Clients {
    pub(crate) proxies: Proxies,
    pub(crate) address_limit: Option<Arc<AddressLimit>>,
}

/// The address of a client during the handshake, as far as it is known.
pub(crate) struct ClientAddr {
    addr: SocketAddr,
    named_by: NamedBy,
    /// Counted once the client is known.
    place: Place,
}

/// What names the client.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NamedBy {
    /// A header of the PROXY protocol, which has yet to arrive.
    ProxyHeader,
    /// The headers of the request, which has yet to arrive.
    Request,
    /// The client is known.
    Nothing,
}

/// What arrives on a connection during its handshake.
pub(crate) struct Incoming<'a, S = ()> {
    client: &'a mut ClientAddr,
    clients: &'a Clients,
    security: S,
}

/// What a TLS handshake has left for the request. A connection without TLS has `()`, which takes no memory.
pub(crate) trait Security {
    /// Returns how long the request may take.
    fn time_left(&self, options: &Options) -> Duration;

    /// Returns what the TLS handshake has agreed on.
    fn info(&self) -> Option<Arc<TlsInfo>>;
}

impl Security for () {
    fn time_left(&self, options: &Options) -> Duration {
        options.handshake_timeout
    }

    fn info(&self) -> Option<Arc<TlsInfo>> {
        None
    }
}

impl Clients {
    /// Returns what is known of the client when a connection has been accepted, or `None` if the connection is to be
    /// dropped, because its address has far too many.
    pub(crate) fn accept(&self, peer_addr: SocketAddr) -> Option<ClientAddr> {
        let addr = canonical(peer_addr);
        let named_by = if self.proxies.sends_proxy_header(addr.ip()) {
            NamedBy::ProxyHeader
        } else {
            self.named_by_request_of(addr)
        };
        let mut client = ClientAddr { addr, named_by, place: Place::default() };
        if named_by == NamedBy::Nothing {
            match self.admit(addr) {
                Admitted::Yes(place) | Admitted::No(place) => client.place = place,
                Admitted::Dropped => return None,
            }
        }
        Some(client)
    }

    /// Returns the place of a request that another library has read. `client` is the address of the peer, and becomes
    /// that of its client. Returns the refusal if the client is not named correctly, or has too many connections.
    pub(crate) fn place_for(
        &self,
        request: &Request<'_>,
        client: &mut SocketAddr,
    ) -> Result<Place, PlainReply> {
        let is_head = request.method() == "HEAD";
        let addr = self.proxies.client(request, *client);
        *client = addr.map_err(|error| PlainReply::bad_proxy_header(error, is_head))?;
        match self.admit(*client) {
            Admitted::Yes(place) => Ok(place),
            Admitted::No(_) | Admitted::Dropped => Err(PlainReply::too_many_connections(is_head)),
        }
    }

    fn named_by_request_of(&self, addr: SocketAddr) -> NamedBy {
        if self.proxies.forwards(addr.ip()) { NamedBy::Request } else { NamedBy::Nothing }
    }

    fn admit(&self, addr: SocketAddr) -> Admitted {
        let limit = self.address_limit.as_ref();
        limit.map_or_else(|| Admitted::Yes(Place::default()), |limit| limit.admit(addr.ip()))
    }
}

impl ClientAddr {
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns whether the connection is one too many from its address.
    pub(crate) fn is_excess(&self) -> bool {
        self.place.is_refused()
    }

    /// Counts the connection until the registry reports its end.
    pub(crate) fn opened(self) {
        self.place.keep();
    }
}

impl<'a, S: Security> Incoming<'a, S> {
    pub(crate) const fn new(client: &'a mut ClientAddr, clients: &'a Clients, security: S) -> Self {
        Self { client, clients, security }
    }

    /// Returns what is known of the client, or the refusal of the request.
    pub(crate) fn client_of(&mut self, request: &Request<'_>) -> Result<RequestPeer, PlainReply> {
        if self.client.named_by == NamedBy::Request {
            let is_head = request.method() == "HEAD";
            let addr = self.clients.proxies.client(request, self.client.addr);
            let addr = addr.map_err(|error| PlainReply::bad_proxy_header(error, is_head))?;
            self.found(addr, NamedBy::Nothing, is_head)?;
        }
        Ok(RequestPeer { addr: self.client.addr, tls: self.security.info() })
    }

    /// Notes the client's address. Once it is final, counts the connection.
    fn found(
        &mut self,
        addr: SocketAddr,
        named_by: NamedBy,
        is_head: bool,
    ) -> Result<(), PlainReply> {
        (self.client.addr, self.client.named_by) = (addr, named_by);
        if named_by == NamedBy::Nothing {
            match self.clients.admit(addr) {
                Admitted::Yes(place) => self.client.place = place,
                Admitted::No(place) => {
                    self.client.place = place;
                    return Err(PlainReply::too_many_connections(is_head));
                }
                Admitted::Dropped => return Err(PlainReply::too_many_connections(is_head)),
            }
        }
        Ok(())
    }
}

/// The header of the PROXY protocol.
impl<S: Security> Preface for Incoming<'_, S> {
    fn time_left(&self, options: &Options) -> Duration {
        self.security.time_left(options)
    }

    fn receive(&mut self, received: &mut RecvBuffer) -> Result<bool, PlainReply> {
        if self.client.named_by != NamedBy::ProxyHeader {
            return Ok(true);
        }
        let header = proxy_protocol::parse(received.unparsed())
            .map_err(|error| PlainReply::bad_proxy_header(error, false))?;
        let Some(header) = header else { return Ok(false) };
        received.discard(header.len);
        match header.source {
            Some(addr) => self.found(addr, self.clients.named_by_request_of(addr), false)?,
            // The proxy itself, or a client that it cannot name. That client's request could name anyone.
            None => self.found(self.client.addr, NamedBy::Nothing, false)?,
        }
        Ok(true)
    }
}
