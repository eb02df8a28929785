//! [`OriginPattern`]: an origin, or the origins one label below it.

use crate::server::origins::origin::Origin;

/// An element of a list of allowed origins.
#[derive(Clone, Debug)]
pub(super) enum OriginPattern {
    Exact(Origin),
    /// The origins whose hosts are one label below that of this origin.
    Subdomains(Origin),
}

impl OriginPattern {
    pub(super) fn parse(pattern: &str) -> Option<Self> {
        let Some((scheme, parent)) = pattern.split_once("://*.") else {
            return Origin::parse(pattern.as_bytes()).map(Self::Exact);
        };
        let parent = Origin::parse(format!("{scheme}://{parent}").as_bytes())?;
        matches!(&parent, Origin::Host { host, .. } if is_name(host))
            .then_some(Self::Subdomains(parent))
    }

    pub(super) fn covers(&self, origin: &Origin) -> bool {
        match (self, origin) {
            (Self::Exact(listed), origin) => listed == origin,
            (
                Self::Subdomains(Origin::Host {
                    scheme: parent_scheme,
                    host: parent_host,
                    port: parent_port,
                }),
                Origin::Host { scheme, host, port },
            ) => {
                let is_subdomain = host
                    .split_once('.')
                    .is_some_and(|(label, parent)| !label.is_empty() && parent == parent_host);
                is_subdomain && scheme == parent_scheme && port == parent_port
            }
            (Self::Subdomains(_), _) => false,
        }
    }
}

/// Returns whether a host is a name, not an IP address. Addresses have no subdomains, although the text `127.0.0.1`
/// ends in `.0.0.1`.
fn is_name(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    !host.starts_with('[') && last.bytes().any(|byte| byte.is_ascii_alphabetic())
}
