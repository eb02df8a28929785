//! A router of axum over a pipe, on tokio's virtual time.

use std::{sync::Arc, time::Duration};

use axum::{Extension, Router, extract::State, response::Response, routing::any};
use hyper_util::service::TowerToHyperService;
use prism_axum::{Client, ConnectError, Socket, WebSocketUpgrade, WebSockets};
use prism_test::{Faults, Recorded, Recorder, pipe, serve_http};
use tokio::time::{Instant, sleep};

struct App {
    router: Router,
    websockets: WebSockets,
    recorder: Recorder,
}

impl App {
    fn new() -> Self {
        let (websockets, recorder) = (WebSockets::default(), Recorder::new());
        let router = Router::new()
            .route("/rooms/{room}", any(record))
            .with_state(Arc::new(recorder.clone()))
            .layer(Extension(websockets.clone()));
        Self { router, websockets, recorder }
    }

    async fn connect(&self, path: &str) -> Result<(Socket, Faults), ConnectError> {
        let (server, client, faults) = pipe();
        tokio::spawn(serve_http(server, TowerToHyperService::new(self.router.clone())));
        let client = Client::new(&format!("ws://test{path}"))?.connect_stream(client);
        Ok((client.await?, faults))
    }
}

async fn record(upgrade: WebSocketUpgrade, State(recorder): State<Arc<Recorder>>) -> Response {
    upgrade.handler(recorder)
}

#[tokio::test(start_paused = true)]
async fn a_router_opens_connections_and_refuses_others() {
    let app = App::new();
    let (socket, _) = app.connect("/rooms/a").await.unwrap();
    socket.send("hello").await.unwrap();
    socket.close(prism_axum::CloseCode::NORMAL, "bye").await;
    assert_eq!(app.recorder.connections()[0].param("room"), Some("a"));
    assert_eq!(app.recorder.events()[1], Recorded::Text("hello".into()));

    let refused = app.connect("/elsewhere").await.unwrap_err();
    assert!(matches!(refused, ConnectError::Refused(refusal) if refusal.status == 404));
}

#[tokio::test(start_paused = true)]
async fn a_lost_client_of_a_router_is_noticed() {
    let app = App::new();
    let (_socket, faults) = app.connect("/rooms/a").await.unwrap();
    sleep(Duration::from_secs(3600)).await; // it answers 180 pings
    assert_eq!(app.websockets.stats().counts().open, 1);
    let began = Instant::now();
    faults.stall();
    app.recorder.connections()[0].closed().await;
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_closes_the_connections_of_a_router() {
    let app = App::new();
    let (socket, _) = app.connect("/rooms/a").await.unwrap();
    let (shutdown, end) =
        futures_lite::future::zip(app.websockets.shut_down(), socket.recv()).await;
    assert_eq!((end.unwrap_err().code(), shutdown.closed), (1001, 1));
}
