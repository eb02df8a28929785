use std::sync::Arc;

use prism_tokio::{Reply, Server};

struct Database;

async fn list(_: Arc<Database>) -> Reply {
    Reply::new(204)
}

fn routes(server: Server, database: Arc<Database>) -> Server {
    server.get("/list", move |_| async move { list(database).await })
}

fn main() {}
