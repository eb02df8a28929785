//! Echo for the libraries whose sockets are a `Stream` and a `Sink` of messages.

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};

/// How many messages are answered with one flush, so that a peer that never pauses still gets answers.
const BATCH: usize = 32;

/// Echoes data messages one by one until the connection is over.
pub(super) async fn one_by_one<S, M, E>(
    mut socket: S,
    is_data: impl Fn(&M) -> bool,
) -> Result<(), E>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    while let Some(message) = socket.next().await {
        let message = message?;
        if is_data(&message) {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// Echoes data messages, and answers all ready ones with one flush.
///
/// All ready messages are received before the first is sent, because some sockets flush whenever they are
/// asked for a message.
pub(super) async fn batched<S, M, E>(mut socket: S, is_data: impl Fn(&M) -> bool) -> Result<(), E>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    let mut ready = Vec::with_capacity(BATCH);
    while let Some(message) = socket.next().await {
        let mut next = Some(message);
        while let Some(message) = next {
            ready.push(message?);
            next = if ready.len() < BATCH { socket.next().now_or_never().flatten() } else { None };
        }
        for message in ready.drain(..).filter(&is_data) {
            socket.feed(message).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}
