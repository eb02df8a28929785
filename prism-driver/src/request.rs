//! [`RequestInfo`]: what a connection remembers of the request that opened it.

use std::sync::Arc;

use crate::routes::Params;

/// The target, the route's parameters and the sub-protocol.
#[derive(Debug)]
pub(crate) struct RequestInfo {
    path: Box<str>,
    query: Option<Box<str>>,
    params: Box<[(Box<str>, Box<str>)]>,
    protocol: Option<Box<str>>,
}

impl RequestInfo {
    pub(crate) fn new(
        path: &str,
        query: Option<&str>,
        params: impl IntoIterator<Item = (Box<str>, Box<str>)>,
        protocol: Option<&str>,
    ) -> Self {
        Self {
            path: path.into(),
            query: query.map(Into::into),
            params: params.into_iter().collect(),
            protocol: protocol.map(Into::into),
        }
    }

    /// A path, and nothing else.
    pub(crate) fn plain(path: &str) -> Arc<Self> {
        Arc::new(Self::new(path, None, std::iter::empty(), None))
    }

    /// This one, where it says the same as a new one would: most of a route's connections share it.
    pub(crate) fn shared(
        self: &Arc<Self>,
        path: &str,
        query: Option<&str>,
        params: Params,
        protocol: Option<&str>,
    ) -> Arc<Self> {
        if *self.path == *path && query.is_none() && protocol.is_none() {
            return self.clone();
        }
        Arc::new(Self::new(path, query, params, protocol))
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
