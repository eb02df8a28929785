//! [`RequestInfo`]: what a connection keeps of its opening request.

use std::sync::Arc;

use crate::server::path_map::Params;

/// The path, the query, the route's parameters and the subprotocol.
#[derive(Debug)]
pub(crate) struct RequestInfo {
    path: Box<str>,
    query: Option<Box<str>>,
    params: Box<[(Box<str>, Box<str>)]>,
    subprotocol: Option<Box<str>>,
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
        }
    }

    /// Creates one with a path and nothing else.
    pub(crate) fn plain(path: &str) -> Arc<Self> {
        Arc::new(Self::new(path, None, std::iter::empty(), None))
    }

    /// Returns `self` if a new one would be equal, so that most connections of a route share one.
    pub(crate) fn shared(
        self: &Arc<Self>,
        path: &str,
        query: Option<&str>,
        params: Params,
        subprotocol: Option<&str>,
    ) -> Arc<Self> {
        if *self.path == *path && query.is_none() && subprotocol.is_none() {
            return self.clone();
        }
        Arc::new(Self::new(path, query, params, subprotocol))
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
        let shared = route.shared("/caf%C3%A9", None, Params::new(), None);
        assert!(Arc::ptr_eq(&route, &shared));

        let params = || vec![("room".into(), "a b".into())];
        for other in [
            route.shared("/caf%C3%A9", Some(""), Params::new(), None),
            route.shared("/caf%C3%A9", None, Params::new(), Some("chat")),
            route.shared("/rooms/a%20b", None, params(), None),
        ] {
            assert!(!Arc::ptr_eq(&route, &other), "{other:?}");
        }
        let room = route.shared("/rooms/a%20b", None, params(), None);
        assert_eq!((room.path(), room.param("room")), ("/rooms/a%20b", Some("a b")));
        assert_eq!(room.subprotocol(), None);
        let chat = route.shared("/caf%C3%A9", None, Params::new(), Some("chat"));
        assert_eq!(chat.subprotocol(), Some("chat"));
    }
}
