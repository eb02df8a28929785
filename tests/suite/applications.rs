//! Small applications: a client that connects again, and uploads to a route with limits of its own.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::support::{block_on, handlers::Echo, server::serve};
use crate::prism::{
    Client, CloseCode, ConnectError, Disconnect, Options, Refusal, Reply, Request, Socket, socket,
};

/// Connects, and connects again when the connection has ended or the server is unavailable, until the server refuses
/// for another reason. Returns what was received.
async fn follow(client: Client) -> (Vec<String>, Refusal) {
    let mut received = Vec::new();
    loop {
        match client.clone().connect().await {
            Ok(socket) => {
                while let Ok(message) = socket.recv().await {
                    received.extend(message.as_text().map(str::to_owned));
                }
            }
            // An application would wait: for the time in `Retry-After`, or longer after each failure.
            Err(ConnectError::Refused(refusal)) if refusal.status == 503 => {}
            Err(ConnectError::Refused(refusal)) => return (received, refusal),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_client_connects_again_until_it_is_refused_for_good() {
    let requests = Arc::new(AtomicUsize::new(0));
    let authorize = move |_: Request| {
        let number = requests.fetch_add(1, Ordering::Relaxed);
        async move {
            match number {
                0 | 2 => Err(Reply::text(503, "busy")),
                1 | 3 => Ok(()),
                _ => Err(Reply::text(401, "the token has expired")),
            }
        }
    };
    let greet = async |socket: Socket| socket.send("news").await.expect("an open connection");
    let server = serve(|server| server.websocket("/", socket(greet).authorize(authorize)));
    let (received, refusal) = block_on(follow(server.client("/")));
    assert_eq!(received, ["news", "news"]);
    assert_eq!((refusal.status, &*refusal.body), (401, &b"the token has expired"[..]));
}

/// How much a connection may upload.
const QUOTA: usize = 5 << 20;

/// Counts what it receives, and closes when that is more than the quota.
async fn upload(socket: Socket) {
    let mut total = 0;
    while let Ok(message) = socket.recv().await {
        total += message.as_bytes().len();
        if total > QUOTA {
            socket.close(CloseCode::POLICY_VIOLATION, "over the quota").await;
            return;
        }
        let _ = socket.send(total.to_string()).await; // fails only if the connection is closing
    }
}

#[test]
fn an_upload_route_has_limits_of_its_own() {
    let small = Options::default().max_message_size(16 << 10);
    let large = Options::default().max_message_size(4 << 20);
    let server = serve(|server| {
        let server = server.options(small).websocket("/chat", Echo);
        server.websocket("/upload", socket(upload).options(large))
    });
    block_on(async {
        let file = vec![7; 3 << 20];
        let uploading = server.connect("/upload").await;
        uploading.send(file.clone()).await.expect("an open connection");
        let answer = uploading.recv().await.expect("an answer");
        assert_eq!(answer.as_text(), Some("3145728"));
        uploading.send(file.clone()).await.expect("an open connection");
        let code = |ended| match ended {
            Disconnect::Peer { code, .. } => code,
            other => panic!("{other}"),
        };
        let ended = uploading.recv().await.expect_err("over the quota");
        assert_eq!(code(ended), CloseCode::POLICY_VIOLATION);

        let chatting = server.connect("/chat").await;
        let _ = chatting.send(file).await; // the server may close while this waits
        let ended = chatting.recv().await.expect_err("over the limit of the chat");
        assert_eq!(code(ended), CloseCode::MESSAGE_TOO_BIG);
    });
}
