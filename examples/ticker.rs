//! Market data: each client subscribes to symbols and gets their latest prices, as fast as it can read.
//!
//! ```text
//! ticker [ADDR]
//! ```
//!
//! A client opens `/prices`, and sends `+ACME` to subscribe and `-ACME` to unsubscribe. Prices change ten times a
//! second. A client that reads more slowly skips prices, and the next price that it gets is the latest: a ping follows
//! the prices, and no more are sent until its pong has shown that the client has read them. (Otherwise, on a slow link,
//! old prices would wait in the buffers of the operating systems.)

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, RwLock},
    thread,
    time::Duration,
};

// To copy this file, replace `crate::prism` by your adapter, such as `prism_tokio`.
use crate::prism::{CloseCode, Connection, ConnectionHandler, Message, Server, per_connection};

const SYMBOLS: [&str; 3] = ["ACME", "GLOBEX", "INITECH"];

/// The latest prices, and the connections to wake when they change.
struct Market {
    prices: RwLock<HashMap<&'static str, u32>>,
    subscribers: Mutex<Vec<Connection>>,
}

impl Market {
    fn new() -> Self {
        let prices = SYMBOLS.into_iter().map(|symbol| (symbol, 1000)).collect();
        Self { prices: RwLock::new(prices), subscribers: Mutex::default() }
    }

    /// Changes prices forever. A real market would receive them from elsewhere.
    fn run(&self) {
        for step in 0_u32.. {
            thread::sleep(Duration::from_millis(100));
            let symbol = SYMBOLS[step as usize % SYMBOLS.len()];
            self.prices.write().unwrap().insert(symbol, 1000 + step % 97);
            let mut subscribers = self.subscribers.lock().unwrap();
            subscribers.retain(Connection::is_open);
            subscribers.iter().for_each(Connection::wake);
        }
    }
}

/// The state of one connection. It needs no lock: only one method runs at a time.
struct Subscriber {
    market: Arc<Market>,
    /// The symbols that the client has subscribed to, with the price that it was sent last.
    sent: HashMap<&'static str, Option<u32>>,
    /// Whether prices are in flight: sent, but their pong has not arrived.
    in_flight: bool,
    /// Whether the market wakes this connection.
    is_registered: bool,
}

impl Subscriber {
    fn new(market: Arc<Market>) -> Self {
        Self { market, sent: HashMap::new(), in_flight: false, is_registered: false }
    }

    /// Sends the prices that have changed, unless others are in flight.
    async fn send_changes(&mut self, connection: &Connection) {
        let was_in_flight = self.in_flight;
        for (symbol, sent) in self.sent.iter_mut().filter(|_| !was_in_flight) {
            let price = self.market.prices.read().unwrap().get(symbol).copied();
            if let Some(new) = price.filter(|_| price != *sent)
                && connection.send(format!("{symbol} {new}")).await.is_ok()
            {
                *sent = price;
                self.in_flight = true;
            }
        }
        if self.in_flight && !was_in_flight {
            let _ = connection.flush().await; // `ping` fails if the outbox is full
            let _ = connection.ping(b"prices"); // fails only if the connection is closing
        }
    }
}

impl ConnectionHandler for Subscriber {
    async fn on_message(&mut self, connection: &Connection, message: Message<'_>) {
        let text = message.as_text().unwrap_or_default();
        let symbol = SYMBOLS.into_iter().find(|symbol| text.get(1..) == Some(symbol));
        match (text.chars().next(), symbol) {
            (Some('+'), Some(symbol)) => {
                if !std::mem::replace(&mut self.is_registered, true) {
                    self.market.subscribers.lock().unwrap().push(connection.clone());
                }
                self.sent.entry(symbol).or_default();
                self.send_changes(connection).await;
            }
            (Some('-'), Some(symbol)) => {
                self.sent.remove(symbol);
            }
            _ => {
                connection.close(CloseCode::POLICY_VIOLATION, "expected +SYMBOL or -SYMBOL");
            }
        }
    }

    async fn on_wake(&mut self, connection: &Connection) {
        self.send_changes(connection).await;
    }

    async fn on_pong(&mut self, connection: &Connection, _: &[u8]) {
        self.in_flight = false;
        self.send_changes(connection).await;
    }
}

/// Serves until `shutdown` completes and all connections are closed.
pub(crate) async fn serve(address: &str, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let market = Arc::new(Market::new());
    let subscribers = market.clone();
    let server = Server::bind(address)
        .await?
        .websocket("/prices", per_connection(move |_| Subscriber::new(subscribers.clone())));
    println!("listening on ws://{}/prices", server.local_addr()?);
    thread::spawn(move || market.run());
    server.serve_until(shutdown).await;
    Ok(())
}
