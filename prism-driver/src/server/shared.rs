//! [`ServerShared`]: the state that the tasks of a server share.

use std::sync::Arc;

use crate::{
    runtime::Network,
    server::{
        admission::Admission, clients::Clients, route_context::RouteContext, router::Router,
        websockets::WebSockets,
    },
    tls::server::TlsServer,
};

/// The state that the tasks of a server share.
pub(crate) struct ServerShared<N: Network> {
    pub(crate) websockets: Arc<WebSockets<N>>,
    pub(crate) router: Router<N>,
    pub(crate) admission: Admission<N>,
    pub(crate) clients: Clients,
    /// The context of the connections that are in their handshake.
    pub(crate) context: Arc<RouteContext<N>>,
    pub(crate) tls: Option<TlsServer>,
}

impl<N: Network> ServerShared<N> {
    pub(crate) fn new(
        websockets: Arc<WebSockets<N>>,
        router: Router<N>,
        clients: Clients,
        tls: Option<TlsServer>,
    ) -> Arc<Self> {
        let admission = Admission::new(websockets.clone(), tls.is_some());
        let options = websockets.options.connection.clone();
        let context = RouteContext::new(&websockets, options, "");
        Arc::new(Self { websockets, router, admission, clients, context, tls })
    }

    pub(crate) fn network(&self) -> &N {
        &self.websockets.runtime
    }
}
