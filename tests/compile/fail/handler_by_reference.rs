use prism_tokio::{Connection, Handler, Message, Options, serve_stream};

struct Echo;

impl Handler for Echo {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

async fn serve(stream: tokio::net::TcpStream) {
    let _ = serve_stream(stream, &Options::default(), &Echo).await;
}

fn main() {}
