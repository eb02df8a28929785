//! Clients that reconnect, and servers that come and go.

use std::{
    env,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{Sender, channel},
    },
    time::Duration,
};

use async_channel::Receiver;
use prism_tests::subprocess::Subprocess;
use rustix::process::Signal;
use socket2::{Domain, Type};

use super::support::{
    TIMEOUT, block_on,
    handlers::{Echo, recorder},
    own_process::rerun,
    server::{serve, serve_at},
    wait_until,
};
use crate::{
    prism::{
        Authorized, Backoff, Client, CloseCode, Connection, ConnectionHandler, Disconnect, Ended,
        Handler, Message, OwnedMessage, Reconnect, Reply, Request, SendError, Server, Socket,
        per_connection, socket,
    },
    runtime::{shutdown_signal, spawn},
};

/// Reserves a port for servers that come and go: while the socket is kept, no other program is given this port.
fn reserve_port() -> (SocketAddr, impl Sized) {
    let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    // As a server's listener does.
    socket.set_reuse_address(true).expect("a socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("a free port");
    let address = socket.local_addr().expect("a bound socket").as_socket().expect("an address");
    (address, socket)
}

/// Returns a client of this server that reconnects quickly.
fn reconnect(address: SocketAddr) -> Reconnect {
    reconnect_with(Client::new(&format!("ws://{address}/")).expect("a good address"))
}

pub(super) fn reconnect_with(client: Client) -> Reconnect {
    let backoff =
        Backoff::default().first(Duration::from_millis(20)).most(Duration::from_millis(100));
    Reconnect::new(client).backoff(backoff)
}

/// Runs a handler in a task. Returns what ended last.
pub(super) fn run(reconnect: Reconnect, handler: impl ConnectionHandler) -> Receiver<Ended> {
    let (tell, told) = async_channel::bounded(1);
    spawn(async move {
        let _ = tell.send(reconnect.run(handler).await).await; // fails if the scenario is over
    });
    told
}

#[track_caller]
pub(super) fn ended(told: &Receiver<Ended>) -> Ended {
    block_on(told.recv()).expect("it gives up")
}

// ---- a server process that is killed and restarted

/// Set in the server process: the address to listen on.
const SERVER: &str = "PRISM_TESTS_RESTARTED_SERVER";

/// Each sixth server shuts down, and the other twenty are killed.
const RESTARTS: usize = 24;
const CLIENTS: usize = 10;
const SYMBOLS: [&str; 5] = ["ACME", "GLOBEX", "INITECH", "HOOLI", "UMBRELLA"];

/// Runs the server process: it confirms each subscription.
fn run_server(address: &str) {
    let asked = shutdown_signal();
    block_on(async {
        let server = Server::bind(address).await.expect("the reserved port");
        println!("listening");
        server.websocket("/", Echo).serve_until(asked).await
    });
}

/// Subscribes on each connection, and tells the scenario what was confirmed.
struct Subscriber {
    client: usize,
    connections: usize,
    confirmed: Sender<(usize, usize, String)>,
}

impl ConnectionHandler for Subscriber {
    async fn on_connect(&mut self, connection: &Connection) {
        self.connections += 1;
        for symbol in SYMBOLS {
            let _ = connection.send(symbol).await; // fails if the server is gone again
        }
    }

    async fn on_message(&mut self, _: &Connection, message: Message<'_>) {
        let symbol = message.as_text().expect("text").to_owned();
        let _ = self.confirmed.send((self.client, self.connections, symbol)); // fails if the scenario is over
    }
}

#[test]
fn all_subscriptions_are_back_each_time_that_a_killed_server_restarts() {
    if let Ok(address) = env::var(SERVER) {
        return run_server(&address);
    }
    let test = &all_subscriptions_are_back_each_time_that_a_killed_server_restarts;
    let (address, _reserved) = reserve_port();
    let start = || Subprocess::start(rerun(test).env(SERVER, address.to_string()));
    let (confirmed, confirmations) = channel();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let reconnect = reconnect(address);
            let handle = reconnect.handle();
            let subscriber = Subscriber { client, connections: 0, confirmed: confirmed.clone() };
            (handle, run(reconnect, subscriber))
        })
        .collect();
    for restart in 1..=RESTARTS {
        let server = start();
        server.wait_for_line("listening");
        // The subscriptions of each client on its present connection, of which there may be several.
        let mut confirmed = [(0, 0); CLIENTS];
        while confirmed.iter().any(|(_, count)| *count < SYMBOLS.len()) {
            let (client, connection, symbol) =
                confirmations.recv_timeout(TIMEOUT).expect("a confirmation");
            let (current, count) = &mut confirmed[client];
            if connection > *current {
                (*current, *count) = (connection, 0);
            }
            assert_eq!(symbol, SYMBOLS[*count], "client {client}, restart {restart}");
            *count += 1;
        }
        if restart % 6 != 0 {
            drop(server); // kills it
        } else {
            server.signal(Signal::TERM);
            server.finish().expect("the server ends within the grace period");
        }
    }
    for (handle, told) in clients {
        handle.close(CloseCode::NORMAL, "");
        assert!(matches!(ended(&told), Ended::Closed(_)));
    }
}

// ---- a server in this process

#[test]
fn a_message_waits_until_the_server_is_there() {
    let (address, _reserved) = reserve_port();
    let reconnect = reconnect(address);
    let handle = reconnect.handle();
    let (recorder, events) = recorder();
    let told = run(reconnect, recorder);
    let (sending, (tell, sent)) = (handle.clone(), channel());
    spawn(async move {
        let _ = tell.send(sending.send("waits").await); // fails if the scenario is over
    });
    assert!(sent.recv_timeout(Duration::from_millis(100)).is_err(), "there is no server");
    let server = serve_at(&address.to_string(), |server| server.websocket("/", Echo));
    events.connected();
    assert_eq!(events.message(), OwnedMessage::Text("waits".into()));
    server.stop();
    assert_eq!(events.ended().code(), 1001);
    assert_eq!(sent.recv_timeout(TIMEOUT).expect("an outcome"), Ok(()));
    handle.close(CloseCode::NORMAL, "");
    assert!(matches!(ended(&told), Ended::Closed(_)));
    assert_eq!(block_on(handle.send("too late")), Err(SendError::Closed));
    events.nothing_more();
}

/// Accepts the third token alone.
async fn third_token(request: Request) -> Result<Authorized, Reply> {
    match request.bearer_token().as_deref() {
        Some("3") => Ok(Authorized::default()),
        _ => Err(Reply::text(401, "the token has expired")),
    }
}

#[test]
fn a_refused_token_is_final_unless_the_application_has_a_fresh_one() {
    let server = serve(|server| server.authorize(third_token).websocket("/", Echo));
    let calls = Arc::new(AtomicUsize::new(0));
    let with_token = || {
        calls.store(0, Relaxed);
        let calls = calls.clone();
        reconnect(server.address()).before_each(move |client| {
            let token = format!("Bearer {}", calls.fetch_add(1, Relaxed) + 1);
            async move { client.header("Authorization", &token) }
        })
    };

    let (recording, events) = recorder();
    let told = run(with_token(), recording);
    let refused = ended(&told);
    assert_eq!((refused.status(), calls.load(Relaxed)), (Some(401), 1));
    events.nothing_more();

    let (recording, events) = recorder();
    let patient = with_token().retry_if(|ended| ended.status() == Some(401));
    let handle = patient.handle();
    let told = run(patient, recording);
    events.connected();
    assert_eq!(calls.load(Relaxed), 3);
    handle.close(CloseCode::NORMAL, "enough");
    match ended(&told) {
        Ended::Closed(Some(Disconnect::Local { reason, .. })) => assert_eq!(reason, "enough"),
        other => panic!("{other:?}"),
    }
    assert_eq!(events.ended().reason(), "enough");
    server.stop();
}

/// Closes its first connections with 1012, and the third with 1000.
pub(super) struct Restarting(pub(super) Arc<Mutex<usize>>);

impl Handler for Restarting {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails only if the connection is closing
        let count = {
            let mut count = self.0.lock().expect("no panic");
            *count += 1;
            *count
        };
        let code = if count < 3 { 1012 } else { 1000 };
        connection.close(CloseCode::new(code).expect("a good code"), "");
    }
}

/// Returns what the sockets of a client receive after a first message, until there is no other socket.
pub(super) fn echoes(mut reconnect: Reconnect) -> Vec<OwnedMessage> {
    block_on(async {
        let mut received = Vec::new();
        while let Some(socket) = reconnect.next().await {
            socket.send("hello").await.expect("an open connection");
            while let Ok(message) = socket.recv().await {
                received.push(message);
            }
        }
        received
    })
}

#[test]
fn next_returns_one_socket_after_the_other() {
    let server = serve(|server| server.websocket("/", Restarting(Arc::default())));
    let received = echoes(reconnect(server.address()));
    assert_eq!(received, vec![OwnedMessage::Text("hello".into()); 3]);
    server.stop();
}

/// Takes no messages, and aborts its connection when it may.
struct Deaf(Receiver<()>);

impl Handler for Deaf {
    async fn on_connect(&self, connection: &Connection) {
        let _ = self.0.recv().await; // or the scenario is over
        connection.abort();
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

#[test]
fn what_was_accepted_and_not_written_is_counted() {
    /// More than the kernel takes.
    const SIZE: usize = 64 << 20;
    let (open, gate) = async_channel::bounded(1);
    let server = serve(|server| server.websocket("/", Deaf(gate)));
    let (tell, told) = channel();
    let client = reconnect_with(server.client("/")).on_retry(move |retry| {
        let _ = tell.send(retry.unwritten); // fails if the scenario is over
    });
    let handle = client.handle();
    let (recorder, events) = recorder();
    let end = run(client, recorder);
    events.connected();
    block_on(handle.send(vec![0; SIZE])).expect("an open connection");
    block_on(open.send(())).expect("the server waits");
    let unwritten = told.recv_timeout(TIMEOUT).expect("another attempt");
    assert!((1..=SIZE as u64 + 14).contains(&unwritten), "{unwritten}");
    assert!(handle.unwritten() >= unwritten);
    handle.close(CloseCode::NORMAL, "");
    assert!(matches!(ended(&end), Ended::Closed(_)));
    open.close();
    server.stop();
}

/// Aborts its connection after some messages.
struct Unreliable {
    left: usize,
    received: Arc<Mutex<Vec<String>>>,
}

impl ConnectionHandler for Unreliable {
    async fn on_message(&mut self, connection: &Connection, message: Message<'_>) {
        let text = message.as_text().expect("text").to_owned();
        self.received.lock().expect("no panic").push(text);
        self.left -= 1;
        if self.left == 0 {
            connection.abort();
        }
    }
}

#[test]
fn messages_of_many_senders_arrive_in_order_and_at_most_once() {
    const SENDERS: usize = 8;
    /// Of some twenty connections.
    const ENOUGH: usize = 1_000;
    let received = Arc::new(Mutex::new(Vec::new()));
    let list = received.clone();
    let unreliable = move |_: &Connection| Unreliable { left: 50, received: list.clone() };
    let server = serve(|server| server.websocket("/", per_connection(unreliable)));
    let backoff = Backoff::default().first(Duration::from_millis(1)).most(Duration::from_millis(4));
    let client = Reconnect::new(server.client("/")).backoff(backoff);
    let handle = client.handle();
    let (recorder, _events) = recorder();
    let end = run(client, recorder);
    let (tell, told) = channel();
    for sender in 0..SENDERS {
        let (handle, tell) = (handle.clone(), tell.clone());
        spawn(async move {
            for n in 0.. {
                if handle.send(format!("{sender} {n} {:1000}", "")).await.is_err() {
                    break;
                }
            }
            let _ = tell.send(()); // fails if the scenario is over
        });
    }
    wait_until("enough has arrived", || received.lock().expect("no panic").len() >= ENOUGH);
    handle.close(CloseCode::NORMAL, "");
    for _ in 0..SENDERS {
        told.recv_timeout(TIMEOUT).expect("no sender waits in vain");
    }
    assert!(matches!(ended(&end), Ended::Closed(_)));
    server.stop();
    let mut next = [0; SENDERS];
    for text in &*received.lock().expect("no panic") {
        let mut numbers = text.split(' ').map(str::parse::<usize>);
        let mut number = || numbers.next().expect("a number").expect("a number");
        let (sender, n) = (number(), number());
        assert!(n >= next[sender], "{n} of {sender} came again, or too late: {}", next[sender]);
        next[sender] = n + 1;
    }
}

#[test]
fn a_server_that_accepts_and_drops_is_not_hammered() {
    let accepted = Arc::new(AtomicUsize::new(0));
    let counting = accepted.clone();
    let server = serve(|server| {
        server.websocket(
            "/",
            socket(move |socket: Socket| {
                counting.fetch_add(1, Relaxed);
                async move { socket.connection().abort() }
            }),
        )
    });
    let backoff = Backoff::default().first(Duration::from_millis(1));
    let client = Reconnect::new(server.client("/")).backoff(backoff);
    let (tell, told) = channel();
    let client = client.on_retry(move |retry| {
        let _ = tell.send((retry.attempt, retry.delay)); // fails if the scenario is over
    });
    let handle = client.handle();
    let (recorder, _events) = recorder();
    let end = run(client, recorder);
    for n in 1..=8 {
        let (attempt, delay) = told.recv_timeout(TIMEOUT).expect("another attempt");
        assert_eq!(attempt, n);
        assert!(delay <= Duration::from_millis(1 << (n - 1)), "{delay:?}");
    }
    handle.close(CloseCode::NORMAL, "");
    assert!(matches!(ended(&end), Ended::Closed(_)));
    assert!((8..=9).contains(&accepted.load(Relaxed)));
    server.stop();
}
