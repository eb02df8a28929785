//! Requests and answers in both directions, with time limits, and notifications: a subset of JSON-RPC 2.0.
//!
//! ```text
//! rpc
//! ```
//!
//! The program runs a server and a client of that server, and prints the results of their calls. Both ends use the same
//! code.
//!
//! The answer to a request is a message like any other, so it arrives through `on_message`. If a handler awaited an
//! answer in `on_message`, it would wait forever: nothing more is read from the peer until `on_message` returns. So
//! methods, which may take time or call the peer in turn, run in tasks of their own.

use std::{
    collections::HashMap,
    error::Error,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_channel::Sender;
use futures_lite::future::or;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

// To copy this file, replace `crate::prism` by your adapter, such as `prism_tokio`.
use crate::prism::{
    Client, CloseCode, Connection, ConnectionHandler, Disconnect, Message, Server, per_connection,
};

/// How long a call may take.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// How many methods a peer may have running at once. A peer that calls more is disconnected; otherwise, it could fill
/// the memory with tasks.
const MAX_RUNNING: usize = 100;

/// A message of JSON-RPC 2.0: a request has a method and an ID, a notification only a method, and an answer only an ID.
#[derive(Default, Deserialize, Serialize)]
struct Packet {
    jsonrpc: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    params: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
}

/// Why a call has no result.
#[derive(Debug)]
enum CallError {
    /// The peer answered with an error.
    Peer(Value),
    /// The connection is closing or over.
    Closed,
    TimedOut,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(error) => write!(f, "the peer answered with an error: {error}"),
            Self::Closed => f.write_str("the connection is closed"),
            Self::TimedOut => f.write_str("the peer did not answer in time"),
        }
    }
}

impl Error for CallError {}

/// The other end of a connection, whose methods can be called. Clone it for other tasks.
#[derive(Clone)]
struct Peer {
    connection: Connection,
    calls: Arc<Mutex<Calls>>,
}

/// The calls on one connection that wait for an answer. (They need a lock, because any task may call.)
#[derive(Default)]
struct Calls {
    last_id: u64,
    waiting: HashMap<u64, Sender<Packet>>,
}

/// A call that waits for an answer. Dropping it ends the wait, for instance when the call's time is over.
struct Call<'a> {
    peer: &'a Peer,
    id: u64,
}

impl Peer {
    /// Calls a method of the peer, and returns its result.
    async fn call(&self, method: &str, params: Value) -> Result<Value, CallError> {
        let (answered, answer) = async_channel::bounded(1);
        let call = Call::begin(self, answered);
        let packet = Packet { id: Some(call.id), ..request(method, params) };
        let answer = async {
            self.send(&packet).await?;
            answer.recv().await.map_err(|_| CallError::Closed) // no answer can come any more
        };
        let limit = async {
            crate::sleep(TIME_LIMIT).await;
            Err(CallError::TimedOut)
        };
        match or(answer, limit).await? {
            Packet { error: Some(error), .. } => Err(CallError::Peer(error)),
            Packet { result, .. } => Ok(result.unwrap_or_default()),
        }
    }

    /// Notifies the peer, which does not answer.
    async fn notify(&self, method: &str, params: Value) -> Result<(), CallError> {
        self.send(&request(method, params)).await
    }

    async fn send(&self, packet: &Packet) -> Result<(), CallError> {
        let text = serde_json::to_string(packet).expect("it has only keys that are strings");
        self.connection.send(text).await.map_err(|_| CallError::Closed)
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().expect("no task panics while it holds the lock")
    }
}

fn request(method: &str, params: Value) -> Packet {
    Packet { method: Some(method.into()), params, ..answer(None) }
}

fn answer(id: Option<u64>) -> Packet {
    Packet { jsonrpc: "2.0".into(), id, ..Packet::default() }
}

impl<'a> Call<'a> {
    fn begin(peer: &'a Peer, answered: Sender<Packet>) -> Self {
        let mut calls = peer.calls();
        calls.last_id += 1;
        let id = calls.last_id;
        calls.waiting.insert(id, answered);
        Self { peer, id }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.peer.calls().waiting.remove(&self.id);
    }
}

/// Runs a method of one end, given its name and parameters. A method runs in a task of its own, and may call the peer.
type Method = fn(Peer, String, Value) -> Outcome;
type Outcome = Pin<Box<dyn Future<Output = Result<Value, CallError>> + Send>>;

/// The handler of one connection, on either end.
struct Rpc {
    calls: Arc<Mutex<Calls>>,
    method: Method,
    /// Each running method has a clone.
    running: Arc<()>,
}

impl Rpc {
    fn new(method: Method) -> Self {
        Self { calls: Arc::default(), method, running: Arc::default() }
    }

    fn peer(&self, connection: &Connection) -> Peer {
        Peer { connection: connection.clone(), calls: self.calls.clone() }
    }
}

impl ConnectionHandler for Rpc {
    async fn on_message(&mut self, connection: &Connection, message: Message<'_>) {
        let peer = self.peer(connection);
        match serde_json::from_slice(message.as_bytes()) {
            Ok(Packet { method: Some(name), id, params, .. }) => {
                // To wait here until a method has ended could take forever: that method may wait for a message.
                if Arc::strong_count(&self.running) > MAX_RUNNING {
                    connection.close(CloseCode::POLICY_VIOLATION, "too many methods at once");
                    return;
                }
                let (method, running) = (self.method, self.running.clone());
                crate::spawn(async move {
                    run_method(method, peer, name, id, params).await;
                    drop(running);
                });
            }
            Ok(packet @ Packet { id: Some(id), .. }) => {
                if let Some(call) = peer.calls().waiting.remove(&id) {
                    let _ = call.try_send(packet); // fails only if the call's time is over
                }
            }
            _ => {
                connection.close(CloseCode::INVALID_PAYLOAD, "expected JSON-RPC 2.0");
            }
        }
    }

    async fn on_disconnect(&mut self, connection: &Connection, _: Disconnect) {
        self.peer(connection).calls().waiting.clear(); // no answer can come any more
    }
}

/// Runs a method, and answers unless it was a notification.
async fn run_method(method: Method, peer: Peer, name: String, id: Option<u64>, params: Value) {
    let reply = match method(peer.clone(), name, params).await {
        Ok(result) => Packet { result: Some(result), ..answer(id) },
        Err(CallError::Peer(error)) => Packet { error: Some(error), ..answer(id) },
        Err(error) => Packet { error: Some(failure(&error.to_string())), ..answer(id) },
    };
    if id.is_some() {
        let _ = peer.send(&reply).await; // fails only if the connection is closing
    }
}

/// Returns an error of JSON-RPC.
fn failure(message: &str) -> Value {
    json!({ "code": -32000, "message": message })
}

/// The server's methods. `greet` asks the client for its name first.
fn on_server(client: Peer, method: String, params: Value) -> Outcome {
    Box::pin(async move {
        match method.as_str() {
            "add" => Ok(json!(params[0].as_i64().unwrap_or(0) + params[1].as_i64().unwrap_or(0))),
            "greet" => {
                let name = client.call("name", Value::Null).await?;
                Ok(json!(format!("hello, {}", name.as_str().unwrap_or("you"))))
            }
            "log" => {
                println!("server: the client says {params}");
                Ok(Value::Null)
            }
            _ => Err(CallError::Peer(failure(&format!("no method {method}")))),
        }
    })
}

/// The client's only method.
fn on_client(_: Peer, method: String, _: Value) -> Outcome {
    Box::pin(async move {
        match method.as_str() {
            "name" => Ok(json!("Ada")),
            _ => Err(CallError::Peer(failure(&format!("no method {method}")))),
        }
    })
}

/// Runs a server, and a client that calls its methods.
pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let server = Server::bind("127.0.0.1:0").await?;
    let server = server.websocket("/rpc", per_connection(|_| Rpc::new(on_server)));
    let url = format!("ws://{}/rpc", server.local_addr()?);
    let serve = async {
        server.serve().await;
        Ok(())
    };
    or(serve, call_server(&url)).await
}

async fn call_server(url: &str) -> Result<(), Box<dyn Error>> {
    let rpc = Rpc::new(on_client);
    let calls = rpc.calls.clone();
    let task = Client::new(url)?.spawn(rpc).await?;
    let server = Peer { connection: task.connection().clone(), calls };

    println!("2 + 3 = {}", server.call("add", json!([2, 3])).await?);
    println!("greet: {}", server.call("greet", Value::Null).await?);
    server.notify("log", json!("all is well")).await?;
    if let Err(error) = server.call("divide", json!([1, 0])).await {
        println!("divide: {error}");
    }

    server.connection.close(CloseCode::NORMAL, "");
    println!("{}", task.await);
    Ok(())
}
