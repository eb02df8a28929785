//! What is ready answered with one flush: for the libraries whose sockets are a `Stream` and a
//! `Sink` of messages.

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};

/// How many messages are answered with one flush, so that a peer that sends without a pause gets
/// answers all the same.
const BATCH: usize = 32;

/// Echoes those messages that are data until the connection is over.
pub(super) async fn echo<S, M, E>(mut socket: S, is_data: impl Fn(&M) -> bool) -> Result<(), E>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    while let Some(message) = socket.next().await {
        let mut message = message?;
        for left in (0..BATCH).rev() {
            if is_data(&message) {
                socket.feed(message).await?;
            }
            if left == 0 {
                break;
            }
            match socket.next().now_or_never() {
                Some(Some(next)) => message = next?,
                Some(None) => return socket.flush().await,
                None => break,
            }
        }
        socket.flush().await?;
    }
    Ok(())
}
