//! Prism on each of its runtimes.

use std::{
    env,
    future::pending,
    io,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use async_global_executor::GlobalExecutorConfig;
use prism_driver::{
    Connection, Deflate, Disconnect, Handler, Message, Network, PreparedMessage, Server,
    ServerOptions, WindowBits, tls::TlsServer,
};
use prism_rooms::Rooms;

use super::{MAX_MESSAGE, announce, on_tokio, tls};

/// How long those that spin do so.
const SPIN: Duration = Duration::from_micros(50);

pub(super) fn echo_on_tokio(address: &str, threads: usize) -> io::Result<()> {
    serve_on_tokio(address, threads, None, Echo)
}

/// Looks for I/O before it parks, with one thread.
pub(super) fn spin_on_tokio(address: &str, _: usize) -> io::Result<()> {
    on_tokio::block_on(1, async {
        tokio::spawn(prism_tokio::spin(SPIN));
        serve(prism_tokio::Server::bind(address).await?, None, Echo).await
    })?
}

/// Compresses at this level, without context takeover.
pub(super) fn deflate_on_tokio(address: &str, threads: usize, level: u8) -> io::Result<()> {
    serve_on_tokio(address, threads, Some(Deflate::default().level(level)), Echo)
}

/// Compresses at this level, with context takeover, and with windows of 4 KiB, which is the default.
pub(super) fn takeover_on_tokio(address: &str, threads: usize, level: u8) -> io::Result<()> {
    let deflate = Deflate::default().level(level).with_takeover();
    serve_on_tokio(address, threads, Some(deflate), Echo)
}

/// Compresses with context takeover, and with windows of 32 KiB.
pub(super) fn large_takeover_on_tokio(address: &str, threads: usize) -> io::Result<()> {
    let deflate = Deflate::default()
        .with_takeover()
        .server_max_window_bits(WindowBits::MAX)
        .client_max_window_bits(Some(WindowBits::MAX));
    serve_on_tokio(address, threads, Some(deflate), Echo)
}

pub(super) fn echo_sharded_on_tokio(address: &str, threads: usize) -> io::Result<()> {
    let listeners = prism_tokio::shared_listeners(address, threads)?;
    announce(listeners[0].local_addr()?);
    let build = |server: prism_tokio::Server| server.options(options(None)).websocket("/", Echo);
    prism_tokio::serve_sharded(listeners, build, pending()).map(drop)
}

pub(super) fn broadcast_on_tokio(address: &str, threads: usize) -> io::Result<()> {
    serve_on_tokio(address, threads, None, Broadcast::default())
}

pub(super) fn loop_on_tokio(address: &str, threads: usize) -> io::Result<()> {
    serve_on_tokio(address, threads, None, Loop::default())
}

pub(super) fn deflate_broadcast_on_tokio(address: &str, threads: usize) -> io::Result<()> {
    serve_on_tokio(address, threads, Some(Deflate::default()), Broadcast::default())
}

pub(super) fn rooms_on_tokio(address: &str, threads: usize) -> io::Result<()> {
    serve_on_tokio(address, threads, None, Room(Rooms::new()))
}

pub(super) fn deflate_rooms_on_tokio(address: &str, threads: usize) -> io::Result<()> {
    serve_on_tokio(address, threads, Some(Deflate::default()), Room(Rooms::new()))
}

pub(super) fn tls_on_tokio(address: &str, threads: usize) -> io::Result<()> {
    on_tokio::block_on(threads, async {
        let server = prism_tokio::Server::bind(address).await?.tls(tls::of_prism()?);
        serve(server, None, Echo).await
    })?
}

pub(super) fn echo_on_smol(address: &str, threads: usize) -> io::Result<()> {
    on_smol(address, threads, None, None)
}

/// Looks for I/O before it parks, with one thread.
pub(super) fn spin_on_smol(address: &str, _: usize) -> io::Result<()> {
    let executor = Arc::new(smol::Executor::new());
    let served = executor.run(async {
        let runtime = prism_smol::Smol::on(executor.clone());
        serve(prism_smol::Server::bind_on(runtime, address).await?, None, Echo).await
    });
    smol::block_on(prism_smol::spin(SPIN, served))
}

pub(super) fn deflate_on_smol(address: &str, threads: usize) -> io::Result<()> {
    on_smol(address, threads, Some(Deflate::default()), None)
}

pub(super) fn tls_on_smol(address: &str, threads: usize) -> io::Result<()> {
    on_smol(address, threads, None, Some(tls::of_prism()?))
}

fn on_smol(
    address: &str,
    threads: usize,
    deflate: Option<Deflate>,
    tls: Option<TlsServer>,
) -> io::Result<()> {
    let executor = Arc::new(smol::Executor::new());
    for _ in 1..threads {
        let executor = executor.clone();
        thread::spawn(move || smol::block_on(executor.run(pending::<()>())));
    }
    smol::block_on(executor.run(async {
        let runtime = prism_smol::Smol::on(executor.clone());
        let server = prism_smol::Server::bind_on(runtime, address).await?;
        serve(over(server, tls), deflate, Echo).await
    }))
}

pub(super) fn echo_on_async_std(address: &str, threads: usize) -> io::Result<()> {
    on_async_std(address, threads, None, None)
}

pub(super) fn deflate_on_async_std(address: &str, threads: usize) -> io::Result<()> {
    on_async_std(address, threads, Some(Deflate::default()), None)
}

pub(super) fn tls_on_async_std(address: &str, threads: usize) -> io::Result<()> {
    on_async_std(address, threads, None, Some(tls::of_prism()?))
}

fn on_async_std(
    address: &str,
    threads: usize,
    deflate: Option<Deflate>,
    tls: Option<TlsServer>,
) -> io::Result<()> {
    let config = GlobalExecutorConfig::default().with_min_threads(threads);
    async_global_executor::init_with_config(config.with_max_threads(threads));
    async_std::task::block_on(async {
        let server = prism_async_std::Server::bind(address).await?;
        serve(over(server, tls), deflate, Echo).await
    })
}

fn over<N: Network>(server: Server<N>, tls: Option<TlsServer>) -> Server<N> {
    match tls {
        Some(tls) => server.tls(tls),
        None => server,
    }
}

fn serve_on_tokio(
    address: &str,
    threads: usize,
    deflate: Option<Deflate>,
    handler: impl Handler,
) -> io::Result<()> {
    on_tokio::block_on(threads, async {
        serve(prism_tokio::Server::bind(address).await?, deflate, handler).await
    })?
}

async fn serve<N: Network>(
    server: Server<N>,
    deflate: Option<Deflate>,
    handler: impl Handler,
) -> io::Result<()> {
    announce(server.local_addr()?);
    server.options(options(deflate)).websocket("/", handler).serve().await;
    Ok(())
}

/// Returns the defaults, except for compression, larger messages, and the limit on handshakes from the environment.
pub(super) fn options(deflate: Option<Deflate>) -> ServerOptions {
    let mut options = ServerOptions::default();
    options.connection.protocol.max_message_size = MAX_MESSAGE;
    options.connection.protocol.deflate = deflate.map(Arc::new);
    let handshakes = env::var("PRISM_MAX_HANDSHAKES").ok().and_then(|word| word.parse().ok());
    options.max_handshakes = handshakes.unwrap_or(options.max_handshakes);
    options
}

pub(super) struct Echo;

impl Handler for Echo {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails only if the connection is closing
    }
}

/// Does the same as [`Broadcast`], with `prism-rooms`.
struct Room(Rooms);

impl Handler for Room {
    async fn on_connect(&self, connection: &Connection) {
        let _ = self.0.join(connection, "room"); // fails only if the connection has ended
    }

    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        self.0.to("room").send(message);
    }
}

#[derive(Default)]
struct Broadcast {
    everyone: Mutex<Vec<Connection>>,
}

impl Handler for Broadcast {
    async fn on_connect(&self, connection: &Connection) {
        self.everyone.lock().unwrap().push(connection.clone());
    }

    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        let message = PreparedMessage::new(message);
        for connection in self.everyone.lock().unwrap().iter() {
            let _ = connection.try_send(&message); // a slow connection misses it
        }
    }

    async fn on_disconnect(&self, connection: &Connection, _: Disconnect) {
        self.everyone.lock().unwrap().retain(|other| other.id() != connection.id());
    }
}

/// Does the same as [`Broadcast`], but does not encode the message first.
#[derive(Default)]
struct Loop(Broadcast);

impl Handler for Loop {
    async fn on_connect(&self, connection: &Connection) {
        self.0.on_connect(connection).await;
    }

    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        for connection in self.0.everyone.lock().unwrap().iter() {
            let _ = connection.try_send(message); // a slow connection misses it
        }
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.0.on_disconnect(connection, reason).await;
    }
}
