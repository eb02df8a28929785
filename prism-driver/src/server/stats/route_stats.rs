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
    #[expect(dead_code, reason = "events will name it")]
    pub(crate) route: Box<str>,
}

impl RouteStats {
    pub(crate) fn new(server: ServerStats, route: &str) -> Arc<Self> {
        Arc::new(Self { server, route: route.into() })
    }
}
