//! `through_proxy RUNTIME URL`: connects to an echo server through the proxy that the environment names, and
//! prints whether a message comes back, or why there is no connection. It serves `.ci/client_proxies`.

#[path = "../runtimes/mod.rs"]
mod runtimes;

use std::{env, time::Duration};

use prism_driver::{Client, CloseCode, ConnectError, Network, Proxy, Socket};

const USAGE: &str = "through_proxy tokio|smol|async-std URL";

/// How long a connection and its message may take together.
const LIMIT: Duration = Duration::from_secs(20);

async fn visit<N: Network + Default>(url: &str) {
    match connect::<N>(url).await {
        Err(error) => println!("no connection: {error}"),
        Ok(socket) => {
            socket.send("hello").await.expect("an open connection");
            let echoed = socket.recv().await.expect("an echo");
            println!("echoed: {}", echoed.as_message().as_text().expect("text"));
            socket.close(CloseCode::NORMAL, "").await;
        }
    }
}

async fn connect<N: Network + Default>(url: &str) -> Result<Socket, ConnectError> {
    Client::<N>::new(url)?.proxy(Proxy::from_env()?).connect().await
}

macro_rules! on {
    ($runtime:ident, $url:expr) => {
        runtimes::$runtime::block_on(LIMIT, visit::<runtimes::$runtime::Network>($url))
    };
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let [runtime, url] = &words[..] else { panic!("{USAGE}") };
    match runtime.as_str() {
        "tokio" => on!(tokio, url),
        "smol" => on!(smol, url),
        "async-std" => on!(async_std, url),
        _ => panic!("{USAGE}"),
    }
}
