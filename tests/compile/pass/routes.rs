//! Every form of a route, of authorization and of a page.

use std::sync::Arc;

use prism_tokio::{
    Authorized, Client, Connection, ConnectionHandler, Handler, Message, Options, Origins, Reply,
    Request, Route, Server, Socket, WhenSlow, per_connection, serve_stream, shared, socket,
};

struct Shared;

impl Handler for Shared {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

#[derive(Default)]
struct Own {
    received: u64,
}

impl ConnectionHandler for Own {
    async fn on_message(&mut self, _: &Connection, _: Message<'_>) {
        self.received += 1;
    }
}

struct User;

async fn log_in(request: Request) -> Result<Authorized, Reply> {
    match request.bearer_token() {
        Some(_) => Ok(Authorized::new(User)),
        None => Err(Reply::new(401)),
    }
}

async fn echo(socket: Socket) {
    while let Ok(message) = socket.recv().await {
        let _ = socket.send(message).await;
    }
}

fn uploads() -> Route<prism_tokio::Tokio> {
    let options = Options::default().max_message_size(256 << 20).when_slow(WhenSlow::Close);
    shared(Shared).options(options).origins(Origins::any()).subprotocols(["upload"])
}

async fn server(server: Server) -> Result<(), prism_tokio::InvalidHeader> {
    let allowed = Arc::new(["/a"]);
    server
        .websocket("/", Shared)
        .websocket("/shared", Arc::new(Shared))
        .websocket("/own", per_connection(|_| Own::default()))
        .websocket(
            "/path",
            per_connection(|connection| Own { received: connection.path().len() as u64 }),
        )
        .websocket("/socket", socket(echo))
        .websocket("/closure", socket(|socket| async move { drop(socket.recv().await) }))
        .websocket("/async-closure", socket(async |socket| drop(socket.recv().await)))
        .websocket("/upload", uploads())
        .websocket("/user", shared(Shared).authorize(log_in).header("X-A", "b")?)
        .websocket("/open", shared(Shared).authorize(async |_| Ok(())))
        .websocket(
            "/checked",
            shared(Shared).authorize(move |request| {
                let allowed = allowed.clone();
                async move {
                    if allowed.contains(&request.path()) { Ok(()) } else { Err(Reply::new(403)) }
                }
            }),
        )
        .get("/page", |_| Reply::html("page"))
        .get("/async", async |request: Request| Reply::text(200, request.path().to_owned()))
        .authorize(log_in)
        .serve()
        .await;
    Ok(())
}

async fn one_connection(stream: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
    serve_stream(stream, &Options::default(), Own::default()).await?;
    Client::new("ws://localhost/")?.run(Own::default()).await?;
    let task = Client::new("ws://localhost/")?.spawn(Arc::new(Shared)).await?;
    task.connection().try_send("hello")?;
    task.await;
    Ok(())
}
