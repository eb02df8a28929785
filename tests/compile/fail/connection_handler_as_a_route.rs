use prism_tokio::{Connection, ConnectionHandler, Message, Server};

struct Player;

impl ConnectionHandler for Player {
    async fn on_message(&mut self, _: &Connection, _: Message<'_>) {}
}

fn routes(server: Server) -> Server {
    server.websocket("/play", Player)
}

fn main() {}
