//! [`RouteStats`]: where the connections of a route are counted.

use std::sync::Arc;

use crate::server::stats::ServerStats;

/// The counters for the connections of a route, and the route's name. Each connection has a handle to the one of its
/// route. (The counters are the server's.)
#[derive(Debug)]
pub(crate) struct RouteStats {
    pub(crate) server: ServerStats,
    /// The route as it was added to the server, in its normalized form. Unlike the path of a request, it is not the
    /// peer's text.
    #[cfg(feature = "tracing")]
    pub(crate) route: Arc<str>,
}

impl RouteStats {
    #[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "only events name it"))]
    pub(crate) fn new(server: ServerStats, route: &str) -> Arc<Self> {
        Arc::new(Self {
            server,
            #[cfg(feature = "tracing")]
            route: route.into(),
        })
    }
}
