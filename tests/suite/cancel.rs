//! Every public future may be dropped at any of its await points: nothing is lost, nothing is sent
//! twice, and nobody is left waiting. (Of [`Connection::send`] contract 7 tells. `prism-driver` tests
//! each poll in virtual time; here the polls are those of the runtime.)

use std::{
    convert::Infallible,
    fmt::Debug,
    future::poll_fn,
    io::Write,
    net::TcpStream,
    pin::pin,
    task::Poll,
    thread::{self, JoinHandle},
};

use async_channel::Sender;
use futures_lite::future::{poll_once, yield_now};
use futures_util::{SinkExt, Stream, StreamExt};

use super::support::{
    block_on,
    handlers::{Echo, Parrot, Recorder, Seen, recorder},
    peer::{BINARY, CLOSE, Peer, TEXT, close_payload, encode},
    server::{listen, serve},
};
use crate::{
    prism::{
        CloseCode, Connection, Disconnect, Handler, Message, Options, OwnedMessage, SendError,
        Server, connect, serve_stream, serve_upgraded,
    },
    runtime::adopt,
};

/// Polls a future so many times, and drops it if it is not ready by then.
async fn poll_times<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            left -= 1;
            if left == 0 { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}

/// Polls a future so many times, whether or not anything has happened, and drops it.
async fn poll_at_once(times: usize, future: impl Future) {
    let mut future = pin!(future);
    for _ in 0..times {
        assert!(poll_once(&mut future).await.is_none(), "it was to be dropped");
        yield_now().await;
    }
}

/// Drops a future after one poll, another after two, and so on, until one is ready before that.
fn drop_at_each_await<F: Future>(mut future: impl FnMut() -> F) -> F::Output {
    for times in 1.. {
        if let Some(output) = block_on(poll_times(times, future())) {
            return output;
        }
    }
    unreachable!("one is ready")
}

/// Who has come has left, and somebody has come.
#[track_caller]
fn assert_all_have_left(seen: &[Seen]) {
    let came = seen.iter().filter(|seen| matches!(seen, Seen::Connected(_))).count();
    let left = seen.iter().filter(|seen| matches!(seen, Seen::Ended(_))).count();
    assert_eq!(came, left);
    assert!(came > 0, "nobody ever came");
}

// ---- clients

#[test]
fn a_client_that_stops_connecting_leaves_nothing_behind() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", Parrot(recorder)));
    let url = server.url("/");
    let socket = drop_at_each_await(|| connect(&url)).expect("a connection");
    block_on(socket.send("hello")).expect("an open connection");
    assert_eq!(block_on(socket.recv()).expect("an echo"), OwnedMessage::Text("hello".into()));
    drop(socket);
    server.stop();
    assert_all_have_left(&events.rest());
}

/// Closes at once, and tells who came and went.
struct Bouncer(Recorder);

impl Handler for Bouncer {
    async fn on_connect(&self, connection: &Connection) {
        self.0.on_connect(connection).await;
        assert!(connection.close(CloseCode::NORMAL, "full"), "an open connection");
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.0.on_disconnect(connection, reason).await;
    }
}

#[test]
fn a_client_that_stops_running_its_handler_is_gone() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", Bouncer(recorder)));
    let client = || server.client("/").run(Echo);
    let ending = drop_at_each_await(client).expect("a connection");
    assert_eq!(ending.code(), 1000, "the one that was not dropped");
    server.stop();
    assert_all_have_left(&events.rest());
}

/// A server that says numbered messages, and then closes.
fn counting(count: u32) -> (JoinHandle<()>, String) {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let mut peer = Peer::accept_web_socket(&listener);
        for number in 0..count {
            peer.send(BINARY, &numbered(number));
        }
        peer.send_close(1000, "");
        peer.expect_close(1000, "");
    });
    (server, url)
}

fn numbered(number: u32) -> Vec<u8> {
    number.to_be_bytes().repeat(1_000)
}

#[test]
fn receiving_that_is_dropped_at_each_poll_misses_nothing() {
    let (server, url) = counting(300);
    block_on(async {
        let mut socket = connect(&url).await.expect("a connection");
        for number in 0..300 {
            let message = loop {
                let received = if number % 2 == 0 {
                    poll_times(1, socket.recv()).await.map(|message| message.ok())
                } else {
                    poll_times(1, socket.next()).await.map(|message| message?.ok())
                };
                match received {
                    Some(message) => break message.expect("a message"),
                    None => yield_now().await,
                }
            };
            assert!(message == OwnedMessage::Binary(numbered(number)), "{number}");
        }
        assert_eq!(socket.recv().await.expect_err("the end").code(), 1000);
    });
    server.join().expect("all was said");
}

#[test]
fn a_sink_whose_futures_are_dropped_sends_what_it_took_once_and_in_order() {
    let (listener, url) = listen();
    let accepting = thread::spawn(move || Peer::accept_web_socket(&listener));
    let socket = &mut block_on(connect(&url)).expect("a connection");
    let mut peer = accepting.join().expect("the client came");
    let mut taken = Vec::new();
    // The peer does not read: most find no room, now or soon.
    block_on(async {
        for number in 0..4_000 {
            let message = OwnedMessage::Binary(numbered(number).repeat(4));
            if let Some(outcome) = poll_times(1, SinkExt::feed(socket, message)).await {
                outcome.expect("an open connection");
                taken.push(number);
            }
            let _ = poll_times(1, SinkExt::<OwnedMessage>::flush(socket)).await;
        }
    });
    assert!(taken.len() < 4_000, "every message found room");
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in &taken {
                peer.expect(BINARY, &numbered(*number).repeat(4));
            }
            peer.expect_close(1000, "");
            peer.send_close(1000, "");
        });
        block_on(async {
            let _ = poll_times(1, SinkExt::<OwnedMessage>::close(socket)).await;
            SinkExt::<OwnedMessage>::close(socket).await.expect("the close frame leaves");
            assert!(socket.next().await.is_none(), "it was closed, and did not fail");
        });
    });
}

#[test]
fn a_close_that_is_not_waited_for_is_a_close_all_the_same() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let code = CloseCode::new(4001).expect("a code that may travel");
    for times in 1..5 {
        let socket = block_on(server.connect("/"));
        let connection = events.connected();
        block_on(async {
            let _ = poll_times(1, connection.closed()).await;
            let _ = poll_times(times, socket.close(code, "bye")).await;
            connection.closed().await;
            // What is left of it tells the same, however far the close had come.
            let ending = socket.recv().await.expect_err("no message");
            assert!(matches!(ending, Disconnect::Local { .. }), "{ending:?}");
        });
        let ended = events.ended();
        assert_eq!((ended.code(), ended.reason()), (4001, "bye".into()));
    }
}

// ---- what is served

/// A peer's whole conversation: one message, and a close frame.
fn hello_and_bye() -> Vec<u8> {
    let bye = close_payload(1000, "bye");
    [encode(true, true, TEXT, b"hello"), encode(true, true, CLOSE, &bye)].concat()
}

/// A socket whose other end says this, says hello and goodbye when it is answered, and then reads until
/// it is let go.
fn visited(said: &'static [u8]) -> (TcpStream, JoinHandle<()>) {
    let (listener, _) = listen();
    let mut peer = Peer::dial(listener.local_addr().expect("a bound listener"));
    let visiting = thread::spawn(move || {
        peer.write(said);
        if peer.hears_something() {
            let _ = peer.stream.write_all(&hello_and_bye()); // it may be let go now, or later
        }
        peer.expect_gone();
    });
    (listener.accept().expect("the peer").0, visiting)
}

/// Serves one socket after the other, each a poll further, up to one that is served to its end. However
/// far it had come: the peer is let go, and whoever has the connection's handle learns that it is over.
fn serve_up_to_each_await<F, E>(
    said: &'static [u8],
    serve: impl Fn(TcpStream, Parrot) -> F,
) -> Disconnect
where
    F: Future<Output = Result<Disconnect, E>>,
    E: Debug,
{
    let (mut peers, mut handlers) = (Vec::new(), Vec::new());
    let ending = drop_at_each_await(|| {
        let (recorder, events) = recorder();
        let (socket, peer) = visited(said);
        handlers.push(events);
        peers.push(peer);
        serve(socket, Parrot(recorder))
    });
    let mut connections = 0;
    for events in handlers {
        let Some(Seen::Connected(connection)) = events.rest().into_iter().next() else { continue };
        connections += 1;
        block_on(connection.closed());
        assert_eq!(block_on(connection.send("late")), Err(SendError::Closed));
    }
    assert!(connections > 0, "nobody ever got to the handler");
    for peer in peers {
        peer.join().expect("it was let go");
    }
    ending.expect("the last one was served")
}

#[test]
fn a_stream_that_is_not_served_on_is_let_go() {
    let request = Peer::request("/").into_bytes().leak();
    let ending = serve_up_to_each_await(request, |socket, parrot| async move {
        serve_stream(adopt(socket), &Options::default(), &parrot).await
    });
    assert_eq!(ending.code(), 1000);
}

#[test]
fn an_upgraded_stream_that_is_not_served_on_is_let_go() {
    // A masked "A", and what it is answered with.
    let letter = b"\x81\x81\x00\x00\x00\x00A";
    let ending = serve_up_to_each_await(letter, |socket, parrot| async move {
        Ok::<_, Infallible>(serve_upgraded(adopt(socket), "/", &Options::default(), &parrot).await)
    });
    assert_eq!(ending.code(), 1000);
}

#[test]
fn a_server_that_is_dropped_serves_whom_it_has_accepted_and_nobody_else() {
    let mut served = 0;
    for times in 1.. {
        let server = block_on(Server::bind("127.0.0.1:0")).expect("a free port");
        let mut peer = Peer::dial(server.local_addr().expect("a bound listener"));
        peer.write(&[Peer::request("/").as_bytes(), &hello_and_bye()].concat());
        block_on(poll_at_once(times, server.websocket("/", Echo).serve()));
        if peer.hears_something() {
            assert_eq!(peer.head().status, 101);
            peer.expect(TEXT, b"hello");
            peer.expect_close(1000, "bye");
            peer.expect_end();
            served += 1;
        }
        // How soon a server learns that somebody has come is the runtime's affair.
        if times > 5 && served > 0 {
            break;
        }
        assert!(times < 1_000, "nobody was ever accepted");
    }
}

/// Tells who is there in time for somebody who can not block.
struct Announcer {
    connected: Sender<()>,
    recorder: Recorder,
}

impl Handler for Announcer {
    async fn on_connect(&self, _: &Connection) {
        self.connected.send(()).await.expect("the scenario waits");
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.recorder.on_disconnect(connection, reason).await;
    }
}

#[test]
fn a_shutdown_that_is_not_waited_for_says_goodbye_all_the_same() {
    for times in 1..4 {
        let (recorder, events) = recorder();
        let (connected, is_connected) = async_channel::bounded(1);
        let mut is_connected = pin!(is_connected);
        let (stop, stopped) = async_channel::bounded::<()>(1);
        let server = block_on(Server::bind("127.0.0.1:0")).expect("a free port");
        let mut peer = Peer::dial(server.local_addr().expect("a bound listener"));
        peer.write(Peer::request("/").as_bytes());
        let server = server.websocket("/", Announcer { connected, recorder });
        block_on(async {
            let stopped = async { while stopped.recv().await.is_ok() {} };
            let mut serving = pin!(server.serve_until(stopped));
            let connected = poll_fn(|cx| {
                assert!(serving.as_mut().poll(cx).is_pending(), "nobody has stopped it");
                is_connected.as_mut().poll_next(cx)
            });
            connected.await.expect("the peer has come");
            stop.close();
            poll_at_once(times, serving).await;
        });
        assert_eq!(peer.head().status, 101);
        peer.expect_close(1001, "the server is shutting down");
        peer.send_close(1001, "");
        peer.expect_end();
        let ended = events.ended();
        assert_eq!(ended.code(), 1001, "{ended}");
    }
}
