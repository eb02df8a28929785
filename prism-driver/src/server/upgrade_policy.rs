//! [`UpgradePolicy`]: which requests may become connections, and with which subprotocol.

use prism_core::{Offer, Reply, Request};

use crate::server::{origins::Origins, plain_reply::PlainReply, stats::NotUpgraded};

/// Authorizes a request before it becomes a connection, or refuses it with a reply.
pub(crate) type Authorize = Box<dyn Fn(&Request<'_>) -> Result<(), Reply> + Send + Sync>;

/// The rules by which requests become connections and subprotocols are selected.
pub(crate) struct UpgradePolicy {
    /// The supported subprotocols, in order of preference.
    pub(crate) subprotocols: Vec<String>,
    /// Whether a request that offers none of these is refused.
    pub(crate) requires_subprotocol: bool,
    pub(crate) origins: Origins,
    pub(crate) authorize: Option<Authorize>,
}

impl UpgradePolicy {
    /// Creates a policy that accepts every request, without a subprotocol.
    pub(crate) fn new() -> Self {
        Self {
            subprotocols: Vec::new(),
            requires_subprotocol: false,
            origins: Origins::any(),
            authorize: None,
        }
    }

    /// Selects the subprotocol. Returns an error with the refusal if the request may not become a connection.
    pub(crate) fn check(
        &self,
        request: &Request<'_>,
        offer: &mut Offer<'_>,
    ) -> Result<(), PlainReply> {
        if offer.select_subprotocol(&self.subprotocols).is_none() && self.requires_subprotocol {
            return Err(PlainReply::malformed(request, self.missing_subprotocol()));
        }
        if !self.origins.allow(request) {
            // The answer does not repeat the origin, which an attacker may have chosen.
            let reply = Reply::text(403, "pages of this origin may not connect here");
            return Err(PlainReply::new(request, reply, NotUpgraded::Forbidden));
        }
        if let Some(authorize) = &self.authorize {
            let refusal = |reply| PlainReply::new(request, reply, NotUpgraded::Unauthorized);
            authorize(request).map_err(refusal)?;
        }
        Ok(())
    }

    fn missing_subprotocol(&self) -> String {
        let names = self.subprotocols.join(", ");
        format!("no subprotocol in common; expected one of \"{names}\" in Sec-WebSocket-Protocol")
    }
}
