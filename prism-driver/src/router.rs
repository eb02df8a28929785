//! [`Router`]: what a request gets, by its path.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use matchit::Match;
use prism_core::{HandshakeError, Reply, Request};

use crate::{
    greet::Upgrade, options::Options, origins::Origins, plain_answer::PlainAnswer,
    request::RequestInfo, stats::Unopened,
};

/// Makes the answer to a plain HTTP request.
pub(crate) type Page = Box<dyn Fn(&Request<'_>) -> Reply + Send + Sync>;

/// Judges a request before it becomes a connection.
pub(crate) type Authorize = Box<dyn Fn(&Request<'_>) -> Result<(), Reply> + Send + Sync>;

/// Routes to WebSocket endpoints (`E`) and to pages.
pub(crate) struct Router<E> {
    endpoints: matchit::Router<Route<E>>,
    pages: matchit::Router<Page>,
    pub(crate) protocols: Vec<String>,
    pub(crate) origins: Origins,
    pub(crate) authorize: Option<Authorize>,
}

struct Route<E> {
    endpoint: E,
    /// What its connections remember of a request that had no more to say than its path.
    info: Arc<RequestInfo>,
}

impl<E: Clone> Router<E> {
    pub(crate) fn new() -> Self {
        Self {
            endpoints: matchit::Router::new(),
            pages: matchit::Router::new(),
            protocols: Vec::new(),
            origins: Origins::any(),
            authorize: None,
        }
    }

    /// # Panics
    /// If the path is malformed, or is taken already.
    pub(crate) fn web_socket(&mut self, path: &str, endpoint: E) {
        insert(&mut self.endpoints, path, Route { endpoint, info: RequestInfo::plain(path) });
    }

    /// # Panics
    /// If the path is malformed, or is taken already.
    pub(crate) fn page(&mut self, path: &str, page: Page) {
        insert(&mut self.pages, path, page);
    }

    /// What the request gets: 500 if a page or the authorisation panics.
    pub(crate) fn decide(
        &self,
        request: Request<'_>,
        options: &Options,
    ) -> Result<Upgrade<E>, PlainAnswer> {
        let decided = catch_unwind(AssertUnwindSafe(|| self.route(request, options)));
        decided.unwrap_or_else(|_| {
            let reply = Reply::text(500, "internal error");
            Err(PlainAnswer::new(&request, reply, Unopened::Failed))
        })
    }

    /// A path may have both a page and an endpoint: who asks for an upgrade gets the endpoint.
    fn route(&self, request: Request<'_>, options: &Options) -> Result<Upgrade<E>, PlainAnswer> {
        let endpoint = self.endpoints.at(request.path());
        let page = self.pages.at(request.path());
        match (endpoint, page) {
            (Ok(found), Err(_)) => self.upgrade(request, found, options),
            (Ok(found), Ok(_)) if request.wants_upgrade() => self.upgrade(request, found, options),
            (_, Ok(page)) => Err(serve_page(&request, page.value)),
            (Err(_), Err(_)) => {
                let reply = Reply::text(404, "no such page");
                Err(PlainAnswer::new(&request, reply, Unopened::NotFound))
            }
        }
    }

    fn upgrade(
        &self,
        request: Request<'_>,
        found: Match<'_, '_, &Route<E>>,
        options: &Options,
    ) -> Result<Upgrade<E>, PlainAnswer> {
        let offer = request.upgrade().map_err(|error| PlainAnswer::refusal(&request, error))?;
        if !self.origins.allow(&request) {
            // It is not repeated: who reads this is not who sent it.
            let reply = Reply::text(403, "pages of this origin may not connect here");
            return Err(PlainAnswer::new(&request, reply, Unopened::Forbidden));
        }
        if let Some(authorize) = &self.authorize {
            let refusal = |reply| PlainAnswer::new(&request, reply, Unopened::Unauthorized);
            authorize(&request).map_err(refusal)?;
        }
        let Route { endpoint, info } = found.value;
        let params = found.params.iter();
        Ok(Upgrade::accept(offer, endpoint.clone(), info, params, &self.protocols, options))
    }
}

fn serve_page(request: &Request<'_>, page: &Page) -> PlainAnswer {
    match request.method() {
        "GET" | "HEAD" => PlainAnswer::new(request, page(request), Unopened::Page),
        _ => PlainAnswer::refusal(request, HandshakeError::MethodNotAllowed),
    }
}

fn insert<V>(router: &mut matchit::Router<V>, path: &str, value: V) {
    if let Err(error) = router.insert(path, value) {
        panic!("route {path:?}: {error}");
    }
}
