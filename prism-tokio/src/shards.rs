//! [`serve_sharded`]: one thread, one runtime and one server for each listener.

use std::{io, net::TcpListener, panic, thread};

use prism_driver::Shutdown;
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};

use crate::Server;

/// Serves on several threads that have nothing in common: each has a listener, a runtime of its own
/// with one thread, and a server that `build` has given its routes.
///
/// A connection stays on the thread that accepted it, so that no task is ever moved and no queue is
/// shared: with many connections that are all about as busy, that makes more of each core than a
/// runtime of many threads. Stay with the latter where a few connections cause most of the work (a
/// busy thread gets no help from an idle one), where handlers compute for long, or where they talk to
/// other parts of a program that runs on one runtime.
///
/// `build` is called once for each listener; what all of them should know, a handler say, it gives
/// them as clones of an [`Arc`](std::sync::Arc). `shutdown` runs on the calling thread, which this
/// blocks until all servers have [shut down](Server::serve_until).
///
/// ```no_run
/// # use prism_tokio::{Connection, Handler, Message};
/// # struct Echo;
/// # impl Handler for Echo { async fn on_message(&self, _: &Connection, _: Message<'_>) {} }
/// fn main() -> std::io::Result<()> {
///     let cores = std::thread::available_parallelism()?.get();
///     let listeners = prism_tokio::shared_listeners("127.0.0.1:8080", cores)?;
///     let build = |server: prism_tokio::Server| server.websocket("/ws", Echo);
///     prism_tokio::serve_sharded(listeners, build, std::future::pending())?;
///     Ok(())
/// }
/// ```
///
/// # Errors
/// If a runtime can not be set up, or a listener is none. Then nothing was served.
///
/// # Panics
/// If it is called on a runtime.
pub fn serve_sharded(
    listeners: impl IntoIterator<Item = TcpListener>,
    mut build: impl FnMut(Server) -> Server,
    shutdown: impl Future<Output = ()>,
) -> io::Result<Shutdown> {
    let mut set_up = |listener| {
        let runtime = runtime()?;
        let entered = runtime.enter();
        let server = build(Server::from_listener(listener)?);
        drop(entered);
        Ok((runtime, server))
    };
    let shards = listeners.into_iter().map(&mut set_up).collect::<io::Result<Vec<_>>>()?;
    let own = runtime()?;
    let (stop, stopping) = watch::channel(());
    thread::scope(|scope| {
        let shards: Vec<_> = shards
            .into_iter()
            .map(|(runtime, server)| {
                let mut stopping = stopping.clone();
                scope.spawn(move || {
                    // It never changes: it goes.
                    let stopped = async { drop(stopping.changed().await) };
                    runtime.block_on(server.serve_until(stopped))
                })
            })
            .collect();
        own.block_on(shutdown);
        drop(stop);
        let join = |shard: thread::ScopedJoinHandle<'_, Shutdown>| {
            shard.join().unwrap_or_else(|cause| panic::resume_unwind(cause))
        };
        Ok(shards.into_iter().map(join).sum())
    })
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
