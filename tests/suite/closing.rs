//! How connections end: closed by either side with a code and a reason, or without a close frame.

use std::{thread, time::Duration};

use super::support::{
    block_on,
    handlers::{Gate, Recorder, Seen, recorder},
    kinds::on_both_kinds,
    peer::{BINARY, CLOSE, Peer, TEXT, close_payload},
    server::{listen, serve},
    wait_until,
};
use crate::prism::{
    Client, CloseCode, Connection, Disconnect, Failure, Handler, Message, Options, ProtocolError,
    SendError,
};

fn code(code: u16) -> CloseCode {
    CloseCode::new(code).expect("a code that may travel")
}

#[track_caller]
fn assert_peer(ending: &Disconnect, expected: u16, why: &str) {
    let Disconnect::Peer { code, reason } = ending else { panic!("{ending:?}") };
    assert_eq!((u16::from(*code), reason.as_str()), (expected, why));
}

#[track_caller]
fn assert_local(ending: &Disconnect, expected: u16, why: &str) {
    let Disconnect::Local { code, reason } = ending else { panic!("{ending:?}") };
    assert_eq!((u16::from(*code), reason.as_str()), (expected, why));
}

#[track_caller]
fn assert_protocol(ending: &Disconnect, expected: ProtocolError) {
    let Disconnect::Failed(Failure::Protocol(error)) = ending else { panic!("{ending:?}") };
    assert_eq!(*error, expected);
}

#[test]
fn both_sides_get_the_code_and_reason_of_a_client_close() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let socket = block_on(server.connect("/"));
    events.connected();
    let ending = block_on(socket.close(code(4001), "I have seen enough"));
    assert_local(&ending, 4001, "I have seen enough");
    assert_peer(&events.ended(), 4001, "I have seen enough");
}

#[test]
fn both_sides_get_the_code_and_reason_of_a_server_close() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let socket = block_on(server.connect("/"));
    assert!(events.connected().close(code(4002), "überfüllt"), "an open connection");
    assert_peer(&block_on(socket.recv()).expect_err("no message"), 4002, "überfüllt");
    assert_local(&events.ended(), 4002, "überfüllt");
}

#[test]
fn a_server_echoes_a_close_code_and_ends_the_stream_first() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.open("/");
    events.connected();
    peer.send_close(1000, "bye");
    let answer = peer.next().expect("a close frame");
    assert_eq!((answer.opcode, &answer.payload[..2]), (CLOSE, &1000_u16.to_be_bytes()[..]));
    peer.expect_end();
    assert_peer(&events.ended(), 1000, "bye");
}

#[test]
fn the_server_ends_its_side_without_waiting_for_the_peer() {
    let mut options = Options::default();
    options.protocol.close_timeout = Duration::MAX;
    let (recorder, events) = recorder();
    let server = serve(|server| server.options(options).websocket("/", recorder));
    let mut peer = server.open("/");
    events.connected();
    peer.send_close(1000, "bye");
    peer.expect_close(1000, "bye");
    peer.expect_end();
}

#[test]
fn an_empty_close_frame_is_answered_with_an_empty_one() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.open("/");
    events.connected();
    peer.send(CLOSE, b"");
    peer.expect(CLOSE, b"");
    peer.expect_end();
    assert_peer(&events.ended(), 1005, "");
}

/// Closes on the first message.
struct Closer(Recorder);

impl Handler for Closer {
    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        assert!(connection.close(code(4003), "my turn"), "an open connection");
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.0.record(Seen::Ended(reason));
    }
}

#[test]
fn simultaneous_closes_send_one_close_frame_each() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", Closer(recorder)));
    let mut peer = server.open("/");
    // The peer's close frame has arrived already when the handler closes.
    let close = peer.encode(true, CLOSE, &1001_u16.to_be_bytes());
    peer.write(&[peer.encode(true, TEXT, b"now"), close].concat());
    peer.expect_close(4003, "my turn");
    peer.expect_end();
    assert_local(&events.ended(), 4003, "my turn");
}

#[test]
fn a_dropped_socket_closes_with_1000() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    drop(block_on(server.connect("/")));
    events.connected();
    assert_peer(&events.ended(), 1000, "");
}

#[test]
fn an_end_without_a_close_frame_is_reported_as_1006() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.open("/");
    events.connected();
    peer.send(TEXT, b"last words");
    peer.send_eof();
    events.message();
    let ended = events.ended();
    assert_protocol(&ended, ProtocolError::UnexpectedEof);
    assert_eq!(ended.code(), 1006);
    peer.expect_disconnect();
}

#[test]
fn a_reset_is_reported_as_a_transport_failure() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let peer = server.open("/");
    events.connected().try_send("that you will never read").expect("room");
    peer.reset();
    let ended = events.ended();
    assert!(matches!(&ended, Disconnect::Failed(Failure::Io(_))), "{ended:?}");
    assert_eq!(ended.code(), 1006);
}

#[test]
fn a_vanished_server_is_reported_to_the_client() {
    let (listener, url) = listen();
    let server = thread::spawn(move || drop(Peer::accept_websocket(&listener)));
    let socket = block_on(Client::new(&url).unwrap().connect()).expect("a connection");
    server.join().expect("the server ends");
    let first = block_on(socket.recv()).expect_err("no message");
    assert_protocol(&first, ProtocolError::UnexpectedEof);
    let second = block_on(socket.recv()).expect_err("no message");
    assert_protocol(&second, ProtocolError::UnexpectedEof);
    assert_eq!(block_on(socket.send("too late")), Err(SendError::Closed));
}

#[test]
fn an_unanswered_close_frame_ends_at_the_close_timeout() {
    let mut options = Options::default();
    options.protocol.close_timeout = Duration::from_millis(200);
    let (recorder, events) = recorder();
    let server = serve(|server| server.options(options).websocket("/", recorder));
    let mut peer = server.open("/");
    assert!(events.connected().close(CloseCode::NORMAL, ""), "an open connection");
    peer.expect_close(1000, "");
    assert_protocol(&events.ended(), ProtocolError::CloseTimeout);
    peer.expect_disconnect();
}

#[test]
fn contract_5_only_accepted_messages_precede_the_close_frame() {
    on_both_kinds(|kind| {
        let (recorder, events) = recorder();
        let server = serve(|server| server.websocket("/", kind.route(recorder)));
        let mut peer = server.open("/");
        let connection = events.connected();
        block_on(async {
            for number in 0..100_u8 {
                connection.send(&[number; 500]).await.expect("an open connection");
            }
            assert!(connection.close(code(4004), "that was all"), "an open connection");
            assert!(!connection.is_open());
            assert_eq!(connection.send("more").await, Err(SendError::Closed));
            assert!(!connection.close(CloseCode::NORMAL, ""), "the connection is closing already");
        });
        for number in 0..100_u8 {
            peer.expect(BINARY, &[number; 500]);
        }
        peer.expect_close(4004, "that was all");
        assert!(peer.has_no_input(), "the peer has not answered yet");
        peer.send_close(4004, "");
        peer.expect_end();
        assert_local(&events.ended(), 4004, "that was all");
    });
}

#[test]
fn contract_5_a_handler_gets_no_messages_after_a_close() {
    on_both_kinds(|kind| {
        let (recorder, events) = recorder();
        let server = serve(|server| server.websocket("/", kind.route(recorder)));
        let mut peer = server.open("/");
        assert!(events.connected().close(CloseCode::NORMAL, ""), "an open connection");
        peer.expect_close(1000, "");
        peer.send(TEXT, b"but I was about to say");
        peer.send_close(1000, "");
        peer.expect_end();
        assert_local(&events.ended(), 1000, "");
    });
}

#[test]
fn closed_resolves_when_the_connection_ends() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.open("/");
    let connection = events.connected();
    let waiting = thread::spawn({
        let connection = connection.clone();
        move || block_on(connection.closed())
    });
    peer.send_close(1000, "");
    waiting.join().expect("the connection has ended");
    block_on(connection.closed());
    assert!(!connection.is_open());
}

#[test]
fn an_abort_ends_the_connection_at_once() {
    let mut options = Options::default();
    options.protocol.close_timeout = Duration::MAX;
    let (recorder, events) = recorder();
    let server = serve(|server| server.options(options).websocket("/", recorder));
    let mut peer = server.open("/");
    let connection = events.connected();
    assert!(connection.close(code(4005), "you do not answer"), "an open connection");
    peer.expect_close(4005, "you do not answer");
    connection.abort();
    peer.expect_disconnect();
    let ending = events.ended();
    assert!(matches!(ending, Disconnect::Failed(Failure::Aborted)), "{ending:?}");
    let stopped = server.stop();
    assert_eq!(
        (stopped.closed, stopped.cut),
        (0, 0),
        "an aborted connection that had ended before the shutdown"
    );
}

#[test]
fn a_client_can_abort_too() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let socket = block_on(server.connect("/"));
    events.connected();
    socket.connection().abort();
    let ending = block_on(socket.recv()).expect_err("no message");
    assert!(matches!(ending, Disconnect::Failed(Failure::Aborted)), "{ending:?}");
    assert_protocol(&events.ended(), ProtocolError::UnexpectedEof);
}

/// Closes at the first message, waits for the connection's end, and then for the scenario.
struct Waiting {
    recorder: Recorder,
    closed: Gate,
    leave: Gate,
}

impl Handler for Waiting {
    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        assert!(connection.close(CloseCode::NORMAL, "enough"), "an open connection");
        connection.closed().await;
        self.closed.open();
        self.leave.pass().await;
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.recorder.on_disconnect(connection, reason).await;
    }
}

/// Runs a handler that closes its connection and waits for the end, with a peer that answers the
/// close frame or does not. Returns the ending.
fn close_and_wait_in_handler(peer_answers: bool) -> Disconnect {
    let (recorder, events) = recorder();
    let (closed, leave) = (Gate::closed(), Gate::closed());
    let handler = Waiting { recorder, closed: closed.clone(), leave: leave.clone() };
    let mut options = Options::default();
    options.protocol.close_timeout = Duration::from_millis(100);
    let server = serve(|server| server.options(options).websocket("/", handler));
    let mut peer = server.open("/");
    peer.send(TEXT, b"close");
    peer.expect(CLOSE, &close_payload(1000, "enough"));
    if peer_answers {
        peer.send_close(1000, "enough");
    }
    block_on(closed.pass());
    peer.expect_disconnect();
    wait_until("the handler is counted as stuck", || server.stats().counts().stuck == 1);
    assert_eq!(server.stats().counts().open, 1, "the connection is still counted as open");
    events.nothing_yet();
    leave.open();
    let ended = events.ended();
    wait_until("the connection is not counted any more", || server.stats().counts().open == 0);
    assert_eq!(server.stats().counts().stuck, 0);
    ended
}

#[test]
fn a_handler_awaiting_the_end_resumes_at_the_close_timeout() {
    assert_protocol(&close_and_wait_in_handler(false), ProtocolError::CloseTimeout);
}

#[test]
fn a_close_reply_while_a_handler_waits_makes_the_end_clean() {
    assert_local(&close_and_wait_in_handler(true), 1000, "enough");
}

#[test]
fn a_close_reason_that_is_too_long_is_truncated() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.open("/");
    let connection = events.connected();
    assert!(connection.close(code(4006), &"é".repeat(100)), "this call closes the connection");
    assert!(!connection.close(code(4007), "again"), "the connection is closing already");
    peer.expect(CLOSE, &close_payload(4006, &"é".repeat(61)));
    peer.send_close(4006, "");
    assert_local(&events.ended(), 4006, &"é".repeat(61));
}
