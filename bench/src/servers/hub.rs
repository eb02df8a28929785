//! Broadcast by `tokio::sync::broadcast`, for the libraries that have no broadcast. Messages are shared:
//! cloning one only counts a reference.

use std::io;

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::{
    net::TcpStream,
    sync::broadcast::{self, error::RecvError},
};

use super::on_tokio;

/// How many messages a member may be behind.
const CAPACITY: usize = 1024;

/// The channel.
#[derive(Clone)]
pub(super) struct Hub<M>(broadcast::Sender<M>);

/// One connection's access to the channel: it publishes, and receives what all publish.
pub(super) struct Member<M> {
    publish: broadcast::Sender<M>,
    published: broadcast::Receiver<M>,
}

/// Runs a server that makes each connection a member.
pub(super) fn serve<M, F>(
    address: &str,
    threads: usize,
    connection: impl Fn(TcpStream, Member<M>) -> F,
) -> io::Result<()>
where
    M: Clone,
    F: Future<Output = ()> + Send + 'static,
{
    let hub = Hub::new();
    on_tokio::serve(address, threads, move |stream| connection(stream, hub.member()))
}

impl<M: Clone> Hub<M> {
    pub(super) fn new() -> Self {
        Self(broadcast::channel(CAPACITY).0)
    }

    pub(super) fn member(&self) -> Member<M> {
        Member { publish: self.0.clone(), published: self.0.subscribe() }
    }
}

impl<M: Clone> Member<M> {
    /// Publishes what the socket receives, and sends what was published, with one flush for everything
    /// that is ready. One task waits for both.
    pub(super) async fn run<S, E>(
        self,
        mut socket: S,
        is_data: impl Fn(&M) -> bool,
    ) -> Result<(), E>
    where
        S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    {
        let Self { publish, mut published } = self;
        loop {
            tokio::select! {
                received = socket.next() => match received {
                    Some(message) => publish_data(&publish, message?, &is_data),
                    None => return Ok(()),
                },
                message = next(&mut published) => match message {
                    Some(message) => send(message, &mut published, &mut socket).await?,
                    None => return Ok(()),
                },
            }
        }
    }

    /// Does the same with a task for each half of the socket, so that sending does not cause a read.
    pub(super) async fn run_split<S, E>(
        self,
        socket: S,
        is_data: impl Fn(&M) -> bool,
    ) -> Result<(), E>
    where
        M: Send + 'static,
        S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Send + 'static,
        E: Send + 'static,
    {
        let Self { publish, mut published } = self;
        let (mut sink, mut stream) = socket.split();
        let writer = tokio::spawn(async move {
            while let Some(message) = next(&mut published).await {
                send(message, &mut published, &mut sink).await?;
            }
            Ok::<_, E>(())
        });
        while let Some(Ok(message)) = stream.next().await {
            publish_data(&publish, message, &is_data);
        }
        writer.abort();
        Ok(())
    }
}

fn publish_data<M>(publish: &broadcast::Sender<M>, message: M, is_data: impl Fn(&M) -> bool) {
    if is_data(&message) {
        let _ = publish.send(message);
    }
}

/// Returns the next message that this member has not missed; `None` if there will be no more.
async fn next<M: Clone>(published: &mut broadcast::Receiver<M>) -> Option<M> {
    loop {
        match published.recv().await {
            Ok(message) => return Some(message),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}

/// Sends a message, and what was published meanwhile.
async fn send<M: Clone, E>(
    message: M,
    published: &mut broadcast::Receiver<M>,
    sink: &mut (impl Sink<M, Error = E> + Unpin),
) -> Result<(), E> {
    let mut next = Ok(message);
    while let Ok(message) = next {
        sink.feed(message).await?;
        next = published.try_recv();
    }
    sink.flush().await
}
