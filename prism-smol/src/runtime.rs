//! [`Smol`]: smol for Prism's driver.

use std::{fmt, io, net::SocketAddr, sync::Arc, task::Waker, time::Duration};

use prism_driver::{AsyncIo, Runtime};
use smol::{Executor, Timer, net::resolve};

/// The smol runtime: an executor of yours, or the global one, which is the default.
///
/// The global executor has one thread, or as many as the environment variable `SMOL_THREADS` says. If you want
/// to set the number in your program, pass an executor and run it on as many threads as you like:
///
/// ```no_run
/// use std::{future::pending, sync::Arc, thread};
/// use prism_smol::{Server, Smol};
///
/// # use prism_smol::{Connection, Handler, Message};
/// # struct Echo;
/// # impl Handler for Echo {
/// #     async fn on_message(&self, _: &Connection, _: Message<'_>) {}
/// # }
/// # fn main() -> std::io::Result<()> {
/// let executor = Arc::new(smol::Executor::new());
/// for _ in 0..3 {
///     let executor = executor.clone();
///     thread::spawn(move || smol::block_on(executor.run(pending::<()>())));
/// }
/// smol::block_on(executor.run(async {
///     let server = Server::bind_on(Smol::on(executor.clone()), "127.0.0.1:8080").await?;
///     server.websocket("/ws", Echo).serve().await;
///     Ok(())
/// }))
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Smol {
    executor: Option<Arc<Executor<'static>>>,
}

impl Smol {
    /// Creates a runtime whose tasks run on this executor.
    ///
    /// They make progress only while some thread runs the executor.
    #[must_use]
    pub const fn on(executor: Arc<Executor<'static>>) -> Self {
        Self { executor: Some(executor) }
    }
}

impl Runtime for Smol {
    type Sleep = Timer;

    fn sleep(&self, span: Duration) -> Timer {
        Timer::after(span)
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        match &self.executor {
            Some(executor) => executor.spawn(future),
            None => smol::spawn(future),
        }
        .detach();
    }

    fn yield_to_others(&self, waker: &Waker) {
        self.yield_to_reactor(waker);
    }
}

impl AsyncIo for Smol {
    async fn look_up(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        resolve((host, port)).await
    }
}

impl fmt::Debug for Smol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let executor = if self.executor.is_some() { "its own" } else { "global" };
        f.debug_struct("Smol").field("executor", &executor).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        io::{self, Write},
        net,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
        task::Poll,
        thread::{self, ThreadId},
    };

    use prism_driver::{Client, Connection, Handler, Message, Runtime, Server};
    use smol::{Async, Executor, io::AsyncReadExt};

    use super::Smol;

    /// Reports the thread that its `on_connect` ran on.
    struct WhereAmI(smol::channel::Sender<ThreadId>);

    impl Handler for WhereAmI {
        async fn on_connect(&self, _: &Connection) {
            self.0.send(thread::current().id()).await.expect("the test waits");
        }

        async fn on_message(&self, _: &Connection, _: Message<'_>) {}
    }

    #[test]
    fn both_sides_run_on_the_executor_that_was_given() -> io::Result<()> {
        let executor = Arc::new(Executor::new());
        let smol = Smol::on(executor.clone());
        let (sender, threads) = smol::channel::unbounded();
        // Nothing else runs the executor, so all its tasks run on this thread.
        smol::block_on(executor.run(async {
            let server = Server::bind_on(smol.clone(), "127.0.0.1:0").await?;
            let url = format!("ws://{}/", server.local_addr()?);
            let server = server.websocket("/", WhereAmI(sender.clone()));
            executor.spawn(server.serve()).detach();
            let client = Client::new_on(smol.clone(), &url).expect("a good address");
            executor.spawn(client.run(WhereAmI(sender))).detach();
            for _ in ["the server", "the client"] {
                assert_eq!(threads.recv().await, Ok(thread::current().id()));
            }
            Ok(())
        }))
    }

    #[test]
    fn a_task_that_yields_lets_io_go_first() -> io::Result<()> {
        let listener = net::TcpListener::bind("127.0.0.1:0")?;
        let mut sender = net::TcpStream::connect(listener.local_addr()?)?;
        let mut receiver = Async::new(listener.accept()?.0)?;
        let executor = Arc::new(Executor::new());
        let smol = Smol::on(executor.clone());
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = polls.clone();
        let busy = poll_fn(move |cx| {
            if counted.fetch_add(1, Relaxed) == 10 {
                sender.write_all(&[1]).expect("a connection");
            }
            smol.yield_to_others(cx.waker());
            Poll::<()>::Pending
        });
        let reader = executor.spawn(async move { receiver.read_exact(&mut [0]).await });
        executor.spawn(busy).detach();
        // Both run on this thread, so the reader does not wait for another.
        smol::block_on(executor.run(reader))?;
        let polls = polls.load(Relaxed);
        assert!(polls < 30, "polled {polls} times");
        Ok(())
    }
}
