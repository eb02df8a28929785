//! [`Router`]: selects the answer to a request by its path.
//!
//! A path has one spelling, its [normal form](prism_core::normalize_path). The core brings it into that form where it
//! parses the request, so routes, authorization and handlers cannot see different paths.
//! [Paths](crate::server::path_map) are normalized when they are added. Parameters are decoded after the look-up, when
//! an escaped `/` cannot become a separator any more.

use std::sync::Arc;

use bytes::BytesMut;
use prism_core::{Accept, Reply, Request};

use crate::{
    connection::request_info::RouteInfo,
    runtime::Runtime,
    server::{
        active_route::ActiveRoute,
        connections::Connections,
        handshake::Upgrade,
        path_map::{Found, PathMap},
        plain_reply::PlainReply,
        request::{self, RequestPeer},
        route::Route,
        route_context::RouteContext,
        stats::NotUpgraded,
        undecided::{Page, Undecided},
        upgrade_policy::UpgradePolicy,
    },
};

/// The routes and the pages of a server that is not running yet.
pub(crate) struct Routes<R: Runtime> {
    endpoints: PathMap<usize>,
    /// The routes with their normalized paths, in the order in which they were added.
    routes: Vec<(String, Route<R>)>,
    pages: PathMap<Page>,
}

/// Selects the answer to a request.
pub(crate) struct Router<R: Runtime> {
    endpoints: PathMap<usize>,
    routes: Vec<Arc<ActiveRoute<R>>>,
    pages: PathMap<Page>,
}

/// What becomes of a request.
pub(crate) enum Decision<R: Runtime> {
    /// The request becomes a connection on this route.
    Upgrade(Upgrade<Arc<ActiveRoute<R>>>),
    Reply(PlainReply),
    /// The application decides.
    Undecided(Box<Undecided<R>>),
}

impl<R: Runtime> Routes<R> {
    pub(crate) fn new() -> Self {
        Self { endpoints: PathMap::new(), routes: Vec::new(), pages: PathMap::new() }
    }

    /// Adds a route.
    ///
    /// # Panics
    /// If the path is malformed or conflicts with an earlier one.
    pub(crate) fn websocket(&mut self, path: &str, route: Route<R>) {
        let routes = &mut self.routes;
        self.endpoints.insert(path, |path| {
            routes.push((path.to_owned(), route));
            routes.len() - 1
        });
    }

    /// Adds a page.
    ///
    /// # Panics
    /// If the path is malformed or conflicts with an earlier one.
    pub(crate) fn page(&mut self, path: &str, page: Page) {
        self.pages.insert(path, |_| page);
    }

    /// Returns the highest high-water mark that a route sets, or zero.
    pub(crate) fn high_water_mark(&self) -> usize {
        let options = self.routes.iter().filter_map(|(_, route)| route.options.as_ref());
        options.map(|options| options.high_water_mark).max().unwrap_or_default()
    }

    /// Returns the router of a running server. The routes get the server's settings where they have none of their own.
    pub(crate) fn activate(
        self,
        connections: &Arc<Connections<R>>,
        policy: &UpgradePolicy,
    ) -> Router<R> {
        let activate = |(path, route): (String, Route<R>)| {
            let options = route.options.unwrap_or_else(|| connections.options.connection.clone());
            Arc::new(ActiveRoute {
                endpoint: route.endpoint,
                policy: route.policy.or(policy),
                info: RouteInfo::new(&path, options.protocol.deflate.as_ref()),
                context: RouteContext::new(connections, options, &path),
            })
        };
        let routes = self.routes.into_iter().map(activate).collect();
        Router { endpoints: self.endpoints, routes, pages: self.pages }
    }
}

impl<R: Runtime> Router<R> {
    /// Decides on a request. If a path has both a page and a route, an upgrade request goes to the route.
    pub(crate) fn decide(&self, request: Request<'_>, peer: RequestPeer) -> Decision<R> {
        let decision = self.dispatch(request, peer);
        decision.unwrap_or_else(Decision::Reply)
    }

    fn dispatch(&self, request: Request<'_>, peer: RequestPeer) -> Result<Decision<R>, PlainReply> {
        let path = request.path();
        let (route, page) = (self.endpoints.at(path), self.pages.at(path));
        let allowed = match (&route, &page) {
            // RFC 9110 §9.3.7: "the OPTIONS request applies to the server in general".
            _ if request.path() == "*" => "GET, HEAD, OPTIONS",
            (_, Some(_)) => "GET, HEAD, OPTIONS",
            (Some(_), None) => "GET, OPTIONS",
            (None, None) => {
                let reply = Reply::text(404, "not found");
                return Err(PlainReply::new(&request, reply, NotUpgraded::NotFound));
            }
        };
        match (request.method(), route, page) {
            ("OPTIONS", ..) => {
                let reply = with_allow(Reply::new(204), allowed);
                Err(PlainReply::new(&request, reply, NotUpgraded::Page))
            }
            ("GET", Some(found), page) if page.is_none() || request.wants_upgrade() => {
                let route = &self.routes[*found.value];
                let upgraded = upgrade(&request, route, &found, peer);
                upgraded.map_err(|refusal| route.refuse(refusal))
            }
            ("GET" | "HEAD", _, Some(found)) => serve_page(&request, &found, peer),
            _ => {
                // RFC 9110 §15.5.6: "The origin server MUST generate an Allow header field".
                let text = format!("method not allowed; expected one of {allowed}\n");
                let reply = with_allow(Reply::text(405, text), allowed);
                Err(PlainReply::new(&request, reply, NotUpgraded::BadRequest))
            }
        }
    }
}

fn upgrade<R: Runtime>(
    request: &Request<'_>,
    route: &Arc<ActiveRoute<R>>,
    found: &Found<'_, '_, usize>,
    peer: RequestPeer,
) -> Result<Decision<R>, PlainReply> {
    let mut offer = request.upgrade().map_err(|error| PlainReply::refusal(request, error))?;
    let params = found.params().map_err(|error| PlainReply::malformed(request, error))?;
    route.policy.check(&mut offer)?;
    if let Some(authorize) = route.policy.authorize.clone() {
        let offer = offer.into_owned();
        let undecided = Undecided::authorization(authorize, offer, params, route.clone(), peer);
        return Ok(Decision::Undecided(Box::new(undecided)));
    }
    let config = &route.config(|| {
        let head = Arc::new(request.clone().into_owned());
        request::Request::new(head, params.clone(), peer)
    });
    let accept = match &route.policy.headers {
        Some(headers) => headers.accept(),
        None => &Accept::new(),
    };
    let (headers, subprotocol) = (request.headers().into_owned(), offer.subprotocol());
    let accept = |out: &mut BytesMut| offer.accept(accept, config, out);
    let info = |compression| {
        let (path, query) = (request.path(), request.query());
        route.info.for_request(path, query, params, subprotocol, None, compression)
    };
    Ok(Decision::Upgrade(Upgrade::new(route.clone(), headers, accept, info)))
}

fn serve_page<R: Runtime>(
    request: &Request<'_>,
    found: &Found<'_, '_, Page>,
    peer: RequestPeer,
) -> Result<Decision<R>, PlainReply> {
    let params = found.params().map_err(|error| PlainReply::malformed(request, error))?;
    let request = request.clone().into_owned();
    let undecided = Undecided::page(request, params, found.value.clone(), peer);
    Ok(Decision::Undecided(Box::new(undecided)))
}

fn with_allow(reply: Reply, methods: &str) -> Reply {
    reply.header("Allow", methods).expect("a constant name and value, both valid")
}
