//! [`RouteContext`]: what all connections of a route have in common.

use std::sync::Arc;

use crate::{
    options::Options,
    runtime::Runtime,
    server::{connections::Connections, stats::route_stats::RouteStats},
};

/// What all connections of a route have in common. Connections in their handshake, whose route is not known yet, have a
/// context with the server's settings.
pub(crate) struct RouteContext<R: Runtime> {
    pub(crate) connections: Arc<Connections<R>>,
    pub(crate) options: Options,
    pub(crate) stats: Arc<RouteStats>,
}

impl<R: Runtime> RouteContext<R> {
    /// Creates the context of a route. The route of connections in their handshake is empty.
    pub(crate) fn new(
        connections: &Arc<Connections<R>>,
        options: Options,
        route: &str,
    ) -> Arc<Self> {
        let stats = RouteStats::new(connections.stats.clone(), route);
        Arc::new(Self { connections: connections.clone(), options, stats })
    }
}
