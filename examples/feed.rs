//! A client that survives outages: it follows the prices of the example `ticker`, and subscribes again on each
//! connection.
//!
//! Run it, and start, stop and restart `ticker` while it runs. Ctrl-C ends it, also during an outage.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use futures_lite::future::{or, pending};

// To copy this file, replace `crate::prism` by your adapter, such as `prism_tokio`.
use crate::{
    command_line::Words,
    prism::{
        Backoff, Client, CloseCode, Connection, ConnectionHandler, Disconnect, Ended, Message,
        Reconnect,
    },
};

const HELP: &str = "\
Follows the prices of the example ticker, also through outages.

Usage: feed [URL [SYMBOL...]]

URL is that of the ticker, by default ws://127.0.0.1:8080/prices, and SYMBOL a symbol to follow, by default ACME.
";

/// The state of the client, which outlives each connection.
struct Feed {
    symbols: Vec<String>,
    /// When the last connection ended.
    outage_began: Option<Instant>,
}

impl ConnectionHandler for Feed {
    /// Subscribes. The server knows nothing of earlier connections.
    async fn on_connect(&mut self, connection: &Connection) {
        match self.outage_began.take() {
            None => println!("connected"),
            Some(then) => println!("connected again after {:.1} s", then.elapsed().as_secs_f64()),
        }
        for symbol in &self.symbols {
            let _ = connection.send(format!("+{symbol}")).await; // fails only if the connection is closing
        }
    }

    async fn on_message(&mut self, _: &Connection, message: Message<'_>) {
        // The server's text could contain control characters for the terminal.
        println!("{}", message.as_text().unwrap_or_default().escape_debug());
    }

    async fn on_disconnect(&mut self, _: &Connection, _: Disconnect) {
        self.outage_began = Some(Instant::now());
    }
}

/// Follows the prices until `shutdown` completes, or until there is no point in another attempt.
pub(crate) async fn run(shutdown: impl Future<Output = ()>) -> Result<(), Box<dyn Error>> {
    let mut words = Words::new(HELP);
    let url = words.next().unwrap_or_else(|| "ws://127.0.0.1:8080/prices".into());
    let mut symbols: Vec<_> = words.collect();
    if symbols.is_empty() {
        symbols.push("ACME".into());
    }
    let backoff = Backoff::default().first(Duration::from_secs(1)).most(Duration::from_secs(15));
    let reconnect = Reconnect::new(Client::new(&url)?).backoff(backoff).on_retry(|retry| {
        let delay = retry.delay.as_secs_f64();
        println!("attempt {} in {delay:.1} s, because: {}", retry.attempt, retry.reason);
    });
    let handle = reconnect.handle();
    let until_shutdown = async {
        shutdown.await;
        handle.close(CloseCode::NORMAL, ""); // then `run` returns
        pending().await
    };
    let following = reconnect.run(Feed { symbols, outage_began: None });
    match or(following, until_shutdown).await {
        ended @ Ended::Closed(_) => {
            println!("{ended}");
            Ok(())
        }
        ended => Err(format!("gave up: {ended}").into()),
    }
}
