use prism_tokio::Server;

struct Chat;

fn routes(server: Server) -> Server {
    server.websocket("/chat", Chat)
}

fn main() {}
