//! [`Flavour`]: tungstenite as it comes for tokio, and as it comes for everybody else.

use std::{net::TcpListener, thread};

use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};
use tokio_tungstenite::tungstenite::{Error, protocol::WebSocketConfig};

use super::{LARGE, their_end::TheirEnd};
use crate::{runtimes, suite::support::PATIENCE};

/// A flavour of tungstenite, and what it runs on, whatever Prism runs on.
pub(super) enum Flavour {
    /// `tokio-tungstenite`, on a runtime that nobody else uses.
    Tokio(Runtime),
    /// `async-tungstenite`, on smol.
    Async,
}

/// Tells a scenario with each flavour, on threads with the flavours' names: a failure says which
/// thread it comes from.
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

    /// Their client, connected.
    #[track_caller]
    pub(super) fn connect(&self, url: &str) -> TheirEnd<'_> {
        self.try_connect(url).expect("a connection")
    }

    /// Their client, connected; or why it is not.
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

    /// Their server, connected with the first client that comes; or why it is not.
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

    /// Runs what is theirs, for as long as there is [`PATIENCE`].
    #[track_caller]
    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self {
            Self::Tokio(runtime) => {
                let limited = runtime.block_on(async { timeout(PATIENCE, future).await });
                limited.expect("the scenario goes on")
            }
            Self::Async => runtimes::smol::block_on(PATIENCE, future),
        }
    }
}

/// What they take. (Their defaults would do; but those are theirs to change.)
fn limits() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(LARGE)).max_frame_size(Some(LARGE))
}
