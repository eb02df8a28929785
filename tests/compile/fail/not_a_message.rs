use prism_tokio::Connection;

async fn send(connection: &Connection) {
    let _ = connection.send(42).await;
}

fn main() {}
