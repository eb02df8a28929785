//! Broadcast by `tokio::sync::broadcast`, for the libraries that have nothing of their own for it.

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::broadcast::{self, error::RecvError};

/// How many messages a member may be behind.
const CAPACITY: usize = 1024;

/// Where messages are published.
pub(super) struct Hub<M>(broadcast::Sender<M>);

/// One connection's way to publish, and to get what all published.
pub(super) struct Member<M> {
    publish: broadcast::Sender<M>,
    published: broadcast::Receiver<M>,
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
    /// Publishes what the socket receives, and sends what anybody published, with one flush for
    /// all that is there.
    pub(super) async fn run<S, E>(
        mut self,
        mut socket: S,
        is_data: impl Fn(&M) -> bool,
    ) -> Result<(), E>
    where
        S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    {
        loop {
            tokio::select! {
                received = socket.next() => match received {
                    Some(message) => self.publish(message?, &is_data),
                    None => return Ok(()),
                },
                published = self.published.recv() => match published {
                    Ok(message) => self.send(message, &mut socket).await?,
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Ok(()),
                },
            }
        }
    }

    fn publish(&self, message: M, is_data: impl Fn(&M) -> bool) {
        if is_data(&message) {
            let _ = self.publish.send(message);
        }
    }

    async fn send<S, E>(&mut self, message: M, socket: &mut S) -> Result<(), E>
    where
        S: Sink<M, Error = E> + Unpin,
    {
        let mut next = Ok(message);
        while let Ok(message) = next {
            socket.feed(message).await?;
            next = self.published.try_recv();
        }
        socket.flush().await
    }
}
