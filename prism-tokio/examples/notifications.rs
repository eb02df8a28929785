//! Notifications: axum does the HTTP, Prism the WebSockets, and both share the handler.
//!
//! A client opens `/ws` and sends its user name as its first message. Whoever wants to tell it
//! something posts it:
//!
//! ```text
//! curl -d 'your parcel is here' http://127.0.0.1:8080/notify/ada
//! ```

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hyper_util::rt::TokioIo;
use prism_core::accept_key;
use prism_tokio::{
    CloseCode, Connection, ConnectionId, Disconnect, Handler, Message, Options, serve_upgraded,
};

#[path = "../../examples/signals_tokio.rs"]
mod signals;

/// Who listens, and under which name, once that is known. A user may have several devices.
#[derive(Default)]
struct Notifier {
    devices: Mutex<HashMap<ConnectionId, (Option<String>, Connection)>>,
}

impl Notifier {
    /// Tells all devices of a user; how many that were.
    fn notify(&self, user: &str, text: &str) -> usize {
        let devices = self.devices.lock().unwrap();
        let of_user = devices.values().filter(|(name, _)| name.as_deref() == Some(user));
        of_user.filter(|(_, device)| device.try_send(text).is_ok()).count()
    }

    /// Closes all connections, and waits for them; what a `Server` of Prism's would do by itself.
    async fn shut_down(&self) {
        let devices: Vec<_> = self.devices.lock().unwrap().values().cloned().collect();
        for (_, device) in &devices {
            device.close(CloseCode::GOING_AWAY, "the server is shutting down");
        }
        for (_, device) in &devices {
            device.closed().await;
        }
    }
}

impl Handler for Notifier {
    async fn on_connect(&self, connection: &Connection) {
        let device = (None, connection.clone());
        self.devices.lock().unwrap().insert(connection.id(), device);
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let Message::Text(user) = message else {
            connection.close(CloseCode::UNSUPPORTED_DATA, "send your user name as text");
            return;
        };
        if let Some((name, _)) = self.devices.lock().unwrap().get_mut(&connection.id()) {
            name.get_or_insert_with(|| user.to_owned());
        }
    }

    async fn on_disconnect(&self, connection: &Connection, _: Disconnect) {
        self.devices.lock().unwrap().remove(&connection.id());
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let (asked_to_end, notifier) = (signals::asked_to_end()?, Arc::new(Notifier::default()));
    let routes = Router::new()
        .route("/ws", get(web_socket))
        .route("/notify/{user}", post(notify))
        .with_state(notifier.clone());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, routes).with_graceful_shutdown(asked_to_end).await?;
    notifier.shut_down().await;
    Ok(())
}

async fn notify(
    State(notifier): State<Arc<Notifier>>,
    Path(user): Path<String>,
    text: String,
) -> (StatusCode, String) {
    match notifier.notify(&user, &text) {
        0 => (StatusCode::NOT_FOUND, format!("{user} is not connected\n")),
        devices => (StatusCode::OK, format!("told {devices} device(s) of {user}\n")),
    }
}

/// Answers the handshake, and hands the stream to Prism when axum is done with it.
async fn web_socket(State(notifier): State<Arc<Notifier>>, mut request: Request) -> Response {
    let Some(key) = web_socket_key(request.headers()) else {
        return (StatusCode::UPGRADE_REQUIRED, [(header::UPGRADE, "websocket")]).into_response();
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
            serve_upgraded(TokioIo::new(stream), "/ws", &options, &notifier).await;
        }
    });
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// The key of a request that asks for a WebSocket (RFC 6455 §4.2.1).
fn web_socket_key(headers: &HeaderMap) -> Option<&HeaderValue> {
    let has = |name: HeaderName, token: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let mut tokens = values.flat_map(|value| value.split(','));
        tokens.any(|other| other.trim().eq_ignore_ascii_case(token))
    };
    let asks = has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
        && has(header::SEC_WEBSOCKET_VERSION, "13");
    // 16 bytes in base64.
    headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| asks && key.len() == 24)
}
