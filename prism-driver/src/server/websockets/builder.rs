//! [`WebSocketsBuilder`]: the settings of [`WebSockets`].

use std::{fmt, marker::PhantomData, sync::Arc};

use prism_core::{InvalidHeader, Reply};

use crate::{
    options::server::ServerOptions,
    runtime::Runtime,
    server::{
        address_limit::AddressLimit,
        authorized::IntoAuthorized,
        clients::Clients,
        connections::Connections,
        origins::Origins,
        proxies::{
            ForwardedHeader, Proxies,
            networks::{InvalidNetwork, Networks},
        },
        request::Request,
        stats::ServerStats,
        upgrade_policy::{Subprotocols, UpgradePolicy},
        websockets::{Inner, ShutdownOnce, WebSockets, known_routes::KnownRoutes},
    },
};

/// Builds [`WebSockets`]. Its settings are those of a [`Server`](crate::Server) that concern requests for connections.
///
/// ```no_run
/// # use prism_driver::{Origins, Runtime, ServerOptions, WebSockets};
/// # fn example<R: Runtime + Default>() -> Result<(), Box<dyn std::error::Error>> {
/// let websockets: WebSockets<R> = WebSockets::builder()
///     .options(ServerOptions::default().max_connections(10_000))
///     .origins(Origins::these(["https://example.org"])?)
///     .build();
/// # Ok(()) }
/// ```
#[must_use]
pub struct WebSocketsBuilder<R> {
    options: ServerOptions,
    policy: UpgradePolicy,
    proxies: Proxies,
    runtime: PhantomData<fn() -> R>,
}

impl<R: Runtime> WebSockets<R> {
    /// Creates a server without a listener, with these limits. Takes [`ServerOptions`], or the
    /// [`Options`](crate::Options) of each connection. With a [builder](Self::builder), there are other settings as
    /// well.
    pub fn new(options: impl Into<ServerOptions>) -> Self
    where
        R: Default,
    {
        Self::builder().options(options).build()
    }

    /// Returns a builder, with the default settings.
    pub fn builder() -> WebSocketsBuilder<R> {
        WebSocketsBuilder::default()
    }
}

/// The default limits, without rules for requests.
impl<R: Runtime + Default> Default for WebSockets<R> {
    fn default() -> Self {
        Self::new(ServerOptions::default())
    }
}

impl<R: Runtime> WebSocketsBuilder<R> {
    /// Sets the limits. Takes [`ServerOptions`], or the [`Options`](crate::Options) of each connection, with the
    /// defaults for everything else.
    pub fn options(mut self, options: impl Into<ServerOptions>) -> Self {
        self.options = options.into();
        self
    }

    /// Sets the origins whose pages may open connections; see [`Server::origins`](crate::Server::origins).
    pub fn origins(mut self, origins: Origins) -> Self {
        self.policy.origins = Some(origins);
        self
    }

    /// Sets the supported subprotocols, for requests for which the application does not [set
    /// others](crate::PendingUpgrade::subprotocols); see [`Server::subprotocols`](crate::Server::subprotocols).
    pub fn subprotocols(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.policy.subprotocols = Some(Subprotocols::new(names, false));
        self
    }

    /// Sets the supported subprotocols, of which a client has to offer at least one; see
    /// [`Server::require_subprotocols`](crate::Server::require_subprotocols).
    pub fn require_subprotocols(
        mut self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.policy.subprotocols = Some(Subprotocols::new(names, true));
        self
    }

    /// Sets a function that authorizes each request; see [`Server::authorize`](crate::Server::authorize). (In a web
    /// framework, its own middleware may do the same.)
    pub fn authorize<F, P, A>(mut self, authorize: F) -> Self
    where
        F: Fn(Request) -> P + Send + Sync + 'static,
        P: Future<Output = Result<A, Reply>> + Send + 'static,
        A: IntoAuthorized,
    {
        self.policy.set_authorize(authorize);
        self
    }

    /// Sets a function that decides for each request whether the connection may be compressed; see
    /// [`Server::compress_for`](crate::Server::compress_for).
    pub fn compress_for(
        mut self,
        compress_for: impl Fn(&Request) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.policy.compress_for = Some(Arc::new(compress_for));
        self
    }

    /// Adds a header to the responses that accept requests, and to all refusals, except to those that have it
    /// themselves; see [`Server::header`](crate::Server::header).
    ///
    /// # Errors
    /// [`InvalidHeader`] if the header is malformed, or is one that Prism sets itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.policy.add_header(name, value)?;
        Ok(self)
    }

    /// Trusts HTTP proxies to name their clients; see [`Server::trust_proxies`](crate::Server::trust_proxies). The HTTP
    /// server has to know the [address](crate::HttpRequest::peer_addr) of the peer.
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

    /// Builds the server without a listener, for the default runtime of the type `R`.
    pub fn build(self) -> WebSockets<R>
    where
        R: Default,
    {
        self.build_on(R::default())
    }

    /// Builds the server without a listener, for a runtime.
    pub fn build_on(self, runtime: R) -> WebSockets<R> {
        let Self { options, policy, proxies, .. } = self;
        let limit = options.max_connections_per_ip;
        let address_limit = limit.map(|limit| AddressLimit::new(limit, proxies.clone()));
        let clients = Clients { proxies, address_limit: address_limit.clone() };
        let of_each = options.connection.clone();
        let connections = Connections::new(runtime, options, ServerStats::default(), address_limit);
        let routes = KnownRoutes::new(&connections, of_each);
        WebSockets(Arc::new(Inner {
            connections,
            routes,
            policy,
            clients,
            has_timers: Arc::default(),
            shutdown: ShutdownOnce::default(),
        }))
    }
}

impl<R> Default for WebSocketsBuilder<R> {
    fn default() -> Self {
        Self {
            options: ServerOptions::default(),
            policy: UpgradePolicy::default(),
            proxies: Proxies::default(),
            runtime: PhantomData,
        }
    }
}

impl<R> fmt::Debug for WebSocketsBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketsBuilder").field("options", &self.options).finish_non_exhaustive()
    }
}
