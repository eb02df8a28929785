use std::rc::Rc;

use prism_tokio::{Reply, Server};

async fn load(_: &str) {}

fn routes(server: Server) -> Server {
    server.get("/", async |_| {
        let name = Rc::new(String::from("ada"));
        load(&name).await;
        Reply::new(204)
    })
}

fn main() {}
