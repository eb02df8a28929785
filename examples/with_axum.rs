//! Notifications: axum serves HTTP, Prism serves WebSockets, and both share the list of devices.
//!
//! A client opens `/ws` and sends its user name as its first message. A POST request then notifies it:
//!
//! ```text
//! curl -d 'your parcel is here' http://127.0.0.1:8080/notify/ada
//! ```
//!
//! This example does briefly what Prism's `Server` does by itself: connections are limited, HTTP has
//! deadlines, and a shutdown closes all connections. Unlike a `Server`, it evicts no idle connection for
//! a new one, and checks no [origin](prism_tokio::Server::origins).

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::Listener,
};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use prism_core::accept_key;
use prism_tokio::{
    CloseCode, Connection, ConnectionHandler, ConnectionId, Disconnect, Message, Options,
    hold_wakeups, serve_upgraded,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::timeout,
};

#[path = "signals_tokio.rs"]
mod signals;

/// The limits on connections. Each needs a file descriptor, of which a process often has only 1024.
const MAX_HTTP: u32 = 256;
const MAX_WEBSOCKETS: u32 = 512;

/// How long a connection may speak HTTP.
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request or a connection in progress may still take, after that timeout or at a shutdown.
const GRACE: Duration = Duration::from_secs(10);

struct Notifier {
    devices: Mutex<Devices>,
    /// Each WebSocket holds a permit, from the answer to its handshake until its transport has ended.
    permits: Arc<Semaphore>,
}

/// The connected devices.
#[derive(Default)]
struct Devices {
    all: HashMap<ConnectionId, Connection>,
    /// The devices of each user, by the user's name.
    of_user: HashMap<String, Vec<Connection>>,
    shutting_down: bool,
}

/// The handler of one device.
struct Device {
    notifier: Arc<Notifier>,
    /// The name of the user, once it is known.
    user: Option<String>,
}

impl Notifier {
    /// Notifies all devices of a user, and returns how many were notified.
    fn notify(&self, user: &str, text: &str) -> usize {
        let _wakeups = hold_wakeups(); // dropped after the lock, because it is declared before it
        let devices = self.devices.lock().unwrap();
        let of_user = devices.of_user.get(user).into_iter().flatten();
        of_user.filter(|device| device.try_send(text).is_ok()).count()
    }

    /// Closes all connections, including those that are opened later.
    fn close_all(&self) {
        let _wakeups = hold_wakeups();
        let mut devices = self.devices.lock().unwrap();
        devices.shutting_down = true;
        devices.all.values().for_each(go_away);
    }
}

impl ConnectionHandler for Device {
    async fn on_connect(&mut self, connection: &Connection) {
        let _wakeups = hold_wakeups();
        let mut devices = self.notifier.devices.lock().unwrap();
        devices.all.insert(connection.id(), connection.clone());
        if devices.shutting_down {
            go_away(connection);
        }
    }

    async fn on_message(&mut self, connection: &Connection, message: Message<'_>) {
        let Message::Text(user) = message else {
            connection.close(CloseCode::UNSUPPORTED_DATA, "send your user name as text");
            return;
        };
        if self.user.is_none() {
            self.user = Some(user.to_owned());
            let mut devices = self.notifier.devices.lock().unwrap();
            devices.of_user.entry(user.to_owned()).or_default().push(connection.clone());
        }
    }

    async fn on_disconnect(&mut self, connection: &Connection, _: Disconnect) {
        let mut devices = self.notifier.devices.lock().unwrap();
        devices.all.remove(&connection.id());
        if let Some(user) = &self.user
            && let Some(of_user) = devices.of_user.get_mut(user)
        {
            of_user.retain(|device| device.id() != connection.id());
            if of_user.is_empty() {
                devices.of_user.remove(user);
            }
        }
    }
}

fn go_away(device: &Connection) {
    device.close(CloseCode::GOING_AWAY, "the server is shutting down");
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    serve(&address, HTTP_TIMEOUT).await
}

/// Serves until a signal requests a shutdown and all connections are closed, or the grace period is over.
pub(crate) async fn serve(address: &str, http_timeout: Duration) -> std::io::Result<()> {
    let mut shutdown_signal = pin!(signals::shutdown_signal()?);
    let permits = Arc::new(Semaphore::new(MAX_WEBSOCKETS as usize));
    let notifier = Arc::new(Notifier { devices: Mutex::default(), permits: permits.clone() });
    let routes = Router::new()
        .route("/ws", get(websocket))
        .route("/notify/{user}", post(notify))
        .with_state(notifier.clone());
    let mut listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);

    let http_permits = Arc::new(Semaphore::new(MAX_HTTP as usize));
    let (running, shutdown) = watch::channel(());
    loop {
        let accepted = async {
            let permit = http_permits.clone().acquire_owned().await.expect("it is never closed");
            (permit, Listener::accept(&mut listener).await.0) // tries again after an error
        };
        let (permit, stream) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut shutdown_signal => break,
        };
        let (routes, shutdown) = (routes.clone(), shutdown.clone());
        tokio::spawn(async move {
            serve_http(stream, routes, http_timeout, shutdown).await;
            drop(permit);
        });
    }

    // HTTP and WebSockets end at the same time. The runtime drops what is left after the grace period.
    drop((listener, running));
    notifier.close_all();
    let http_has_ended = http_permits.acquire_many(MAX_HTTP);
    let websockets_have_ended = permits.acquire_many(MAX_WEBSOCKETS);
    let _ = timeout(GRACE, async { tokio::join!(http_has_ended, websockets_have_ended) }).await;
    Ok(())
}

/// Serves HTTP on a connection until it becomes a WebSocket, its time is over, or the server shuts down.
async fn serve_http(
    stream: TcpStream,
    routes: Router,
    http_timeout: Duration,
    mut shutdown: watch::Receiver<()>,
) {
    let _ = stream.set_nodelay(true); // notifications are small, and must not wait
    let service = TowerToHyperService::new(routes);
    let http = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut http = pin!(http.with_upgrades());
    tokio::select! {
        _ = &mut http => return,
        _ = timeout(http_timeout, shutdown.changed()) => http.as_mut().graceful_shutdown(),
    }
    let _ = timeout(GRACE, http).await; // a request in progress is still answered
}

async fn notify(
    State(notifier): State<Arc<Notifier>>,
    Path(user): Path<String>,
    text: String,
) -> (StatusCode, String) {
    match notifier.notify(&user, &text) {
        0 => (StatusCode::NOT_FOUND, format!("{user} is not connected\n")),
        devices => (StatusCode::OK, format!("notified {devices} device(s) of {user}\n")),
    }
}

/// Answers the handshake, and hands the stream over to Prism.
async fn websocket(State(notifier): State<Arc<Notifier>>, mut request: Request) -> Response {
    let key = match websocket_key(request.headers()) {
        Ok(key) => key,
        Err((status, why)) => {
            let expected = [
                (header::CONNECTION, "Upgrade"),
                (header::UPGRADE, "websocket"),
                (header::SEC_WEBSOCKET_VERSION, "13"),
            ];
            return (status, expected, why).into_response();
        }
    };
    let Ok(permit) = notifier.permits.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is full\n").into_response();
    };
    let accept = HeaderValue::from_str(accept_key(key).as_str()).expect("base64");
    let headers = [
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(stream) = upgraded.await {
            let options = Options::default();
            let device = Device { notifier, user: None };
            serve_upgraded(TokioIo::new(stream), "/ws", &options, device).await;
        }
        drop(permit);
    });
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// Returns the key of a request that asks for a WebSocket (RFC 6455 §4.2.1), or the refusal.
fn websocket_key(headers: &HeaderMap) -> Result<&HeaderValue, (StatusCode, &'static str)> {
    let has = |name: HeaderName, token: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let mut tokens = values.flat_map(|value| value.split(','));
        tokens.any(|other| other.trim().eq_ignore_ascii_case(token))
    };
    let asks = has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
        && has(header::SEC_WEBSOCKET_VERSION, "13");
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    match (keys.next(), keys.next()) {
        _ if !asks => Err((StatusCode::UPGRADE_REQUIRED, "expected a WebSocket\n")),
        // 16 bytes in base64.
        (Some(key), None) if key.len() == 24 => Ok(key),
        _ => Err((StatusCode::BAD_REQUEST, "expected one Sec-WebSocket-Key\n")),
    }
}
