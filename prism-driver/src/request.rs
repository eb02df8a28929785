//! [`RequestInfo`]: what a connection remembers of the request that opened it.

/// The target, the route's parameters and the sub-protocol, in as little memory as they take.
#[derive(Debug, Default)]
pub(crate) struct RequestInfo {
    path: Box<str>,
    query: Option<Box<str>>,
    params: Box<[(Box<str>, Box<str>)]>,
    protocol: Option<Box<str>>,
}

impl RequestInfo {
    pub(crate) fn new<'p>(
        path: &str,
        query: Option<&str>,
        params: impl Iterator<Item = (&'p str, &'p str)>,
        protocol: Option<&str>,
    ) -> Self {
        Self {
            path: path.into(),
            query: query.map(Into::into),
            params: params.map(|(name, value)| (name.into(), value.into())).collect(),
            protocol: protocol.map(Into::into),
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| **n == *name).map(|(_, value)| &**value)
    }

    pub(crate) fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }
}

/// Header lines that outlive the head they came in.
pub(crate) type Headers = Box<[(Box<str>, Box<[u8]>)]>;

/// Copies header lines out of the receive buffer.
pub(crate) fn owned(headers: prism_core::Headers<'_>) -> Headers {
    headers.iter().map(|(name, value)| (name.into(), value.into())).collect()
}
