//! [`Undecided`]: a request on which the application decides, by a page's function or by authorization.
//!
//! Both are futures, which run while the handshake is in progress.

use std::sync::Arc;

use bytes::BytesMut;
use prism_core::{Config, OwnedOffer, OwnedRequest, Reply};

use crate::{
    runtime::{
        Runtime,
        contain::{BoxFuture, Contained},
    },
    server::{
        active_route::ActiveRoute,
        authorized::Authorized,
        handshake::Upgrade,
        path_map::Params,
        plain_reply::PlainReply,
        request::{Request, RequestPeer},
        stats::NotUpgraded,
        upgrade_policy::Authorize,
    },
};

/// Makes the answer to a plain HTTP request.
pub(crate) type Page = Arc<dyn Fn(Request) -> BoxFuture<Reply> + Send + Sync>;

/// A request on which the application decides.
pub(crate) struct Undecided<R: Runtime> {
    request: Request,
    question: Question<R>,
}

enum Question<R: Runtime> {
    /// The answer is a page.
    Page(Page),
    /// The request becomes a connection if this function allows it.
    Authorization {
        authorize: Authorize,
        offer: OwnedOffer,
        params: Params,
        route: Arc<ActiveRoute<R>>,
    },
}

/// The application's decision: the request becomes a connection, or gets this answer.
pub(crate) type Outcome<R> = Result<Upgrade<Arc<ActiveRoute<R>>>, PlainReply>;

impl<R: Runtime> Undecided<R> {
    /// Creates the request for a page.
    pub(crate) fn page(
        request: OwnedRequest,
        params: Params,
        page: Page,
        peer: RequestPeer,
    ) -> Self {
        let request = Request::new(Arc::new(request), params, peer);
        Self { request, question: Question::Page(page) }
    }

    /// Creates an upgrade request that has to be authorized.
    pub(crate) fn authorization(
        authorize: Authorize,
        offer: OwnedOffer,
        params: Params,
        route: Arc<ActiveRoute<R>>,
        peer: RequestPeer,
    ) -> Self {
        let request = Request::new(offer.request().clone(), params.clone(), peer);
        Self { request, question: Question::Authorization { authorize, offer, params, route } }
    }

    /// Returns whether this is an upgrade request.
    pub(crate) const fn is_upgrade(&self) -> bool {
        matches!(self.question, Question::Authorization { .. })
    }

    /// Returns the answer to send if the application does not decide within the handshake timeout.
    pub(crate) fn timeout(&self) -> PlainReply {
        let reply = Reply::text(503, "the request took too long to answer; try again later");
        let reply = PlainReply::decided(reply, self.is_head(), NotUpgraded::TimedOut);
        match &self.question {
            Question::Page(_) => reply,
            Question::Authorization { route, .. } => route.refuse(reply),
        }
    }

    /// Lets the application decide. If that panics, the answer is a 500.
    pub(crate) async fn decide(self) -> Outcome<R> {
        let head_only = self.is_head();
        let Self { request, question } = self;
        match question {
            Question::Page(page) => {
                let reply = Contained::call(|| page(request)).await;
                Err(match reply {
                    Some(reply) => PlainReply::decided(reply, head_only, NotUpgraded::Page),
                    None => PlainReply::decided(internal_error(), head_only, NotUpgraded::Failed),
                })
            }
            Question::Authorization { authorize, offer, params, route } => {
                let config = route.config(|| request.clone());
                let authorized = Contained::call(|| authorize(request)).await;
                let refuse =
                    |reply, reason| route.refuse(PlainReply::decided(reply, false, reason));
                match authorized {
                    Some(Ok(authorized)) => Ok(accept(offer, params, route, &config, authorized)),
                    Some(Err(reply)) => Err(refuse(reply, NotUpgraded::Unauthorized)),
                    None => Err(refuse(internal_error(), NotUpgraded::Failed)),
                }
            }
        }
    }

    fn is_head(&self) -> bool {
        self.request.method() == "HEAD"
    }
}

/// Accepts an offer that has been authorized.
fn accept<R: Runtime>(
    mut offer: OwnedOffer,
    params: Params,
    route: Arc<ActiveRoute<R>>,
    config: &Config,
    authorized: Authorized,
) -> Upgrade<Arc<ActiveRoute<R>>> {
    let Authorized { data, subprotocol, headers } = authorized;
    if let Some(subprotocol) = subprotocol
        && offer.subprotocols().any(|offered| *offered == *subprotocol)
    {
        offer.select_subprotocol([subprotocol]);
    }
    let mut all = route.policy.headers.clone().unwrap_or_default();
    all.extend(&headers);
    let request = offer.request().clone();
    let headers = request.owned_headers().clone();
    let subprotocol = offer.subprotocol().map(Box::<str>::from);
    let accept = |out: &mut BytesMut| offer.accept(all.accept(), config, out);
    let info = |compression| {
        let (path, query) = (request.path(), request.query());
        route.info.for_request(path, query, params, subprotocol.as_deref(), data, compression)
    };
    Upgrade::new(route.clone(), headers, accept, info)
}

fn internal_error() -> Reply {
    Reply::text(500, "internal server error")
}
