//! [`RouteContext`]: what all connections of a route have in common.

use std::sync::Arc;

use crate::{options::Options, runtime::Runtime, server::websockets::WebSockets};

/// What all connections of a route have in common. Those in their handshake have the server's.
pub(crate) struct RouteContext<R: Runtime> {
    pub(crate) websockets: Arc<WebSockets<R>>,
    pub(crate) options: Options,
}
