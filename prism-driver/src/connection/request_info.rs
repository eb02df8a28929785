//! [`RequestInfo`]: what a connection keeps of its opening request.

use std::{any::Any, fmt, sync::Arc};

use crate::server::path_map::{self, Params};

/// The data that the application attaches to a connection.
pub(crate) type Data = Box<dyn Any + Send + Sync>;

/// The path, the query, the route's parameters, the subprotocol, and what the application has attached.
pub(crate) struct RequestInfo {
    path: Box<str>,
    query: Option<Box<str>>,
    params: Box<[(Box<str>, Box<str>)]>,
    subprotocol: Option<Box<str>>,
    data: Option<Data>,
}

impl fmt::Debug for RequestInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, query, params, subprotocol, data: _ } = self;
        f.debug_struct("RequestInfo")
            .field("path", path)
            .field("query", query)
            .field("params", params)
            .field("subprotocol", subprotocol)
            .finish_non_exhaustive()
    }
}

impl RequestInfo {
    pub(crate) fn new(
        path: &str,
        query: Option<&str>,
        params: impl IntoIterator<Item = (Box<str>, Box<str>)>,
        subprotocol: Option<&str>,
    ) -> Self {
        Self {
            path: path.into(),
            query: query.map(Into::into),
            params: params.into_iter().collect(),
            subprotocol: subprotocol.map(Into::into),
            data: None,
        }
    }

    /// Creates an info with a path and nothing else.
    pub(crate) fn plain(path: &str) -> Arc<Self> {
        Arc::new(Self::new(path, None, std::iter::empty(), None))
    }

    /// Returns the info for a request on the route that `self` belongs to. Returns a clone of `self` if a new info
    /// would be equal, so that most connections of a route share one.
    pub(crate) fn for_request(
        self: &Arc<Self>,
        path: &str,
        query: Option<&str>,
        params: Params,
        subprotocol: Option<&str>,
        data: Option<Data>,
    ) -> Arc<Self> {
        if *self.path == *path && query.is_none() && subprotocol.is_none() && data.is_none() {
            return self.clone();
        }
        Arc::new(Self { data, ..Self::new(path, query, params, subprotocol) })
    }

    pub(crate) fn data(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.data.as_deref()
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        path_map::param(&self.params, name)
    }

    pub(crate) fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Params, RequestInfo};

    #[test]
    fn connections_with_only_a_path_share_their_info() {
        let route = RequestInfo::plain("/caf%C3%A9");
        let shared = route.for_request("/caf%C3%A9", None, Params::new(), None, None);
        assert!(Arc::ptr_eq(&route, &shared));

        let params = || vec![("room".into(), "a b".into())];
        for other in [
            route.for_request("/caf%C3%A9", Some(""), Params::new(), None, None),
            route.for_request("/caf%C3%A9", None, Params::new(), Some("chat"), None),
            route.for_request("/rooms/a%20b", None, params(), None, None),
            route.for_request("/caf%C3%A9", None, Params::new(), None, Some(Box::new(7))),
        ] {
            assert!(!Arc::ptr_eq(&route, &other), "{other:?}");
        }
        let room = route.for_request("/rooms/a%20b", None, params(), None, None);
        assert_eq!((room.path(), room.param("room")), ("/rooms/a%20b", Some("a b")));
        assert_eq!(room.subprotocol(), None);
        let chat = route.for_request("/caf%C3%A9", None, Params::new(), Some("chat"), None);
        assert_eq!(chat.subprotocol(), Some("chat"));
    }
}
