//! [`ActiveRoute`]: a route of a running server.

use std::sync::Arc;

use prism_core::Config;

use crate::{
    connection::request_info::RouteInfo,
    runtime::Runtime,
    server::{
        endpoint::Endpoint, plain_reply::PlainReply, request::Request, route_context::RouteContext,
        upgrade_policy::UpgradePolicy,
    },
};

/// A route of a running server, with the server's settings where it has none of its own.
pub(crate) struct ActiveRoute<R: Runtime> {
    pub(crate) endpoint: Box<dyn Endpoint<R>>,
    pub(crate) policy: UpgradePolicy,
    /// What connections keep of their requests.
    pub(crate) info: RouteInfo,
    pub(crate) context: Arc<RouteContext<R>>,
}

impl<R: Runtime> ActiveRoute<R> {
    /// Returns the limits of the protocol for a connection. `request` is called only if the answer depends on it.
    pub(crate) fn config(&self, request: impl FnOnce() -> Request) -> Config {
        self.policy.config(&self.context.options, request)
    }

    /// Adds the route's headers to a refusal.
    pub(crate) fn refuse(&self, refusal: PlainReply) -> PlainReply {
        self.policy.refuse(refusal)
    }
}
