use prism_tokio::{Client, Tcp};

async fn connect(client: Client, stream: Tcp) {
    let _ = client.connect_stream(stream).await;
}

fn main() {}
