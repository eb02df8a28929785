//! [`UpgradePolicy`]: which requests may become connections, and with which subprotocol.

use std::sync::Arc;

use prism_core::{Config, InvalidHeader, Offer, Reply};

use crate::{
    options::Options,
    runtime::contain::{BoxFuture, contain},
    server::{
        authorized::{Authorized, IntoAuthorized},
        origins::Origins,
        plain_reply::PlainReply,
        request::Request,
        response_headers::ResponseHeaders,
        stats::NotUpgraded,
    },
};

/// Authorizes a request before it becomes a connection, or refuses it with a reply.
pub(crate) type Authorize =
    Arc<dyn Fn(Request) -> BoxFuture<Result<Authorized, Reply>> + Send + Sync>;

/// Returns whether to compress the messages of the connection that a request opens.
pub(crate) type CompressFor = Arc<dyn Fn(&Request) -> bool + Send + Sync>;

/// The rules by which requests become connections and subprotocols are selected. A rule that a route does not set is
/// the server's. A server without rules accepts every request, without a subprotocol.
#[derive(Clone, Default)]
pub(crate) struct UpgradePolicy {
    pub(crate) subprotocols: Option<Subprotocols>,
    pub(crate) origins: Option<Origins>,
    pub(crate) authorize: Option<Authorize>,
    pub(crate) headers: Option<ResponseHeaders>,
    pub(crate) compress_for: Option<CompressFor>,
}

/// The supported subprotocols.
#[derive(Clone)]
pub(crate) struct Subprotocols {
    /// The names, in order of preference.
    names: Vec<String>,
    /// Whether a request that offers none of these is refused.
    required: bool,
}

impl UpgradePolicy {
    /// Returns this policy, with the server's rules in place of those that are not set.
    pub(crate) fn or(self, server: &Self) -> Self {
        let server = server.clone();
        Self {
            subprotocols: self.subprotocols.or(server.subprotocols),
            origins: self.origins.or(server.origins),
            authorize: self.authorize.or(server.authorize),
            headers: self.headers.or(server.headers),
            compress_for: self.compress_for.or(server.compress_for),
        }
    }

    /// Sets the function that authorizes requests.
    pub(crate) fn set_authorize<F, P, A>(&mut self, authorize: F)
    where
        F: Fn(Request) -> P + Send + Sync + 'static,
        P: Future<Output = Result<A, Reply>> + Send + 'static,
        A: IntoAuthorized,
    {
        self.authorize = Some(Arc::new(move |request| {
            let authorized = authorize(request);
            Box::pin(async { authorized.await.map(A::grant) })
        }));
    }

    /// Adds a header to the responses to upgrade requests.
    pub(crate) fn add_header(&mut self, name: &str, value: &str) -> Result<(), InvalidHeader> {
        self.headers.get_or_insert_default().push(name, value)
    }

    /// Returns the limits of the protocol for a connection. `request` is called only if the answer depends on it.
    pub(crate) fn config(&self, options: &Options, request: impl FnOnce() -> Request) -> Config {
        let mut config = options.config();
        if config.deflate.is_some()
            && let Some(compress_for) = &self.compress_for
            && contain(|| compress_for(&request())) != Some(true)
        {
            config.deflate = None;
        }
        config
    }

    /// Adds the headers of responses to a refusal.
    pub(crate) fn refuse(&self, refusal: PlainReply) -> PlainReply {
        match &self.headers {
            None => refusal,
            Some(headers) => refusal.map(|reply| headers.add_to(reply)),
        }
    }

    /// Selects the subprotocol. Returns an error with the refusal if the request may not become a connection.
    pub(crate) fn check(&self, offer: &mut Offer<'_>) -> Result<(), PlainReply> {
        if let Some(subprotocols) = &self.subprotocols
            && offer.select_subprotocol(&subprotocols.names).is_none()
            && subprotocols.required
        {
            return Err(PlainReply::malformed(offer.request(), subprotocols.missing()));
        }
        if self.origins.as_ref().is_some_and(|origins| !origins.allow(offer.request())) {
            // The answer does not repeat the origin, which an attacker may have chosen.
            let reply = Reply::text(403, "pages of this origin may not connect here");
            return Err(PlainReply::new(offer.request(), reply, NotUpgraded::Forbidden));
        }
        Ok(())
    }
}

impl Subprotocols {
    pub(crate) fn new(names: impl IntoIterator<Item = impl Into<String>>, required: bool) -> Self {
        Self { names: names.into_iter().map(Into::into).collect(), required }
    }

    fn missing(&self) -> String {
        let names = self.names.join(", ");
        format!("no subprotocol in common; expected one of \"{names}\" in Sec-WebSocket-Protocol")
    }
}
