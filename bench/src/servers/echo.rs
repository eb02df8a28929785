//! Echo for the libraries whose sockets are a `Stream` and a `Sink` of messages.

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};

/// How many messages are answered with one flush, so that a peer that sends without a pause gets
/// answers all the same.
const BATCH: usize = 32;

/// Echoes those messages that are data until the connection is over, one by one.
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

/// The same, but what is ready is answered with one flush.
///
/// All that is ready is received before any of it is sent, because some sockets flush what is
/// unsent whenever they are asked for a message.
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
