//! A server with actix-ws, as in its documentation, with messages joined by its own aggregation:
//! `actix-ws ADDR [THREADS]`.

use std::{env, io};

use actix_web::{HttpRequest, HttpResponse, HttpServer, rt, web};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, Session};

/// The largest message.
const MAX_MESSAGE: usize = 64 << 20;

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".into());
    let threads = arguments.next().map_or(Ok(1), |word| word.parse()).map_err(io::Error::other)?;
    rt::System::new().block_on(async {
        let app = || actix_web::App::new().route("/", web::get().to(upgrade));
        let server = HttpServer::new(app).workers(threads).tcp_nodelay(true).bind(address)?;
        println!("listening on {}", server.addrs()[0]);
        server.run().await
    })
}

async fn upgrade(request: HttpRequest, body: web::Payload) -> actix_web::Result<HttpResponse> {
    let (response, session, messages) = actix_ws::handle(&request, body)?;
    let messages = messages.max_frame_size(MAX_MESSAGE).aggregate_continuations();
    rt::spawn(talk(session, messages.max_continuation_size(MAX_MESSAGE)));
    Ok(response)
}

async fn talk(mut session: Session, mut messages: AggregatedMessageStream) {
    while let Some(Ok(message)) = messages.recv().await {
        let sent = match message {
            AggregatedMessage::Text(text) => session.text(text).await,
            AggregatedMessage::Binary(bytes) => session.binary(bytes).await,
            AggregatedMessage::Ping(bytes) => session.pong(&bytes).await,
            AggregatedMessage::Pong(_) => Ok(()),
            AggregatedMessage::Close(_) => break,
        };
        if sent.is_err() {
            return;
        }
    }
    let _ = session.close(None).await; // fails if the client is gone
}
