use prism_tokio::{Reply, Request, Server};

struct User;

async fn log_in(request: Request) -> Result<User, Reply> {
    match request.cookie("session") {
        Some(_) => Ok(User),
        None => Err(Reply::new(401)),
    }
}

fn routes(server: Server) -> Server {
    server.authorize(log_in)
}

fn main() {}
