use prism_tokio::{Options, Tokio, prism_driver};

async fn serve(stream: tokio::net::TcpStream, handler: impl prism_tokio::Handler) {
    let _ = prism_driver::serve_stream(Tokio, stream, &Options::default(), handler).await;
}

fn main() {}
