//! [`KnownRoutes`]: the routes of the HTTP server, as far as requests have named them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use crate::{
    connection::request_info::RouteInfo,
    options::Options,
    runtime::Runtime,
    server::{connections::Connections, route_context::RouteContext},
};

/// The routes that requests have named, and the one of requests that name none.
pub(super) struct KnownRoutes<R: Runtime> {
    unnamed: Arc<KnownRoute<R>>,
    named: Mutex<HashMap<Box<str>, Arc<KnownRoute<R>>>>,
}

/// What the connections of a route have in common.
pub(super) struct KnownRoute<R: Runtime> {
    pub(super) context: Arc<RouteContext<R>>,
    /// What connections keep of their requests. It is for the path of the first request, which is often the only path.
    info: OnceLock<RouteInfo>,
}

impl<R: Runtime> KnownRoutes<R> {
    pub(super) fn new(connections: &Arc<Connections<R>>, options: Options) -> Self {
        let unnamed = KnownRoute::new(RouteContext::new(connections, options, ""));
        Self { unnamed, named: Mutex::default() }
    }

    /// Returns the route of this name, or that of requests without one.
    pub(super) fn get(&self, name: Option<&str>) -> Arc<KnownRoute<R>> {
        let Some(name) = name else { return self.unnamed.clone() };
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = named.get(name) {
            return route.clone();
        }
        let RouteContext { connections, options, .. } = &*self.unnamed.context;
        let route = KnownRoute::new(RouteContext::new(connections, options.clone(), name));
        named.insert(name.into(), route.clone());
        route
    }

    /// Returns the limits of each connection.
    pub(super) fn options(&self) -> &Options {
        &self.unnamed.context.options
    }
}

impl<R: Runtime> KnownRoute<R> {
    fn new(context: Arc<RouteContext<R>>) -> Arc<Self> {
        Arc::new(Self { context, info: OnceLock::new() })
    }

    /// Returns what connections to this path, and others, keep of their requests.
    pub(super) fn info(&self, path: &str) -> &RouteInfo {
        let deflate = self.context.options.protocol.deflate.as_ref();
        self.info.get_or_init(|| RouteInfo::new(path, deflate))
    }
}
