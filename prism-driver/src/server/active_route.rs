//! [`ActiveRoute`]: a route of a running server.

use std::sync::Arc;

use crate::{
    connection::request::RequestInfo,
    options::Options,
    runtime::Runtime,
    server::{
        endpoint::Endpoint, plain_reply::PlainReply, upgrade_policy::UpgradePolicy,
        websockets::WebSockets,
    },
};

/// A route of a running server, with the server's settings where it has none of its own.
pub(crate) struct ActiveRoute<R: Runtime> {
    pub(crate) endpoint: Box<dyn Endpoint<R>>,
    pub(crate) policy: UpgradePolicy,
    /// What connections keep of a request without query, parameters and subprotocol. They share it.
    pub(crate) info: Arc<RequestInfo>,
    pub(crate) context: Arc<RouteContext<R>>,
}

/// What all connections of a route have in common. Those in their handshake have the server's.
pub(crate) struct RouteContext<R: Runtime> {
    pub(crate) websockets: Arc<WebSockets<R>>,
    pub(crate) options: Options,
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
