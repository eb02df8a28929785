//! Connections that are split or truncated at every byte of a conversation.

use std::{
    net::TcpListener,
    sync::mpsc::{Sender, channel},
    thread,
};

use super::support::{
    block_on,
    handlers::{Events, RecordingEcho, recorder},
    peer::{CONTINUATION, Peer, TEXT, encode},
    server::{TestServer, listen, serve},
};
use crate::prism::{ConnectError, Disconnect, Message, OwnedMessage, connect};

fn recording_echo() -> (TestServer, Events) {
    let (recorder, events) = recorder();
    (serve(|server| server.websocket("/", RecordingEcho(recorder))), events)
}

/// Returns two encoded messages, the second in two fragments, and the offset at which each is
/// complete.
fn two_messages(masked: bool) -> (Vec<u8>, [usize; 2]) {
    let frame = |fin, opcode, payload| encode(masked, fin, opcode, payload);
    let first = frame(true, TEXT, "größer".as_bytes());
    let second = [frame(false, TEXT, b"two "), frame(true, CONTINUATION, b"pieces")].concat();
    let bytes = [first.clone(), second].concat();
    let whole = [first.len(), bytes.len()];
    (bytes, whole)
}

const TEXTS: [&str; 2] = ["größer", "two pieces"];

/// How a peer ends the connection.
#[derive(Clone, Copy, Debug)]
enum Teardown {
    /// It shuts down its sending direction, and continues to read.
    HalfClose,
    /// It drops its socket, with or without unread input.
    Drop,
}

impl Teardown {
    fn apply(self, peer: Peer) {
        match self {
            Self::HalfClose => {
                peer.send_eof();
                peer.expect_disconnect();
            }
            Self::Drop => drop(peer),
        }
    }
}

#[test]
fn a_client_cut_at_any_byte_is_handled_up_to_that_byte() {
    let (server, events) = recording_echo();
    for teardown in [Teardown::HalfClose, Teardown::Drop] {
        let request = Peer::request("/");
        let (frames, whole) = two_messages(true);
        for cut in 0..=frames.len() {
            let mut peer = server.dial();
            peer.write(&[request.as_bytes(), &frames[..cut]].concat());
            teardown.apply(peer);
            events.connected();
            for (text, end) in TEXTS.iter().zip(whole) {
                if end <= cut {
                    assert_eq!(events.message().as_message().as_text(), Some(*text), "{cut}");
                }
            }
            let ended = events.ended();
            assert!(matches!(ended, Disconnect::Failed(_)), "{teardown:?} at {cut}: {ended}");
        }
    }
    server.stop();
    events.nothing_more();
}

#[test]
fn a_truncated_request_never_reaches_the_handler() {
    let (server, events) = recording_echo();
    for teardown in [Teardown::HalfClose, Teardown::Drop] {
        let request = Peer::request("/");
        for cut in 0..request.len() {
            let mut peer = server.dial();
            peer.write(&request.as_bytes()[..cut]);
            teardown.apply(peer);
        }
    }
    server.stop();
    events.nothing_more();
}

#[test]
fn a_conversation_split_at_any_byte_is_unchanged() {
    let (server, events) = recording_echo();
    let request = Peer::request("/");
    let (frames, _) = two_messages(true);
    let bytes = [request.as_bytes(), &frames].concat();
    for split in 0..bytes.len() {
        let mut peer = server.dial();
        let (head, tail) = bytes.split_at(split);
        peer.write(head);
        thread::yield_now();
        peer.write(tail);
        assert_eq!(peer.head().status, 101);
        for text in TEXTS {
            peer.expect(TEXT, text.as_bytes());
        }
        events.connected();
        for text in TEXTS {
            assert_eq!(events.message(), OwnedMessage::Text(text.into()));
        }
        peer.send_close(1000, "");
        peer.expect_close(1000, "");
        peer.expect_end();
        assert_eq!(events.ended().code(), 1000);
    }
}

/// What a server sent before it ended, as lengths.
struct Sent {
    head: usize,
    whole: [usize; 2],
    cut: usize,
}

/// Serves one client: sends the first `cut` bytes of the response and both messages. Returns
/// whether that was less than everything.
fn serve_cut(
    listener: &TcpListener,
    cut: usize,
    teardown: Teardown,
    sender: &Sender<Sent>,
) -> bool {
    let (mut peer, request) = Peer::accept(listener);
    let head = Peer::upgrade_response(&request);
    let (frames, whole) = two_messages(false);
    let answer = [head.as_bytes(), &frames].concat();
    peer.write(&answer[..cut]);
    teardown.apply(peer);
    sender.send(Sent { head: head.len(), whole, cut }).expect("the scenario waits");
    cut < answer.len()
}

/// Connects, and receives until the end. Returns the messages and the ending.
async fn receive_all(url: &str) -> Result<(Vec<OwnedMessage>, Disconnect), ConnectError> {
    let socket = connect(url).await?;
    let mut received = Vec::new();
    loop {
        match socket.recv().await {
            Ok(message) => received.push(message),
            Err(ending) => return Ok((received, ending)),
        }
    }
}

#[test]
fn a_server_cut_at_any_byte_is_received_up_to_that_byte() {
    for teardown in [Teardown::HalfClose, Teardown::Drop] {
        let (listener, url) = listen();
        let (sender, receiver) = channel();
        let server = thread::spawn(move || {
            let mut cuts = 0..;
            while cuts.next().is_some_and(|cut| serve_cut(&listener, cut, teardown, &sender)) {}
        });
        let mut connections = 0;
        while !server.is_finished() {
            let outcome = block_on(receive_all(&url));
            let Ok(Sent { head, whole, cut }) = receiver.recv() else { break };
            connections += 1;
            if cut < head {
                let error = outcome.map(drop).expect_err("a truncated response");
                let truncated = matches!(error, ConnectError::Handshake(_) | ConnectError::Io(_));
                assert!(truncated, "{teardown:?} at {cut}: {error}");
                continue;
            }
            let (received, ending) = outcome.expect("a connection");
            let expected = TEXTS.iter().zip(whole).filter(|(_, end)| head + end <= cut);
            let expected: Vec<_> =
                expected.map(|(text, _)| Message::from(*text).into_owned()).collect();
            assert_eq!(received, expected, "{teardown:?} at {cut}");
            assert!(matches!(ending, Disconnect::Failed(_)), "{teardown:?} at {cut}: {ending}");
        }
        server.join().expect("every client was served");
        assert!(connections > 100, "the response alone is longer");
    }
}
