//! [`Flavour`]: tungstenite for tokio, and for other runtimes.

use std::{net::TcpListener, thread};

use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};
use tokio_tungstenite::tungstenite::{Error, protocol::WebSocketConfig};

use super::{LARGE, their_end::TheirEnd};
use crate::{runtimes, suite::support::TIMEOUT};

/// A flavour of tungstenite and its runtime, which does not depend on that of Prism.
pub(super) enum Flavour {
    /// `tokio-tungstenite`, on a runtime of its own.
    Tokio(Runtime),
    /// `async-tungstenite`, on smol.
    Async,
}

/// Runs a scenario with each flavour, on a thread with the flavour's name, which a failure prints.
pub(super) fn with_each_flavour(scenario: impl Fn(&Flavour) + Sync) {
    let scenario = &scenario;
    thread::scope(|scope| {
        for flavour in [Flavour::tokio(), Flavour::Async] {
            let thread = thread::Builder::new().name(flavour.name().to_owned());
            thread.spawn_scoped(scope, move || scenario(&flavour)).expect("a thread");
        }
    });
}

impl Flavour {
    fn tokio() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        Self::Tokio(runtime.expect("a runtime"))
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Tokio(_) => "tokio-tungstenite",
            Self::Async => "async-tungstenite",
        }
    }

    /// Connects their client.
    #[track_caller]
    pub(super) fn connect(&self, url: &str) -> TheirEnd<'_> {
        self.try_connect(url).expect("a connection")
    }

    /// Connects their client, or returns its error.
    #[track_caller]
    pub(super) fn try_connect(&self, url: &str) -> Result<TheirEnd<'_>, Error> {
        let limits = Some(limits());
        self.block_on(async {
            match self {
                Self::Tokio(_) => {
                    let client = tokio_tungstenite::connect_async_with_config(url, limits, false);
                    Ok(TheirEnd::new(self, client.await?.0))
                }
                Self::Async => {
                    let client = async_tungstenite::smol::connect_async_with_config(url, limits);
                    Ok(TheirEnd::new(self, client.await?.0))
                }
            }
        })
    }

    /// Accepts one client with their server, or returns its error.
    #[track_caller]
    pub(super) fn try_accept(&self, listener: TcpListener) -> Result<TheirEnd<'_>, Error> {
        let limits = Some(limits());
        self.block_on(async {
            match self {
                Self::Tokio(_) => {
                    listener.set_nonblocking(true)?;
                    let (stream, _) = tokio::net::TcpListener::from_std(listener)?.accept().await?;
                    let server = tokio_tungstenite::accept_async_with_config(stream, limits);
                    Ok(TheirEnd::new(self, server.await?))
                }
                Self::Async => {
                    let (stream, _) = smol::net::TcpListener::try_from(listener)?.accept().await?;
                    let server = async_tungstenite::accept_async_with_config(stream, limits);
                    Ok(TheirEnd::new(self, server.await?))
                }
            }
        })
    }

    /// Runs a future on the flavour's runtime. Panics if it takes longer than [`TIMEOUT`].
    #[track_caller]
    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self {
            Self::Tokio(runtime) => {
                let limited = runtime.block_on(async { timeout(TIMEOUT, future).await });
                limited.expect("the scenario finishes in time")
            }
            Self::Async => runtimes::smol::block_on(TIMEOUT, future),
        }
    }
}

/// Returns their limits. Their defaults would do, but may change.
fn limits() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(LARGE)).max_frame_size(Some(LARGE))
}
