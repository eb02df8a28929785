use prism_tokio::{Server, Socket};

async fn echo(socket: Socket) {
    let _ = socket.recv().await;
}

fn routes(server: Server) -> Server {
    server.websocket("/echo", echo)
}

fn main() {}
