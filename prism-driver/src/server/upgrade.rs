//! [`UpgradePolicy`]: which requests may become connections, and with which sub-protocol.

use prism_core::{Offer, Reply, Request};

use crate::server::{origins::Origins, plain_answer::PlainAnswer, stats::Unopened};

/// Judges a request before it becomes a connection.
pub(crate) type Authorize = Box<dyn Fn(&Request<'_>) -> Result<(), Reply> + Send + Sync>;

/// Which requests may become connections, and with which sub-protocol.
pub(crate) struct UpgradePolicy {
    /// The preferred one first.
    pub(crate) subprotocols: Vec<String>,
    /// Whether a request without one of these is refused.
    pub(crate) requires_subprotocol: bool,
    pub(crate) origins: Origins,
    pub(crate) authorize: Option<Authorize>,
}

impl UpgradePolicy {
    /// Lets every request become a connection, without a sub-protocol.
    pub(crate) fn new() -> Self {
        Self {
            subprotocols: Vec::new(),
            requires_subprotocol: false,
            origins: Origins::any(),
            authorize: None,
        }
    }

    /// Selects the sub-protocol, and returns the refusal of a request that may not become a connection.
    pub(crate) fn check(
        &self,
        request: &Request<'_>,
        offer: &mut Offer<'_>,
    ) -> Result<(), PlainAnswer> {
        if offer.select_subprotocol(&self.subprotocols).is_none() && self.requires_subprotocol {
            return Err(PlainAnswer::malformed(request, self.missing_subprotocol()));
        }
        if !self.origins.allow(request) {
            // The origin is not repeated: the reader of this is not the one that sent it.
            let reply = Reply::text(403, "pages of this origin may not connect here");
            return Err(PlainAnswer::new(request, reply, Unopened::Forbidden));
        }
        if let Some(authorize) = &self.authorize {
            let refusal = |reply| PlainAnswer::new(request, reply, Unopened::Unauthorized);
            authorize(request).map_err(refusal)?;
        }
        Ok(())
    }

    fn missing_subprotocol(&self) -> String {
        let names = self.subprotocols.join(", ");
        format!("no sub-protocol in common; expected one of \"{names}\" in Sec-WebSocket-Protocol")
    }
}
