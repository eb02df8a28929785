//! An echo server: sends every message back, on every path.

use std::{
    collections::HashMap,
    error::Error,
    num::NonZero,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use echo_handler::Echo;

// To copy this file, replace `crate::prism` by your adapter, such as `prism_tokio`.
use crate::{
    command_line::Words,
    prism::{Connection, ConnectionId, Deflate, Disconnect, Handler, Message, Options, Server},
};

mod echo_handler;

const HELP: &str = "\
An echo server: sends every message back, on every path.

Usage: echo [ADDR] [OPTION...]

ADDR is the address to listen on, by default 127.0.0.1:8080.

  --threads N                serve with N threads (default: one for each CPU)
  --max-message BYTES        close connections on which a longer message arrives (default: 67108864)
  --broadcast                send every message to every connection instead
  --ping-interval SECONDS    ping after this time without any message (default: 20)
  --pong-timeout SECONDS     how long the answer may take (default: 20)
  --deflate                  compress every message
  --deflate-takeover         the same, and messages may refer to earlier ones
";

pub(crate) struct Arguments {
    pub(crate) address: String,
    /// The number of threads to serve with.
    pub(crate) threads: usize,
    broadcast: bool,
    options: Options,
}

/// Serves until `shutdown` completes and all connections are closed.
pub(crate) async fn serve(
    server: Server,
    arguments: Arguments,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Box<dyn Error>> {
    println!("listening on ws://{}", server.local_addr()?);
    let server = server.options(arguments.options);
    if arguments.broadcast {
        on_every_path(server, Broadcast::default()).serve_until(shutdown).await;
    } else {
        on_every_path(server, Echo).serve_until(shutdown).await;
    }
    Ok(())
}

fn on_every_path(server: Server, handler: impl Handler) -> Server {
    let handler = Arc::new(handler);
    server.websocket("/", handler.clone()).websocket("/{*path}", handler)
}

/// Sends every message to all connections.
#[derive(Default)]
struct Broadcast {
    everyone: Mutex<HashMap<ConnectionId, Connection>>,
}

impl Handler for Broadcast {
    async fn on_connect(&self, connection: &Connection) {
        self.everyone.lock().unwrap().insert(connection.id(), connection.clone());
    }

    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        for connection in self.everyone.lock().unwrap().values() {
            let _ = connection.try_send(message); // a slow client misses it
        }
    }

    async fn on_disconnect(&self, connection: &Connection, _: Disconnect) {
        self.everyone.lock().unwrap().remove(&connection.id());
    }
}

impl Arguments {
    /// Parses the command line.
    pub(crate) fn parse() -> Result<Self, String> {
        let mut arguments = Self::default();
        let mut words = Words::new(HELP);
        while let Some(word) = words.next() {
            let options = &mut arguments.options.protocol;
            let deflate = Deflate::default();
            match word.as_str() {
                "--deflate" => options.deflate = Some(Arc::new(deflate.threshold(0))),
                "--deflate-takeover" => {
                    options.deflate = Some(Arc::new(deflate.with_takeover().threshold(0)));
                }
                "--broadcast" => arguments.broadcast = true,
                "--threads" => arguments.threads = words.number::<usize>()?.max(1),
                "--max-message" => options.max_message_size = words.number()?,
                "--ping-interval" => {
                    options.ping_interval = Some(Duration::from_secs(words.number()?));
                }
                "--pong-timeout" => options.pong_timeout = Duration::from_secs(words.number()?),
                _ => arguments.address = words.address()?,
            }
        }
        Ok(arguments)
    }
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:8080".into(),
            threads: thread::available_parallelism().map_or(1, NonZero::get),
            broadcast: false,
            options: Options::default().max_message_size(64 << 20),
        }
    }
}
