//! [`PendingUpgrade`]: a valid request for a connection, which the application has yet to accept.

use std::{any::Any, fmt, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::Response;
use prism_core::{InvalidHeader, OwnedOffer, Reply};

use crate::{
    connection::{peer_addr::canonical, request_info::Data},
    options::Options,
    runtime::{Runtime, contain::Contained, timeout::within},
    server::{
        address_limit::Place,
        authorized::Authorized,
        path_map::check_param,
        plain_reply::PlainReply,
        request::{Request, RequestPeer},
        response_headers::ResponseHeaders,
        route_context::RouteContext,
        slot::Slot,
        stats::NotUpgraded,
        websockets::{
            Inner, WebSockets,
            handshake_guard::HandshakeGuard,
            http_request::HttpRequest,
            known_routes::KnownRoute,
            opening::Opening,
            response::{refusal, response},
        },
    },
    session::Established,
};

/// A valid request for a connection, from [`WebSockets::upgrade`]. The application has yet to [accept](Self::accept)
/// it.
///
/// It counts towards the limits on connections. If the application drops it, to answer otherwise, it is counted as
/// [`unauthorized`](crate::Refused::unauthorized).
#[must_use]
pub struct PendingUpgrade<R: Runtime> {
    websockets: WebSockets<R>,
    guard: HandshakeGuard<R>,
    route: Arc<KnownRoute<R>>,
    context: Arc<RouteContext<R>>,
    offer: OwnedOffer,
    request: Request,
    peer_addr: Option<SocketAddr>,
    data: Option<Data>,
    headers: ResponseHeaders,
}

/// A request that has passed the rules that need no application code.
struct Checked {
    offer: OwnedOffer,
    request: Request,
    place: Place,
}

impl<R: Runtime> WebSockets<R> {
    /// Judges a request for a connection. It has to be a valid opening handshake of HTTP/1.1 (RFC 6455 §4.2.1), HTTP/2
    /// (RFC 8441) or HTTP/3 (RFC 9220), and may be refused because of the origin, the limits on connections, or the
    /// authorization.
    ///
    /// Cancel-safe: if you drop the future, the request is counted as [left](crate::Refused::left).
    ///
    /// # Errors
    /// Returns the response that refuses the request: that of a [`Server`](crate::Server), without what concerns only
    /// the framing of messages (`Content-Length`, `Connection: close`). Its status is 503 if there are as many
    /// connections as there may be, and from the beginning of a shutdown on.
    ///
    /// # Panics
    /// If [`Runtime::spawn`] does, as on tokio outside of a runtime: a request may start the task of the timers.
    pub async fn upgrade(
        &self,
        request: HttpRequest<'_>,
    ) -> Result<PendingUpgrade<R>, Response<Bytes>> {
        let Inner { connections, policy, .. } = &*self.0;
        connections.stats.accepted();
        let mut client = request.peer_addr.map(canonical);
        let upgrade = self.admit(request, &mut client).map_err(|reply| {
            connections.not_upgraded(client, reply.reason(), Some(reply.status()));
            refusal(&policy.refuse(reply).into_reply())
        })?;
        match policy.authorize {
            None => Ok(upgrade),
            Some(_) => upgrade.authorize().await,
        }
    }

    /// Checks a request, and holds what its connection needs. `client` is the address of the peer, and becomes that of
    /// its client if the peer is a trusted proxy.
    fn admit(
        &self,
        request: HttpRequest<'_>,
        client: &mut Option<SocketAddr>,
    ) -> Result<PendingUpgrade<R>, PlainReply> {
        let Inner { connections, routes, .. } = &*self.0;
        if self.is_shutting_down() {
            return Err(PlainReply::unavailable(NotUpgraded::Evicted));
        }
        let route = routes.get(request.route);
        let version = request.version();
        let Checked { offer, request, place } = self.check(request, client)?;
        let peer_addr = *client;
        self.ensure_timers();
        let slot = Slot::try_new(route.context.clone(), connections.options.max_connections)
            .ok_or_else(|| PlainReply::unavailable(NotUpgraded::TooManyConnections))?;
        let mut guard = HandshakeGuard::new(slot, place, peer_addr, version);
        guard.if_dropped = NotUpgraded::Unauthorized;
        Ok(PendingUpgrade {
            websockets: self.clone(),
            guard,
            context: route.context.clone(),
            route,
            offer,
            request,
            peer_addr,
            data: None,
            headers: self.0.policy.headers.clone().unwrap_or_default(),
        })
    }

    fn check(
        &self,
        http: HttpRequest<'_>,
        client: &mut Option<SocketAddr>,
    ) -> Result<Checked, PlainReply> {
        let Inner { routes, policy, clients, .. } = &*self.0;
        http.with_request(&routes.options().protocol, |request| {
            let request = request?;
            let place = match client {
                Some(client) => clients.place_for(&request, client)?,
                None => Place::default(),
            };
            let mut offer =
                request.upgrade().map_err(|error| PlainReply::refusal(&request, error))?;
            for (_, value) in &http.params {
                check_param(value).map_err(|error| PlainReply::malformed(&request, error))?;
            }
            policy.check(&mut offer)?;
            if !http.has_stream {
                return Err(PlainReply::no_stream(&request));
            }
            let offer = offer.into_owned();
            let addr = client.unwrap_or_else(|| SocketAddr::from(([0; 4], 0)));
            let peer = RequestPeer { addr, tls: http.tls.clone() };
            let request = Request::new(offer.request().clone(), http.params.clone(), peer);
            Ok(Checked { offer, request, place })
        })
    }
}

impl<R: Runtime> PendingUpgrade<R> {
    /// Returns the request. Its [`peer_addr`](Request::peer_addr) is `0.0.0.0:0` if the HTTP server [did not
    /// say](HttpRequest::peer_addr) which it is.
    #[must_use]
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// Selects the first of these subprotocols that the client offers, in place of the one that was selected before. A
    /// client that offers none of them is accepted without a subprotocol.
    pub fn subprotocols<P: AsRef<str>>(mut self, names: impl IntoIterator<Item = P>) -> Self {
        self.offer.select_subprotocol(names);
        self
    }

    /// Returns the selected subprotocol.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.offer.subprotocol()
    }

    /// Attaches data to the connection, such as its user, in place of earlier data.
    /// [`Connection::data`](crate::Connection::data) returns it.
    pub fn data<T: Any + Send + Sync>(mut self, data: T) -> Self {
        self.data = Some(Box::new(data));
        self
    }

    /// Adds a header to the response that accepts the request.
    ///
    /// # Errors
    /// [`InvalidHeader`] if the header is malformed, or is one that Prism sets itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.headers.push(name, value)?;
        Ok(self)
    }

    /// Sets limits for this connection, in place of those that all have. The connection takes about half a kilobyte
    /// more for that.
    pub fn options(mut self, options: Options) -> Self {
        let RouteContext { connections, stats, .. } = &*self.context;
        let (connections, stats) = (connections.clone(), stats.clone());
        self.context = Arc::new(RouteContext { connections, options, stats });
        self
    }

    /// Accepts the request. Send the response, and then [serve](Opening::serve) the stream.
    pub fn accept(self) -> (Response<()>, Opening<R>) {
        let Self {
            websockets,
            mut guard,
            route,
            context,
            offer,
            request,
            peer_addr,
            data,
            headers,
        } = self;
        guard.if_dropped = NotUpgraded::Left;
        guard.slot().set_route(&context);
        let config = websockets.0.policy.config(&context.options, || request.clone());
        let subprotocol = offer.subprotocol().map(Box::<str>::from);
        let (head, websocket) = offer.accept_response(headers.accept(), &config);
        let established =
            Established::new(websocket, None, Some(request.owned_headers().clone()), |agreed| {
                let (path, query) = (request.path(), request.query());
                let params = request.params().clone();
                let info = route.info(path);
                info.for_request(path, query, params, subprotocol.as_deref(), data, agreed)
            });
        let tls = request.tls_info();
        (response(&head), Opening::new(established, guard, context, peer_addr, tls))
    }

    /// Lets the application authorize the request.
    async fn authorize(mut self) -> Result<Self, Response<Bytes>> {
        let Inner { connections, policy, .. } = &*self.websockets.0;
        let Some(authorize) = &policy.authorize else { return Ok(self) };
        let request = self.request.clone();
        let authorized = Contained::call(|| authorize(request));
        self.guard.if_dropped = NotUpgraded::Left; // if the peer leaves meanwhile
        let timeout = self.context.options.handshake_timeout;
        let (reply, reason) = match within(&connections.runtime, timeout, authorized).await {
            _ if self.websockets.is_shutting_down() => {
                let reason = NotUpgraded::Evicted;
                (PlainReply::unavailable(reason).into_reply(), reason)
            }
            Some(Some(Ok(authorized))) => {
                self.guard.if_dropped = NotUpgraded::Unauthorized;
                self.grant(authorized);
                return Ok(self);
            }
            Some(Some(Err(reply))) => (reply, NotUpgraded::Unauthorized),
            Some(None) => (Reply::text(500, "internal server error"), NotUpgraded::Failed),
            None => (
                Reply::text(503, "the request took too long to answer; try again later"),
                NotUpgraded::TimedOut,
            ),
        };
        (self.guard.if_dropped, self.guard.status) = (reason, Some(reply.status()));
        let reply = policy.refuse(PlainReply::decided(reply, false, reason));
        Err(refusal(&reply.into_reply()))
    }

    fn grant(&mut self, authorized: Authorized) {
        let Authorized { data, subprotocol, headers } = authorized;
        self.data = data;
        self.headers.extend(&headers);
        if let Some(subprotocol) = subprotocol
            && self.offer.subprotocols().any(|offered| *offered == *subprotocol)
        {
            self.offer.select_subprotocol([subprotocol]);
        }
    }
}

impl<R: Runtime> fmt::Debug for PendingUpgrade<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingUpgrade").field("request", &self.request).finish_non_exhaustive()
    }
}
