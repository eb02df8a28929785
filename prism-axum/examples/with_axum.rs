//! Notifications: HTTP requests and WebSockets in one program, which share the list of devices.
//!
//! A client opens `/ws` and sends its user name as its first message. A POST request then notifies it:
//!
//! ```text
//! curl -d 'your parcel is here' http://127.0.0.1:8080/notify/ada
//! ```
//!
//! `axum::serve` limits neither how many connections there are nor how long they may be silent. This example does.
//! Unlike Prism's own `Server`, it evicts no idle connection for a new one.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Extension, Router,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
    routing::{any, post},
    serve::Listener,
};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use prism_axum::{
    CloseCode, Connection, ConnectionHandler, Disconnect, Message, Options, ServerOptions,
    WebSocketUpgrade, WebSockets, hold_wakeups,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::timeout,
};

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/signals_tokio.rs"]
mod signals;

/// The limits on connections. Each needs a file descriptor, of which a process often has only 1024.
const MAX_HTTP: u32 = 256;
const MAX_WEBSOCKETS: usize = 512;

/// How long a connection may speak HTTP.
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request or a connection in progress may still take, after that timeout or at a shutdown.
const GRACE: Duration = Duration::from_secs(10);

/// The connected devices of each user, by the user's name.
#[derive(Default)]
struct Notifier {
    devices: Mutex<HashMap<String, Vec<Connection>>>,
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
        let of_user = devices.get(user).into_iter().flatten();
        of_user.filter(|device| device.try_send(text).is_ok()).count()
    }
}

impl ConnectionHandler for Device {
    async fn on_message(&mut self, connection: &Connection, message: Message<'_>) {
        let Message::Text(user) = message else {
            connection.close(CloseCode::UNSUPPORTED_DATA, "send your user name as text");
            return;
        };
        if self.user.is_none() {
            self.user = Some(user.to_owned());
            let mut devices = self.notifier.devices.lock().unwrap();
            devices.entry(user.to_owned()).or_default().push(connection.clone());
        }
    }

    async fn on_disconnect(&mut self, connection: &Connection, _: Disconnect) {
        let mut devices = self.notifier.devices.lock().unwrap();
        if let Some(user) = &self.user
            && let Some(of_user) = devices.get_mut(user)
        {
            of_user.retain(|device| device.id() != connection.id());
            if of_user.is_empty() {
                devices.remove(user);
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), command_line::Failure> {
    let address = command_line::address()?;
    serve(&address, HTTP_TIMEOUT).await.map_err(|error| format!("{address}: {error}"))?;
    Ok(())
}

/// Serves until a signal requests a shutdown and all connections are closed, or the grace period is over.
pub(crate) async fn serve(address: &str, http_timeout: Duration) -> std::io::Result<()> {
    let mut shutdown_signal = pin!(signals::shutdown_signal()?);
    let limits = ServerOptions::from(Options::default()).max_connections(MAX_WEBSOCKETS);
    let websockets = WebSockets::new(limits.shutdown_grace(GRACE));
    let routes = Router::new()
        .route("/ws", any(websocket))
        .route("/notify/{user}", post(notify))
        .layer(Extension(websockets.clone()))
        .with_state(Arc::<Notifier>::default());
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
    let http_has_ended = timeout(GRACE, http_permits.acquire_many(MAX_HTTP));
    let _ = tokio::join!(http_has_ended, websockets.shut_down());
    Ok(())
}

/// Serves HTTP on a connection until it becomes a WebSocket, its time is over, or the server shuts down.
async fn serve_http(
    stream: TcpStream,
    routes: Router,
    http_timeout: Duration,
    mut shutdown: watch::Receiver<()>,
) {
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

async fn websocket(State(notifier): State<Arc<Notifier>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.handler(Device { notifier, user: None })
}
