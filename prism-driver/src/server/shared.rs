//! [`ServerShared`]: the state that the tasks of a server share.

use std::sync::Arc;

use crate::{
    runtime::Network,
    server::{admission::Admission, endpoint::Endpoint, router::Router, websockets::WebSockets},
};

/// The state that the tasks of a server share.
pub(crate) struct ServerShared<N: Network> {
    pub(crate) websockets: Arc<WebSockets<N>>,
    pub(crate) router: Router<Arc<dyn Endpoint<N>>>,
    pub(crate) admission: Admission<N>,
}

impl<N: Network> ServerShared<N> {
    pub(crate) fn new(
        websockets: Arc<WebSockets<N>>,
        router: Router<Arc<dyn Endpoint<N>>>,
    ) -> Arc<Self> {
        let admission = Admission::new(websockets.clone());
        Arc::new(Self { websockets, router, admission })
    }

    pub(crate) fn network(&self) -> &N {
        &self.websockets.runtime
    }
}
