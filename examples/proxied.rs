//! A server behind a proxy on the same machine: tells each client the client's address, and sends every message back.
//!
//! The proxy is an HTTP proxy that sets `X-Forwarded-For`. With `--forwarded` it sets `Forwarded` instead. With
//! `--proxy-protocol` it is a proxy for TCP, which sends a header of the PROXY protocol. The configurations of proxies
//! are in `prism-driver/docs/behind-a-proxy.md`.

use std::{error::Error, time::Duration};

// To copy this file, replace `crate::prism` by your adapter, such as `prism_tokio`.
use crate::{
    command_line::Words,
    prism::{
        CloseCode, Connection, ForwardedHeader, Handler, Message, Options, Reply, Server,
        ServerOptions,
    },
};

const HELP: &str = "\
A server behind a proxy on the same machine, which sets X-Forwarded-For.

Usage: proxied [ADDR] [OPTION...]

ADDR is the address to listen on, by default 127.0.0.1:8080.

  --forwarded                    the proxy sets Forwarded instead
  --proxy-protocol               the proxy is one for TCP, and sends a header of the PROXY protocol
  --max-connections-per-ip N     limit the connections of a client (default: no limit)
  --ping-interval SECONDS        ping after this time without any message (default: 20)
";

/// The proxy's addresses. No client may be able to connect from these.
const PROXIES: [&str; 2] = ["127.0.0.1", "::1"];

struct Greeter;

impl Handler for Greeter {
    async fn on_connect(&self, connection: &Connection) {
        if let Some(client) = connection.peer_addr() {
            let _ = connection.send(format!("hello {client}")).await; // fails if the client has left
        }
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        if message == Message::Text("bye") {
            let code = CloseCode::new(4000).expect("from 4000 on, codes are the application's");
            connection.close(code, "see you");
        }
        let _ = connection.send(message).await; // fails if the connection is closing
    }
}

/// Serves until `shutdown` completes and all connections are closed.
pub(crate) async fn serve(shutdown: impl Future<Output = ()>) -> Result<(), Box<dyn Error>> {
    let mut address = "127.0.0.1:8080".to_owned();
    let mut options = Options::default().max_message_size(16 << 20);
    let (mut header, mut max_per_ip) = (Some(ForwardedHeader::XForwardedFor), None);
    let mut words = Words::new(HELP);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--forwarded" => header = Some(ForwardedHeader::Forwarded),
            "--proxy-protocol" => header = None,
            "--max-connections-per-ip" => max_per_ip = Some(words.number()?),
            "--ping-interval" => {
                options = options.ping_interval(Some(Duration::from_secs(words.number()?)));
            }
            _ => address = words.address()?,
        }
    }
    let options = ServerOptions::from(options).max_connections_per_ip(max_per_ip);
    let server = Server::bind(address).await?.options(options);
    println!("listening on http://{}", server.local_addr()?);
    let server = match header {
        Some(header) => server.trust_proxies(header, PROXIES)?,
        None => server.proxy_protocol(PROXIES)?,
    };
    let stats = server.stats();
    server
        .get("/", |request| Reply::text(200, request.peer_addr().to_string()))
        .get("/metrics", move |_| stats.openmetrics()) // a real server keeps these from the clients
        .websocket("/ws", Greeter)
        .serve_until(shutdown)
        .await;
    Ok(())
}
