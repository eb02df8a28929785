//! [`RequestInfo`]: what a connection keeps of its opening request.

use std::{any::Any, fmt, sync::Arc};

use prism_core::deflate::Deflate;

use crate::{
    connection::compression::Compression,
    server::path_map::{self, Params},
};

/// The data that the application attaches to a connection.
pub(crate) type Data = Box<dyn Any + Send + Sync>;

/// The path, the query, the route's parameters, what was agreed, and what the application has attached.
pub(crate) struct RequestInfo {
    path: Box<str>,
    query: Option<Box<str>>,
    params: Box<[(Box<str>, Box<str>)]>,
    subprotocol: Option<Box<str>>,
    data: Option<Data>,
    compression: Option<Arc<Compression>>,
}

/// The infos that connections of a route share.
pub(crate) struct RouteInfo {
    /// For connections without compression.
    plain: Arc<RequestInfo>,
    /// For connections with the compression that is agreed on with a client without special wishes. Usually that is all
    /// of them.
    compressed: Option<Arc<RequestInfo>>,
}

impl fmt::Debug for RequestInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, query, params, subprotocol, data: _, compression: _ } = self;
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
            compression: None,
        }
    }

    /// Adds the compression that was agreed on.
    pub(crate) fn with_compression(self, compression: Option<Compression>) -> Self {
        Self { compression: compression.map(Arc::new), ..self }
    }

    /// Creates an info with a path and nothing else.
    pub(crate) fn plain(path: &str) -> Arc<Self> {
        Arc::new(Self::new(path, None, std::iter::empty(), None))
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

    pub(crate) fn compression(&self) -> Option<&Compression> {
        self.compression.as_deref()
    }
}

impl RouteInfo {
    /// Creates the infos of a route with this path, which compresses with these settings.
    pub(crate) fn new(path: &str, deflate: Option<&Arc<Deflate>>) -> Self {
        let usual = deflate.and_then(Compression::usual).filter(Compression::is_shareable);
        let compressed = usual.map(|usual| {
            let info = RequestInfo::new(path, None, std::iter::empty(), None);
            Arc::new(info.with_compression(Some(usual)))
        });
        Self { plain: RequestInfo::plain(path), compressed }
    }

    /// Returns the info for a request, which is shared if it has only a path, so that most connections of a route take
    /// no memory for it.
    pub(crate) fn for_request(
        &self,
        path: &str,
        query: Option<&str>,
        params: Params,
        subprotocol: Option<&str>,
        data: Option<Data>,
        compression: Option<Compression>,
    ) -> Arc<RequestInfo> {
        let compression = compression.map(|compression| self.shared(compression));
        let has_only_a_path = *self.plain.path == *path
            && query.is_none()
            && params.is_empty()
            && subprotocol.is_none()
            && data.is_none();
        if has_only_a_path && let Some(shared) = self.with_compression(compression.as_ref()) {
            return shared.clone();
        }
        let info = RequestInfo::new(path, query, params, subprotocol);
        Arc::new(RequestInfo { data, compression, ..info })
    }

    /// Returns a compression that is the same for many connections, if this one can be shared.
    fn shared(&self, compression: Compression) -> Arc<Compression> {
        let usual = self.compressed.as_ref().and_then(|info| info.compression.as_ref());
        let same = usual.filter(|usual| usual.params() == compression.params());
        same.cloned().unwrap_or_else(|| Arc::new(compression))
    }

    /// Returns the shared info of connections with exactly this compression, or without any.
    fn with_compression(
        &self,
        compression: Option<&Arc<Compression>>,
    ) -> Option<&Arc<RequestInfo>> {
        let Some(compression) = compression else { return Some(&self.plain) };
        let shared = self.compressed.as_ref()?;
        let is_same = shared.compression.as_ref().is_some_and(|it| Arc::ptr_eq(it, compression));
        is_same.then_some(shared)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prism_core::{
        Role,
        deflate::{Compressor, Deflate, DeflateParams, Engine, Inflater, Settings, WindowBits},
    };

    use super::{Compression, Params, RequestInfo, RouteInfo};

    fn info(
        route: &RouteInfo,
        query: Option<&str>,
        compression: Option<Compression>,
    ) -> Arc<RequestInfo> {
        route.for_request("/caf%C3%A9", query, Params::new(), None, None, compression)
    }

    /// An implementation that is never used.
    #[derive(Debug)]
    struct Unused;

    impl Engine for Unused {
        fn inflater(&self) -> Box<dyn Inflater> {
            unreachable!("nothing is decompressed")
        }

        fn deflater(&self, _: Settings) -> Option<Box<dyn prism_core::deflate::Deflater>> {
            None
        }
    }

    fn deflate() -> Arc<Deflate> {
        Arc::new(Deflate::new(&Unused))
    }

    fn compression(no_takeover: bool, bits: u8) -> Option<Compression> {
        let params = DeflateParams {
            server_no_context_takeover: no_takeover,
            client_no_context_takeover: true,
            server_max_window_bits: WindowBits::new(bits).expect("8 to 15"),
            ..DeflateParams::default()
        };
        let compressor = Compressor::new(deflate(), params, Role::Server);
        Some(Compression::new(params, Role::Server, compressor))
    }

    #[test]
    fn connections_with_only_a_path_share_their_info() {
        let route = RouteInfo::new("/caf%C3%A9", None);
        let shared = info(&route, None, None);
        assert!(Arc::ptr_eq(&shared, &info(&route, None, None)));

        let params = || vec![("room".into(), "a b".into())];
        for other in [
            info(&route, Some(""), None),
            route.for_request("/caf%C3%A9", None, Params::new(), Some("chat"), None, None),
            route.for_request("/rooms/a%20b", None, params(), None, None, None),
            route.for_request("/caf%C3%A9", None, params(), None, None, None),
            route.for_request("/caf%C3%A9", None, Params::new(), None, Some(Box::new(7)), None),
        ] {
            assert!(!Arc::ptr_eq(&shared, &other), "{other:?}");
        }
        let room = route.for_request("/rooms/a%20b", None, params(), None, None, None);
        assert_eq!((room.path(), room.param("room")), ("/rooms/a%20b", Some("a b")));
        assert_eq!(room.subprotocol(), None);
        let chat = route.for_request("/caf%C3%A9", None, Params::new(), Some("chat"), None, None);
        assert_eq!(chat.subprotocol(), Some("chat"));
    }

    #[test]
    fn connections_with_the_same_compression_share_it() {
        let route = RouteInfo::new("/caf%C3%A9", Some(&deflate()));
        // A client with special wishes changes nothing for the others.
        info(&route, None, compression(true, 9));
        let shared = info(&route, None, compression(true, 15));
        assert!(Arc::ptr_eq(&shared, &info(&route, None, compression(true, 15))));
        let with_query = info(&route, Some("a"), compression(true, 15));
        let compression_of = |info: &RequestInfo| {
            std::ptr::from_ref(info.compression().expect("it is compressed")).addr()
        };
        assert_eq!(compression_of(&with_query), compression_of(&shared));
        for (no_takeover, bits) in [(true, 12), (false, 15)] {
            let other = info(&route, None, compression(no_takeover, bits));
            assert_ne!(compression_of(&other), compression_of(&shared));
            let params = other.compression().expect("it is compressed").params();
            assert_eq!(params.server_max_window_bits.get(), bits);
            assert_eq!(params.server_no_context_takeover, no_takeover);
        }
        let takeover = [(); 2].map(|()| info(&route, None, compression(false, 15)));
        assert_ne!(compression_of(&takeover[0]), compression_of(&takeover[1]));
        assert!(info(&route, None, None).compression().is_none());
    }
}
