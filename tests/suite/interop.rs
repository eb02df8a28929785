//! Prism and tokio-tungstenite: each as the server of the other. (Peers in other languages are in
//! `tests/interop`.)

use std::{future::Future, net::TcpListener, thread};

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, accept_async, connect_async,
    tungstenite::{
        Error, Message as Theirs,
        protocol::{
            CloseFrame,
            frame::{
                Frame,
                coding::{CloseCode as TheirCode, Data, OpCode},
            },
        },
    },
};

use super::support::{
    PATIENCE, block_on,
    handlers::{Echo, recorder},
    pattern,
    server::{Running, listen, serve},
};
use crate::prism::{Client, CloseCode, Disconnect, Message, OwnedMessage, Socket};

/// Runs what is theirs on a runtime of its own, whatever Prism runs on.
fn theirs<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let limited = async { tokio::time::timeout(PATIENCE, future).await };
    runtime.expect("a runtime").block_on(limited).expect("the scenario goes on")
}

// ---- their client, our server

/// Their client, connected.
async fn their_client(
    server: &Running,
) -> WebSocketStream<tokio_tungstenite::MaybeTlsStream<TcpStream>> {
    connect_async(server.url("/")).await.expect("a connection").0
}

#[test]
fn their_client_gets_its_messages_back() {
    let server = serve(|server| server.web_socket("/", Echo));
    theirs(async {
        let mut client = their_client(&server).await;
        let messages = [
            Theirs::text("Straße 🦀"),
            Theirs::text(""),
            Theirs::binary(vec![0, 255]),
            Theirs::binary(pattern(1 << 20)),
            Theirs::text("x".repeat(1 << 20)),
        ];
        for message in messages {
            client.send(message.clone()).await.expect("an open connection");
            let returned = client.next().await.expect("an echo").expect("an echo");
            assert!(returned == message, "{returned:.80?}");
        }
    });
}

#[test]
fn their_clients_fragments_and_pings_are_understood() {
    let server = serve(|server| server.web_socket("/", Echo));
    theirs(async {
        let mut client = their_client(&server).await;
        let pieces = [
            Frame::message("in ", OpCode::Data(Data::Text), false),
            Frame::message("three ", OpCode::Data(Data::Continue), false),
        ];
        for piece in pieces {
            client.send(Theirs::Frame(piece)).await.expect("an open connection");
        }
        client.send(Theirs::Ping("between".into())).await.expect("an open connection");
        let pong = client.next().await.expect("a pong").expect("a pong");
        assert_eq!(pong, Theirs::Pong("between".into()));
        let last = Frame::message("pieces", OpCode::Data(Data::Continue), true);
        client.send(Theirs::Frame(last)).await.expect("an open connection");
        let returned = client.next().await.expect("an echo").expect("an echo");
        assert_eq!(returned, Theirs::text("in three pieces"));
    });
}

#[test]
fn their_client_closes_with_code_and_reason() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.web_socket("/", recorder));
    theirs(async {
        let mut client = their_client(&server).await;
        let close = CloseFrame { code: TheirCode::from(4001), reason: "done".into() };
        client.close(Some(close.clone())).await.expect("an open connection");
        let answer = client.next().await.expect("a close frame").expect("a close frame");
        let Theirs::Close(Some(answer)) = answer else { panic!("{answer:?}") };
        assert_eq!(answer.code, close.code);
        assert!(client.next().await.is_none());
    });
    events.connected();
    let ended = events.ended();
    assert!(matches!(ended, Disconnect::Peer { .. }), "{ended:?}");
    assert_eq!((ended.code(), ended.reason()), (4001, "done".into()));
}

#[test]
fn their_client_hears_our_close_and_our_ping() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.web_socket("/", recorder));
    theirs(async {
        let mut client = their_client(&server).await;
        let connection = events.connected();
        connection.ping(b"there?").expect("an open connection");
        connection.close(CloseCode::new(4002).unwrap(), "enough").expect("an open connection");
        let ping = client.next().await.expect("a ping").expect("a ping");
        assert_eq!(ping, Theirs::Ping("there?".into()));
        let close = client.next().await.expect("a close frame").expect("a close frame");
        let Theirs::Close(Some(close)) = close else { panic!("{close:?}") };
        assert_eq!((u16::from(close.code), close.reason.as_str()), (4002, "enough"));
        assert!(client.next().await.is_none());
    });
    let ended = events.ended();
    assert!(matches!(ended, Disconnect::Local { .. }), "{ended:?}");
}

#[test]
fn their_client_is_refused_where_there_is_nothing() {
    let server = serve(|server| server.web_socket("/", Echo));
    let refused = theirs(connect_async(server.url("/nowhere")));
    let Err(Error::Http(response)) = refused else { panic!("{refused:?}") };
    assert_eq!(response.status(), 404);
}

// ---- our client, their server

/// Runs their server, for one connection, on a thread of its own; and our client against it.
fn against<S, F>(serve: S, scenario: impl FnOnce(Socket))
where
    S: FnOnce(WebSocketStream<TcpStream>) -> F + Send + 'static,
    F: Future<Output = ()>,
{
    let (listener, url) = listen();
    let server = thread::spawn(move || theirs(async { serve(accept(&listener).await).await }));
    let socket = block_on(Client::new(&url).expect("a good address").connect());
    scenario(socket.expect("a connection"));
    server.join().expect("their server is content");
}

async fn accept(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    let (stream, _) = listener.accept().expect("a client");
    stream.set_nonblocking(true).expect("a socket");
    let stream = TcpStream::from_std(stream).expect("a socket");
    accept_async(stream).await.expect("a good handshake")
}

/// Sends data back until the close frame.
async fn their_echo(mut server: WebSocketStream<TcpStream>) {
    while let Some(message) = server.next().await {
        let message = message.expect("a message");
        if message.is_text() || message.is_binary() {
            server.send(message).await.expect("an open connection");
        }
    }
}

#[test]
fn our_client_gets_its_messages_back_from_their_server() {
    against(their_echo, |socket| {
        let large = pattern(1 << 20);
        let messages = [
            Message::Text("Straße 🦀"),
            Message::Text(""),
            Message::Binary(&[0, 255]),
            Message::Binary(&large),
        ];
        for message in messages {
            let returned = block_on(async {
                socket.send(message).await.expect("an open connection");
                socket.recv().await.expect("an echo")
            });
            assert!(returned.as_message() == message, "{returned:.80?}");
        }
        let ending = block_on(socket.close(CloseCode::NORMAL, "")).expect("an open connection");
        assert_eq!(ending.code(), 1000);
    });
}

#[test]
fn our_client_joins_their_servers_fragments_and_answers_its_pings() {
    let in_pieces = |mut server: WebSocketStream<TcpStream>| async move {
        let first = Frame::message("two ", OpCode::Data(Data::Text), false);
        server.send(Theirs::Frame(first)).await.expect("an open connection");
        server.send(Theirs::Ping("?".into())).await.expect("an open connection");
        let pong = server.next().await.expect("a pong").expect("a pong");
        assert_eq!(pong, Theirs::Pong("?".into()));
        let last = Frame::message("pieces", OpCode::Data(Data::Continue), true);
        server.send(Theirs::Frame(last)).await.expect("an open connection");
        let close = server.next().await.expect("a close frame").expect("a close frame");
        let Theirs::Close(Some(close)) = close else { panic!("{close:?}") };
        assert_eq!((u16::from(close.code), close.reason.as_str()), (4003, "thanks"));
        assert!(server.next().await.is_none());
    };
    against(in_pieces, |socket| {
        let message = block_on(socket.recv()).expect("a message");
        assert_eq!(message, OwnedMessage::Text("two pieces".into()));
        let code = CloseCode::new(4003).expect("a code that may travel");
        let ending = block_on(socket.close(code, "thanks")).expect("an open connection");
        assert!(matches!(ending, Disconnect::Local { .. }), "{ending:?}");
    });
}

#[test]
fn our_client_hears_their_servers_close_and_pings_it() {
    let closing = |mut server: WebSocketStream<TcpStream>| async move {
        let ping = server.next().await.expect("a ping").expect("a ping");
        assert_eq!(ping, Theirs::Ping("hello?".into()));
        let close = CloseFrame { code: TheirCode::from(4004), reason: "we close at six".into() };
        server.close(Some(close)).await.expect("an open connection");
        let answer = server.next().await.expect("a close frame").expect("a close frame");
        assert!(answer.is_close(), "{answer:?}");
        assert!(server.next().await.is_none());
    };
    against(closing, |socket| {
        socket.connection().ping(b"hello?").expect("an open connection");
        let ending = block_on(socket.recv()).expect_err("no message");
        assert!(matches!(ending, Disconnect::Peer { .. }), "{ending:?}");
        assert_eq!((ending.code(), ending.reason()), (4004, "we close at six".into()));
    });
}
