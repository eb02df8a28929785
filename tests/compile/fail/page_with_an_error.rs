use prism_tokio::{Reply, Server};

async fn page() -> std::io::Result<Reply> {
    Ok(Reply::html("hello"))
}

fn routes(server: Server) -> Server {
    server.get("/", |_| page())
}

fn main() {}
