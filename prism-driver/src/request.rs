//! [`RequestInfo`]: what a connection remembers of the request that opened it.

/// The target, the route's parameters and the sub-protocol, in as little memory as they take.
#[derive(Debug)]
pub(crate) struct RequestInfo {
    path: Box<str>,
    /// What most requests do not have.
    more: Option<Box<More>>,
}

#[derive(Debug)]
struct More {
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
        let more = More {
            query: query.map(Into::into),
            params: params.map(|(name, value)| (name.into(), value.into())).collect(),
            protocol: protocol.map(Into::into),
        };
        let any = more.query.is_some() || more.protocol.is_some() || !more.params.is_empty();
        Self { path: path.into(), more: any.then(|| Box::new(more)) }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.more.as_ref()?.query.as_deref()
    }

    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        let params = &self.more.as_ref()?.params;
        params.iter().find(|(n, _)| **n == *name).map(|(_, value)| &**value)
    }

    pub(crate) fn protocol(&self) -> Option<&str> {
        self.more.as_ref()?.protocol.as_deref()
    }
}
