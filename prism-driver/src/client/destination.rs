//! [`Destination`]: where a client connects to, and what it asks for there.

use prism_core::ClientRequest;

use crate::{
    client::{
        redirects::{InvalidRedirect, next_url},
        url::{InvalidUrl, Url},
    },
    error::{connect::ConnectError, refusal::Refusal},
};

/// The headers that go along to another origin.
///
/// Lists of headers that stay, such as `Authorization` and `Cookie`, would miss the `X-Api-Key` of some service.
/// `Origin` stays as well: browsers send `null` after such a redirect, because it was not the page that chose the new
/// server.
const GO_ALONG: [&str; 1] = ["User-Agent"];

/// A URL, and the request that is sent there.
#[derive(Clone)]
pub(crate) struct Destination {
    pub(crate) url: Url,
    pub(crate) request: ClientRequest,
    /// Whether all redirects so far have stayed at the client's own origin. Otherwise the client's secrets stay behind.
    pub(crate) keeps_secrets: bool,
}

impl Destination {
    pub(crate) fn parse(url: &str) -> Result<Self, ConnectError> {
        let url = Url::parse(url)?;
        let request = ClientRequest::new(&url.authority, &url.target)?;
        Ok(Self { url, request, keeps_secrets: true })
    }

    /// Returns where a redirect leads to, which was the response to this request.
    pub(crate) fn redirected(&self, refusal: &Refusal) -> Result<Self, InvalidRedirect> {
        let url = next_url(&self.url, refusal.values("Location"))?;
        let request = self.request.redirected(&url.authority, &url.target);
        let request = request.map_err(|_| InvalidUrl::new("it cannot be requested"))?;
        let same_origin = url.is_same_origin(&self.url);
        let request = if same_origin { request } else { request.keep_headers(&GO_ALONG) };
        Ok(Self { url, request, keeps_secrets: self.keeps_secrets && same_origin })
    }
}
