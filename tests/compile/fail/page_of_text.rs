use prism_tokio::Server;

fn routes(server: Server) -> Server {
    server.get("/", |_| String::from("hello"))
}

fn main() {}
