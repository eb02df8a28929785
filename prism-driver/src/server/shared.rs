//! [`ServerShared`]: the state that the tasks of a server share.

use std::sync::Arc;

use crate::{
    runtime::Network,
    server::{
        admission::Admission, clients::Clients, connections::Connections,
        route_context::RouteContext, router::Router,
    },
    tls::server::TlsServer,
};

/// The state that the tasks of a server share.
pub(crate) struct ServerShared<N: Network> {
    pub(crate) connections: Arc<Connections<N>>,
    pub(crate) router: Router<N>,
    pub(crate) admission: Admission<N>,
    pub(crate) clients: Clients,
    /// The context of the connections that are in their handshake.
    pub(crate) context: Arc<RouteContext<N>>,
    pub(crate) tls: Option<TlsServer>,
}

impl<N: Network> ServerShared<N> {
    pub(crate) fn new(
        connections: Arc<Connections<N>>,
        router: Router<N>,
        clients: Clients,
        tls: Option<TlsServer>,
    ) -> Arc<Self> {
        let admission = Admission::new(connections.clone(), tls.is_some());
        let options = connections.options.connection.clone();
        let context = RouteContext::new(&connections, options, "");
        Arc::new(Self { connections, router, admission, clients, context, tls })
    }

    pub(crate) fn network(&self) -> &N {
        &self.connections.runtime
    }
}
