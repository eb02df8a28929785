//! [`serve_sharded`]: a thread, a runtime and a server for each listener.

use std::{io, net::TcpListener, panic, thread};

use prism_driver::{Server, Shutdown};
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};

use crate::runtime::Tokio;

/// Serves on several threads that share nothing, until `shutdown` is ready, then shuts down and returns how the
/// connections ended.
///
/// Each thread has one of the listeners, a single-threaded runtime, and a server. A connection stays on the
/// thread that accepted it, so no task ever moves and no queue is shared. With many connections that are about
/// equally busy, this uses each core better than a multi-threaded runtime does. Prefer a multi-threaded runtime
/// in these cases:
///
/// - A few connections cause most of the work: an idle thread cannot help a busy one.
/// - Handlers compute for a long time.
/// - Handlers communicate with other parts of your program, which run on a single runtime.
///
/// `build` gives a server its routes. It is called once for each listener, on the calling thread and within the runtime
/// of that server. If all servers should share a handler, give each a clone of an [`Arc`](std::sync::Arc).
///
/// This function blocks the calling thread, on which it runs `shutdown` within a tokio runtime of its own, so that
/// tokio's signals and timers work there. Once that future is ready, all servers [shut down](Server::serve_until). When
/// they have, the function returns.
///
/// ```no_run
/// use prism_tokio::{Server, serve_sharded, shared_listeners};
///
/// # use prism_tokio::{Connection, Handler, Message};
/// # struct Echo;
/// # impl Handler for Echo { async fn on_message(&self, _: &Connection, _: Message<'_>) {} }
/// fn main() -> std::io::Result<()> {
///     let cores = std::thread::available_parallelism()?.get();
///     let listeners = shared_listeners("127.0.0.1:8080", cores)?;
///     let build = |server: Server| server.websocket("/ws", Echo);
///     serve_sharded(listeners, build, std::future::pending())?;
///     Ok(())
/// }
/// ```
///
/// # Errors
/// If a runtime or a thread cannot be created, or a listener cannot be used. Shards that serve already shut down first.
///
/// # Panics
/// If called from within a tokio runtime. A panic of `build` or `shutdown` is passed on.
pub fn serve_sharded(
    listeners: impl IntoIterator<Item = TcpListener>,
    mut build: impl FnMut(Server<Tokio>) -> Server<Tokio>,
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
        let spawn = |(runtime, server): (Runtime, Server<Tokio>)| {
            let mut stopping = stopping.clone();
            thread::Builder::new().spawn_scoped(scope, move || {
                // Nothing is ever sent: the wait ends when the sender is dropped.
                let stopped = async { drop(stopping.changed().await) };
                runtime.block_on(server.serve_until(stopped))
            })
        };
        // An error drops the sender, so the threads that were spawned before it end.
        let shards = shards.into_iter().map(spawn).collect::<io::Result<Vec<_>>>()?;
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
