//! Connects to each URL and prints the outcome: connected, refused by the server, or failed.

use std::error::Error;

// To copy this file, replace `crate::prism` by your adapter, such as `prism_tokio`.
use crate::{
    command_line::Words,
    prism::{CloseCode, ConnectError, connect},
};

const HELP: &str = "\
Connects to each URL and prints the outcome: connected, refused by the server, or failed.

Usage: connect [URL...]

URL is by default ws://127.0.0.1:8080/ws.
";

pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let mut urls: Vec<_> = Words::new(HELP).collect();
    if urls.is_empty() {
        urls.push("ws://127.0.0.1:8080/ws".into());
    }
    for url in urls {
        match connect(&url).await {
            Ok(socket) => {
                println!("connected, subprotocol {:?}", socket.connection().subprotocol());
                socket.close(CloseCode::NORMAL, "").await;
            }
            // Trying again helps only if the status says so, such as 503.
            Err(ConnectError::Refused(refusal)) => {
                let body = String::from_utf8_lossy(&refusal.body);
                println!("refused with {}: {:?}", refusal.status, body.trim_end());
            }
            Err(error) => println!("failed: {error}"),
        }
    }
    Ok(())
}
