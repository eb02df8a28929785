use prism_tokio::Connection;

struct User;

async fn send(connection: &Connection, user: &User) {
    let _ = connection.send(42).await;
    let _ = connection.try_send(user);
}

fn main() {}
