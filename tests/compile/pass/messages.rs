//! Every form of a message can be sent, with `send` and with `try_send`.

use std::{borrow::Cow, error::Error, sync::Arc};

use bytes::{Bytes, BytesMut};
use prism_rooms::Recipients;
use prism_tokio::{Connection, Message, Outgoing, OwnedMessage, PreparedMessage, SendHalf, Socket};

async fn each(
    connection: &Connection,
    message: impl Outgoing + Clone,
) -> Result<(), Box<dyn Error>> {
    connection.try_send(message.clone())?;
    connection.send(message).await?;
    Ok(())
}

async fn all(connection: &Connection) -> Result<(), Box<dyn Error>> {
    let (text, bytes) = (String::from("text"), vec![1, 2, 3]);
    let (owned, prepared) = (OwnedMessage::Text(text.clone()), PreparedMessage::new("text"));
    each(connection, "text").await?;
    each(connection, &text).await?;
    each(connection, format!("{} {}", 1, 2)).await?;
    each(connection, Cow::Borrowed("text")).await?;
    each(connection, &bytes[..]).await?;
    each(connection, &bytes).await?;
    each(connection, bytes.clone()).await?;
    each(connection, Cow::Borrowed(&bytes[..])).await?;
    each(connection, [1, 2, 3]).await?;
    each(connection, &[1, 2, 3]).await?;
    each(connection, b"bytes").await?;
    each(connection, Bytes::from_static(b"bytes")).await?;
    each(connection, &Bytes::from_static(b"bytes")).await?;
    each(connection, BytesMut::new()).await?;
    each(connection, &BytesMut::new()).await?;
    each(connection, Message::Text("text")).await?;
    each(connection, Message::Binary(b"bytes")).await?;
    each(connection, &owned).await?;
    each(connection, owned.clone()).await?;
    each(connection, &prepared).await?;
    each(connection, prepared.clone()).await?;
    pointers(connection, &owned).await
}

/// What iterators and shared state have.
async fn pointers(connection: &Connection, owned: &OwnedMessage) -> Result<(), Box<dyn Error>> {
    for text in &["a", "b"] {
        each(connection, text).await?;
    }
    for text in [String::from("a")].iter().by_ref() {
        each(connection, text).await?;
    }
    for message in [Message::Text("a"), Message::Binary(b"b")].iter() {
        each(connection, message).await?;
        each(connection, &message).await?;
    }
    for bytes in [[1, 2], [3, 4]].iter() {
        each(connection, bytes).await?;
    }
    each(connection, &Cow::Borrowed("text")).await?;
    each(connection, &Cow::Borrowed(&b"bytes"[..])).await?;
    each(connection, Arc::<str>::from("text")).await?;
    each(connection, &Arc::<[u8]>::from(*b"bytes")).await?;
    each(connection, Arc::new(String::from("text"))).await?;
    each(connection, Arc::new(PreparedMessage::new("text"))).await?;
    each(connection, Box::<str>::from("text")).await?;
    each(connection, &Box::<[u8]>::from(*b"bytes")).await?;
    each(connection, Box::new(owned.clone())).await?;
    each(connection, &owned).await
}

async fn sockets(socket: &Socket, half: &SendHalf) -> Result<(), prism_tokio::SendError> {
    socket.send("text").await?;
    socket.send(String::from("text")).await?;
    let _ = (socket.try_send("text"), half.try_send(Bytes::from_static(b"bytes")));
    half.send(vec![1, 2, 3]).await?;
    half.send(&PreparedMessage::new("text")).await
}

fn rooms(room: &Recipients<'_>, message: impl Outgoing) {
    room.send(message);
}

fn all_rooms(room: &Recipients<'_>) {
    rooms(room, "text");
    rooms(room, String::from("text"));
    rooms(room, b"bytes");
    rooms(room, vec![1, 2, 3]);
    rooms(room, Bytes::from_static(b"bytes"));
    rooms(room, Message::Text("text"));
    rooms(room, OwnedMessage::Binary(vec![1, 2, 3]));
    rooms(room, &PreparedMessage::new("text"));
}
