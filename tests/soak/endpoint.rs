//! [`Endpoint`]: the client's end of a connection, of Prism or of tungstenite.

use futures_util::{SinkExt, StreamExt};
use prism_driver::{CloseCode, Disconnect, Message, OwnedMessage, Socket};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message as Theirs, protocol::frame::coding::CloseCode as TheirCode},
};

pub(crate) trait Endpoint: Send {
    fn send(&mut self, message: Vec<u8>) -> impl Future<Output = Result<(), String>> + Send;

    /// Receives a message. Cancel-safe.
    fn recv(&mut self) -> impl Future<Output = Result<OwnedMessage, String>> + Send;

    /// Closes with 1000, and expects the server to answer with 1000.
    fn close(self) -> impl Future<Output = Result<(), String>> + Send;
}

impl Endpoint for Socket {
    async fn send(&mut self, message: Vec<u8>) -> Result<(), String> {
        Self::send(self, &message).await.map_err(|error| error.to_string())
    }

    async fn recv(&mut self) -> Result<OwnedMessage, String> {
        Self::recv(self).await.map_err(|ending| ending.to_string())
    }

    async fn close(self) -> Result<(), String> {
        match Self::close(&self, CloseCode::NORMAL, "").await {
            Disconnect::Local { .. } => Ok(()),
            ending => Err(ending.to_string()),
        }
    }
}

pub(crate) type TheirSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Endpoint for TheirSocket {
    async fn send(&mut self, message: Vec<u8>) -> Result<(), String> {
        SinkExt::send(self, Theirs::binary(message)).await.map_err(|error| error.to_string())
    }

    async fn recv(&mut self) -> Result<OwnedMessage, String> {
        loop {
            match self.next().await.transpose().map_err(|error| error.to_string())? {
                Some(Theirs::Text(text)) => return Ok(Message::Text(&text).into()),
                Some(Theirs::Binary(bytes)) => return Ok(Message::Binary(&bytes).into()),
                Some(Theirs::Close(frame)) => return Err(format!("closed: {frame:?}")),
                Some(_) => {}
                None => return Err("the end".to_owned()),
            }
        }
    }

    async fn close(mut self) -> Result<(), String> {
        let code = TheirCode::Normal;
        let frame =
            tokio_tungstenite::tungstenite::protocol::CloseFrame { code, reason: "".into() };
        Self::close(&mut self, Some(frame)).await.map_err(|error| error.to_string())?;
        let mut agreed = false;
        while let Some(message) =
            self.next().await.transpose().map_err(|error| error.to_string())?
        {
            agreed |= matches!(message, Theirs::Close(Some(frame)) if frame.code == code);
        }
        if agreed { Ok(()) } else { Err("the server did not answer with 1000".to_owned()) }
    }
}
