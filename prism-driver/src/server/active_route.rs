//! [`ActiveRoute`]: a route of a running server.

use std::sync::Arc;

use crate::{
    connection::request_info::RequestInfo,
    runtime::Runtime,
    server::{
        endpoint::Endpoint, plain_reply::PlainReply, route_context::RouteContext,
        upgrade_policy::UpgradePolicy,
    },
};

/// A route of a running server, with the server's settings where it has none of its own.
pub(crate) struct ActiveRoute<R: Runtime> {
    pub(crate) endpoint: Box<dyn Endpoint<R>>,
    pub(crate) policy: UpgradePolicy,
    /// What a connection keeps of its request if that has no query, parameters, subprotocol or data. All such
    /// connections share it.
    pub(crate) info: Arc<RequestInfo>,
    pub(crate) context: Arc<RouteContext<R>>,
}

impl<R: Runtime> ActiveRoute<R> {
    /// Adds the route's headers to a refusal.
    pub(crate) fn refuse(&self, refusal: PlainReply) -> PlainReply {
        match &self.policy.headers {
            None => refusal,
            Some(headers) => refusal.map(|reply| headers.add_to(reply)),
        }
    }
}
