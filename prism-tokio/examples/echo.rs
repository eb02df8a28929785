//! Echoes every message, on every path.
//!
//! ```text
//! echo [ADDR] [--threads N] [--max-message BYTES] [--broadcast]
//!      [--ping-interval SECONDS] [--pong-timeout SECONDS]
//! ```
//!
//! With `--broadcast` every message goes to every connection instead.

use std::{
    collections::HashMap,
    error::Error,
    sync::{Arc, Mutex},
    time::Duration,
};

use prism_tokio::{Connection, ConnectionId, Disconnect, Handler, Message, Options, Server};

struct Echo;

impl Handler for Echo {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails only if the connection is closing
    }
}

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
            let _ = connection.try_send(message); // who does not keep up misses it
        }
    }

    async fn on_disconnect(&self, connection: &Connection, _: Disconnect) {
        self.everyone.lock().unwrap().remove(&connection.id());
    }
}

struct Arguments {
    address: String,
    threads: Option<usize>,
    broadcast: bool,
    options: Options,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = parse(std::env::args().skip(1))?;
    let mut runtime = match arguments.threads {
        Some(1) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if let Some(threads) = arguments.threads {
        runtime.worker_threads(threads);
    }
    runtime.enable_all().build()?.block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let server = Server::bind(&arguments.address).await?.options(arguments.options);
    println!("listening on ws://{}", server.local_addr()?);
    if arguments.broadcast {
        everywhere(server, Broadcast::default()).serve().await;
    } else {
        everywhere(server, Echo).serve().await;
    }
    Ok(())
}

fn everywhere(server: Server, handler: impl Handler) -> Server {
    let handler = Arc::new(handler);
    server.web_socket("/", handler.clone()).web_socket("/{*path}", handler)
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, Box<dyn Error>> {
    let mut options = Options::default();
    options.protocol.max_message_size = 64 << 20;
    let address = "127.0.0.1:8080".into();
    let mut arguments = Arguments { address, threads: None, broadcast: false, options };
    while let Some(word) = words.next() {
        let mut number = || -> Result<u64, Box<dyn Error>> {
            Ok(words.next().ok_or_else(|| format!("{word} needs a number"))?.parse()?)
        };
        let options = &mut arguments.options.protocol;
        match word.as_str() {
            "--broadcast" => arguments.broadcast = true,
            "--threads" => arguments.threads = Some(usize::try_from(number()?)?.max(1)),
            "--max-message" => options.max_message_size = number()?.try_into()?,
            "--ping-interval" => options.ping_interval = Some(Duration::from_secs(number()?)),
            "--pong-timeout" => options.pong_timeout = Duration::from_secs(number()?),
            flag if flag.starts_with("--") => return Err(format!("unknown flag {flag}").into()),
            _ => arguments.address = word,
        }
    }
    Ok(arguments)
}
