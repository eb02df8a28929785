//! [`Router`]: selects the answer to a request by its path.
//!
//! A path has one spelling, its [normal form](prism_core::normalize_path). The core brings it into that form where it
//! parses the request, so routes, authorization and handlers cannot see different paths.
//! [Paths](crate::server::path_map) are normalized when they are added. Parameters are decoded after the look-up, when
//! an escaped `/` cannot become a separator any more.

use std::sync::Arc;

use prism_core::{Reply, Request};

use crate::{
    connection::request::RequestInfo,
    options::Options,
    runtime::contain::contain,
    server::{
        handshake::Upgrade,
        path_map::{Found, PathMap},
        plain_reply::PlainReply,
        stats::NotUpgraded,
        upgrade_policy::UpgradePolicy,
    },
};

/// Makes the answer to a plain HTTP request.
pub(crate) type Page = Box<dyn Fn(&Request<'_>) -> Reply + Send + Sync>;

/// Routes to WebSocket endpoints (`E`) and to pages.
pub(crate) struct Router<E> {
    endpoints: PathMap<Route<E>>,
    pages: PathMap<Page>,
}

struct Route<E> {
    endpoint: E,
    /// The information that connections keep of a request without query, parameters and subprotocol. They share it.
    info: Arc<RequestInfo>,
}

impl<E: Clone> Router<E> {
    pub(crate) fn new() -> Self {
        Self { endpoints: PathMap::new(), pages: PathMap::new() }
    }

    /// Adds an endpoint.
    ///
    /// # Panics
    /// If the path is malformed or conflicts with an earlier one.
    pub(crate) fn websocket(&mut self, path: &str, endpoint: E) {
        self.endpoints.insert(path, |path| Route { endpoint, info: RequestInfo::plain(path) });
    }

    /// Adds a page.
    ///
    /// # Panics
    /// If the path is malformed or conflicts with an earlier one.
    pub(crate) fn page(&mut self, path: &str, page: Page) {
        self.pages.insert(path, |_| page);
    }

    /// Selects the answer to a request. If a page's function or the authorization function panics, the answer is a
    /// 500.
    pub(crate) fn decide(
        &self,
        request: Request<'_>,
        policy: &UpgradePolicy,
        options: &Options,
    ) -> Result<Upgrade<E>, PlainReply> {
        contain(|| self.dispatch(&request, policy, options)).unwrap_or_else(|| {
            let reply = Reply::text(500, "internal server error");
            Err(PlainReply::new(&request, reply, NotUpgraded::Failed))
        })
    }

    /// Dispatches a request. If a path has both a page and an endpoint, an upgrade request goes to the endpoint.
    fn dispatch(
        &self,
        request: &Request<'_>,
        policy: &UpgradePolicy,
        options: &Options,
    ) -> Result<Upgrade<E>, PlainReply> {
        let endpoint = self.endpoints.at(request.path());
        let page = self.pages.at(request.path());
        let allowed = match (&endpoint, &page) {
            // RFC 9110 §9.3.7: "the OPTIONS request applies to the server in general".
            _ if request.path() == "*" => "GET, HEAD, OPTIONS",
            (_, Some(_)) => "GET, HEAD, OPTIONS",
            (Some(_), None) => "GET, OPTIONS",
            (None, None) => {
                let reply = Reply::text(404, "not found");
                return Err(PlainReply::new(request, reply, NotUpgraded::NotFound));
            }
        };
        match (request.method(), endpoint, page) {
            ("OPTIONS", ..) => {
                let reply = with_allow(Reply::new(204), allowed);
                Err(PlainReply::new(request, reply, NotUpgraded::Page))
            }
            ("GET", Some(found), None) => upgrade(request, &found, policy, options),
            ("GET", Some(found), Some(_)) if request.wants_upgrade() => {
                upgrade(request, &found, policy, options)
            }
            ("GET" | "HEAD", _, Some(found)) => Err(serve_page(request, &found)),
            _ => {
                // RFC 9110 §15.5.6: "The origin server MUST generate an Allow header field".
                let text = format!("method not allowed; expected one of {allowed}\n");
                let reply = with_allow(Reply::text(405, text), allowed);
                Err(PlainReply::new(request, reply, NotUpgraded::BadRequest))
            }
        }
    }
}

fn upgrade<E: Clone>(
    request: &Request<'_>,
    found: &Found<'_, '_, Route<E>>,
    policy: &UpgradePolicy,
    options: &Options,
) -> Result<Upgrade<E>, PlainReply> {
    let mut offer = request.upgrade().map_err(|error| PlainReply::refusal(request, error))?;
    let params = found.params().map_err(|error| PlainReply::malformed(request, error))?;
    policy.check(request, &mut offer)?;
    let Route { endpoint, info } = found.value;
    Ok(Upgrade::accept(offer, endpoint.clone(), info, params, options))
}

fn serve_page(request: &Request<'_>, found: &Found<'_, '_, Page>) -> PlainReply {
    match found.params() {
        Ok(_) => PlainReply::new(request, (found.value)(request), NotUpgraded::Page),
        Err(error) => PlainReply::malformed(request, error),
    }
}

fn with_allow(reply: Reply, methods: &str) -> Reply {
    reply.header("Allow", methods).expect("a constant name and value, both valid")
}
