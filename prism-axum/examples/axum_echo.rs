//! An echo server under axum: sends every message back, on every path, over HTTP/1.1, and over HTTP/2 with prior
//! knowledge.
//!
use std::{future::IntoFuture, time::Duration};

use axum::{Extension, Router, response::Response, routing::any, serve::ListenerExt};
use command_line::{Failure, Words};
use prism_axum::{Connection, Deflate, Handler, Message, Options, WebSocketUpgrade, WebSockets};
use tokio::{net::TcpListener, sync::oneshot, time::timeout};

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/signals_tokio.rs"]
mod signals;

const HELP: &str = "\
An echo server under axum: sends every message back, on every path.

Usage: axum_echo [ADDR] [OPTION...]

ADDR is the address to listen on, by default 127.0.0.1:8080.

  --deflate             compress every message
  --deflate-takeover    the same, and messages may refer to earlier ones
";

struct Echo;

impl Handler for Echo {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails only if the connection is closing
    }
}

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.handler(Echo)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut address = "127.0.0.1:8080".to_owned();
    let mut options = Options::default().max_message_size(64 << 20);
    let mut words = Words::new(HELP);
    while let Some(word) = words.next() {
        let deflate = Deflate::default();
        match word.as_str() {
            "--deflate" => options = options.compression(deflate.threshold(0)),
            "--deflate-takeover" => {
                options = options.compression(deflate.with_takeover().threshold(0));
            }
            _ => address = words.address()?,
        }
    }
    let websockets = WebSockets::new(options);
    let app = Router::new().fallback(any(echo)).layer(Extension(websockets.clone()));
    let listener = TcpListener::bind(&address).await;
    let listener = listener.map_err(|error| format!("{address}: {error}"))?;
    println!("listening on ws://{}", listener.local_addr()?);
    // For HTTP/2. Over HTTP/1.1, the extractor does that.
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    let shutdown_signal = signals::shutdown_signal()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = websockets.closing(async { drop(stopped.await) });
    let serving = axum::serve(listener, app).with_graceful_shutdown(stopped).into_future();
    let serving = tokio::spawn(serving);
    shutdown_signal.await;
    drop(stop);
    websockets.shut_down().await;
    // Over HTTP/2, a peer that does not read a stream would keep axum from ending.
    let _ = timeout(Duration::from_secs(5), serving).await;
    Ok(())
}
