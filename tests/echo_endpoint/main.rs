//! `echo_endpoint server [RUNTIME]`, `echo_endpoint client URL [RUNTIME]`: an endpoint that echoes every
//! message, and prints how many it received and how the connection ended, or why none was made. It
//! serves the scripts of badly behaved peers in other languages: `tests/interop/half_dead.mjs`,
//! `half_dead.py`.

#[path = "../runtimes/mod.rs"]
mod runtimes;

use std::{
    env,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use prism_driver::{Client, Connection, Disconnect, Handler, Message, Network, Server};

const USAGE: &str = "echo_endpoint server [RUNTIME] | echo_endpoint client URL [RUNTIME]";

/// The caller ends this program earlier.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// Echoes and counts messages, of one connection at a time.
#[derive(Default)]
struct Echo {
    received: AtomicUsize,
}

impl Handler for Echo {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.received.fetch_add(1, Ordering::Relaxed);
        let _ = connection.send(message).await; // fails if the connection is closing
        let _ = connection.flush().await;
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        println!("received {}, {reason}", self.received.swap(0, Ordering::Relaxed));
    }
}

async fn serve<N: Network>(network: N) {
    let bound = Server::bind_on(network, "127.0.0.1:0").await;
    let server = bound.expect("a free port").websocket("/", Echo::default());
    println!("listening on ws://{}", server.local_addr().expect("a bound listener"));
    server.serve().await;
}

async fn connect<N: Network>(network: N, url: &str) {
    let client = Client::new_on(network, url).expect("a good address");
    if let Err(error) = client.run(Echo::default()).await {
        println!("no connection: {error}");
    }
}

macro_rules! on {
    ($runtime:ident, $role:expr, $url:expr) => {
        runtimes::$runtime::block_on(LIMIT, async {
            let network = runtimes::$runtime::Network::default();
            match $role {
                "server" => serve(network).await,
                _ => connect(network, $url).await,
            }
        })
    };
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (role, url, runtime) = match words[..] {
        ["server"] => ("server", "", "tokio"),
        ["server", runtime] => ("server", "", runtime),
        ["client", url] => ("client", url, "tokio"),
        ["client", url, runtime] => ("client", url, runtime),
        _ => panic!("{USAGE}"),
    };
    match runtime {
        "tokio" => on!(tokio, role, url),
        "smol" => on!(smol, role, url),
        "async-std" => on!(async_std, role, url),
        other => panic!("no such runtime: {other}; {USAGE}"),
    }
}
