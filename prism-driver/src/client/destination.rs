//! [`Destination`]: where a client connects to, and what it asks for there.

use prism_core::ClientRequest;

use crate::{
    client::{
        redirects::{InvalidRedirect, next_url},
        url::{InvalidUrl, Url},
    },
    error::{connect::ConnectError, refusal::Refusal},
};

/// The headers that go along to another origin: those that say who asks, and are no secret.
///
/// Lists of headers that stay, such as `Authorization` and `Cookie`, would miss the `X-Api-Key` of some service.
const GO_ALONG: [&str; 2] = ["Origin", "User-Agent"];

/// A URL, and the request that is sent there.
#[derive(Clone)]
pub(crate) struct Destination {
    pub(crate) url: Url,
    pub(crate) request: ClientRequest,
}

impl Destination {
    pub(crate) fn parse(url: &str) -> Result<Self, ConnectError> {
        let url = Url::parse(url)?;
        let request = ClientRequest::new(&url.authority, &url.target)?;
        Ok(Self { url, request })
    }

    /// Returns where a redirect leads to, which was the response to this request.
    pub(crate) fn redirected(&self, refusal: &Refusal) -> Result<Self, InvalidRedirect> {
        let url = next_url(&self.url, refusal.values("Location"))?;
        let request = self.request.redirected(&url.authority, &url.target);
        let request = request.map_err(|_| InvalidUrl::new("it cannot be requested"))?;
        let same_origin = url.is_same_origin(&self.url);
        let request = if same_origin { request } else { request.keep_headers(&GO_ALONG) };
        Ok(Self { url, request })
    }
}
