//! How connections end: by either side, with code and reason, politely or not.

use std::{thread, time::Duration};

use super::support::{
    block_on,
    handlers::{Gate, Recorder, Seen, recorder},
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
fn when_the_client_closes_both_sides_hear_its_code_and_reason() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let socket = block_on(server.connect("/"));
    events.connected();
    let ending = block_on(socket.close(code(4001), "I have seen enough"));
    assert_local(&ending, 4001, "I have seen enough");
    assert_peer(&events.ended(), 4001, "I have seen enough");
}

#[test]
fn when_the_server_closes_both_sides_hear_its_code_and_reason() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let socket = block_on(server.connect("/"));
    assert!(events.connected().close(code(4002), "überfüllt"), "an open connection");
    assert_peer(&block_on(socket.recv()).expect_err("no message"), 4002, "überfüllt");
    assert_local(&events.ended(), 4002, "überfüllt");
}

#[test]
fn a_close_frame_is_echoed_with_its_code_and_the_server_ends_first() {
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
fn the_server_ends_its_side_and_does_not_wait_for_the_peer_to_go() {
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
fn a_close_frame_without_a_code_is_answered_by_one_without() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.open("/");
    events.connected();
    peer.send(CLOSE, b"");
    peer.expect(CLOSE, b"");
    peer.expect_end();
    assert_peer(&events.ended(), 1005, "");
}

/// Closes when a message comes.
struct Closer(Recorder);

impl Handler for Closer {
    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        assert!(connection.close(code(4003), "my turn"), "an open connection");
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.0.tell(Seen::Ended(reason));
    }
}

#[test]
fn when_both_close_at_once_each_says_so_once() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", Closer(recorder)));
    let mut peer = server.open("/");
    // The close frame is there already when the handler closes.
    let close = peer.encode(true, CLOSE, &1001_u16.to_be_bytes());
    peer.write(&[peer.encode(true, TEXT, b"now"), close].concat());
    peer.expect_close(4003, "my turn");
    peer.expect_end();
    assert_local(&events.ended(), 4003, "my turn");
}

#[test]
fn a_socket_that_is_dropped_closes_with_1000() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    drop(block_on(server.connect("/")));
    events.connected();
    assert_peer(&events.ended(), 1000, "");
}

#[test]
fn a_peer_that_leaves_without_a_word_is_reported_as_1006() {
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
    peer.expect_gone();
}

#[test]
fn a_peer_that_resets_the_connection_is_reported_as_a_failed_transport() {
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
fn a_server_that_vanishes_is_reported_to_the_client() {
    let (listener, url) = listen();
    let server = thread::spawn(move || drop(Peer::accept_web_socket(&listener)));
    let socket = block_on(Client::new(&url).unwrap().connect()).expect("a connection");
    server.join().expect("the server has gone");
    let first = block_on(socket.recv()).expect_err("no message");
    assert_protocol(&first, ProtocolError::UnexpectedEof);
    let second = block_on(socket.recv()).expect_err("no message");
    assert_protocol(&second, ProtocolError::UnexpectedEof);
    assert_eq!(block_on(socket.send("too late")), Err(SendError::Closed));
}

#[test]
fn a_peer_that_does_not_answer_a_close_frame_is_left_after_the_close_timeout() {
    let mut options = Options::default();
    options.protocol.close_timeout = Duration::from_millis(200);
    let (recorder, events) = recorder();
    let server = serve(|server| server.options(options).websocket("/", recorder));
    let mut peer = server.open("/");
    assert!(events.connected().close(CloseCode::NORMAL, ""), "an open connection");
    peer.expect_close(1000, "");
    assert_protocol(&events.ended(), ProtocolError::CloseTimeout);
    peer.expect_gone();
}

#[test]
fn contract_5_what_was_accepted_arrives_before_the_close_frame_and_nothing_after_it() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.open("/");
    let connection = events.connected();
    block_on(async {
        for number in 0..100_u8 {
            connection.send(&[number; 500]).await.expect("an open connection");
        }
        assert!(connection.close(code(4004), "that was all"), "an open connection");
        assert!(!connection.is_open());
        assert_eq!(connection.send("more").await, Err(SendError::Closed));
        assert!(!connection.close(CloseCode::NORMAL, ""), "it is closing already");
    });
    for number in 0..100_u8 {
        peer.expect(BINARY, &[number; 500]);
    }
    peer.expect_close(4004, "that was all");
    assert!(peer.hears_nothing(), "we have not answered yet");
    peer.send_close(4004, "");
    peer.expect_end();
    assert_local(&events.ended(), 4004, "that was all");
}

#[test]
fn contract_5_after_a_close_the_handler_hears_no_more_messages() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.open("/");
    assert!(events.connected().close(CloseCode::NORMAL, ""), "an open connection");
    peer.expect_close(1000, "");
    peer.send(TEXT, b"but I was about to say");
    peer.send_close(1000, "");
    peer.expect_end();
    assert_local(&events.ended(), 1000, "");
}

#[test]
fn whoever_waits_for_the_end_of_a_connection_learns_it() {
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
fn an_abort_ends_the_connection_at_once_whatever_the_peer_does() {
    let mut options = Options::default();
    options.protocol.close_timeout = Duration::MAX;
    let (recorder, events) = recorder();
    let server = serve(|server| server.options(options).websocket("/", recorder));
    let mut peer = server.open("/");
    let connection = events.connected();
    assert!(connection.close(code(4005), "you do not answer"), "an open connection");
    peer.expect_close(4005, "you do not answer");
    connection.abort();
    peer.expect_gone();
    let ending = events.ended();
    assert!(matches!(ending, Disconnect::Failed(Failure::Aborted)), "{ending:?}");
    let stopped = server.stop();
    assert_eq!((stopped.closed, stopped.cut), (0, 0), "it did not end well, and it had ended");
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

/// Closes at the first message, waits for the end, and then for the scenario.
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

/// A handler that waits for its own end, and a peer that answers its close frame, or does not.
fn waits_for_its_own_end(peer_answers: bool) -> Disconnect {
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
    peer.expect_gone();
    wait_until("the handler is counted", || server.stats().counts().stuck == 1);
    assert_eq!(server.stats().counts().open, 1, "it keeps its place");
    events.nothing_yet();
    leave.open();
    let ended = events.ended();
    wait_until("it has gone", || server.stats().counts().open == 0);
    assert_eq!(server.stats().counts().stuck, 0);
    ended
}

#[test]
fn a_handler_that_closes_and_waits_for_the_end_gets_it_at_the_close_timeout() {
    assert_protocol(&waits_for_its_own_end(false), ProtocolError::CloseTimeout);
}

#[test]
fn what_the_peer_answered_while_a_handler_waited_for_the_end_is_the_reason() {
    assert_local(&waits_for_its_own_end(true), 1000, "enough");
}

#[test]
fn a_close_with_a_reason_that_is_too_long_closes_with_what_fits_of_it() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.open("/");
    let connection = events.connected();
    assert!(connection.close(code(4006), &"é".repeat(100)), "this call closed it");
    assert!(!connection.close(code(4007), "again"), "this one found it closing");
    peer.expect(CLOSE, &close_payload(4006, &"é".repeat(61)));
    peer.send_close(4006, "");
    assert_local(&events.ended(), 4006, &"é".repeat(61));
}
