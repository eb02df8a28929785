//! [`RouteContext`]: what all connections of a route have in common.

use std::sync::Arc;

use crate::{options::Options, runtime::Runtime, server::connections::Connections};

/// What all connections of a route have in common. Connections in their handshake, whose route is not known yet, have a
/// context with the server's settings.
pub(crate) struct RouteContext<R: Runtime> {
    pub(crate) connections: Arc<Connections<R>>,
    pub(crate) options: Options,
}
