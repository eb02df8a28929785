use std::sync::Arc;

use prism_tokio::{Reply, Request, Server};

struct Database;

fn routes(server: Server, database: Arc<Database>) -> Server {
    server.authorize(async move |_: Request| {
        let _database = database.clone();
        Ok::<_, Reply>(())
    })
}

fn main() {}
