//! Connections that are split, or cut, at each byte of a conversation.

use std::{
    net::TcpListener,
    sync::mpsc::{Sender, channel},
    thread,
};

use super::support::{
    block_on,
    handlers::{Events, Parrot, recorder},
    peer::{CONTINUATION, Peer, TEXT, encode},
    server::{Running, listen, serve},
};
use crate::prism::{ConnectError, Disconnect, Message, OwnedMessage, connect};

fn parrot() -> (Running, Events) {
    let (recorder, events) = recorder();
    (serve(|server| server.websocket("/", Parrot(recorder))), events)
}

/// Two messages, the second in two fragments; and where each is whole.
fn two_messages(masked: bool) -> (Vec<u8>, [usize; 2]) {
    let frame = |fin, opcode, payload| encode(masked, fin, opcode, payload);
    let first = frame(true, TEXT, "größer".as_bytes());
    let second = [frame(false, TEXT, b"two "), frame(true, CONTINUATION, b"pieces")].concat();
    let bytes = [first.clone(), second].concat();
    let whole = [first.len(), bytes.len()];
    (bytes, whole)
}

const SAID: [&str; 2] = ["größer", "two pieces"];

/// How a peer goes.
#[derive(Clone, Copy, Debug)]
enum Going {
    /// It ends its direction, and reads on.
    Ended,
    /// It drops its socket, whatever is still on the way to it.
    Dropped,
}

impl Going {
    fn go(self, peer: Peer) {
        match self {
            Self::Ended => {
                peer.send_eof();
                peer.expect_gone();
            }
            Self::Dropped => drop(peer),
        }
    }
}

#[test]
fn a_client_that_is_cut_at_any_byte_is_heard_up_to_there_and_missed_once() {
    let (server, events) = parrot();
    for going in [Going::Ended, Going::Dropped] {
        let request = Peer::request("/");
        let (frames, whole) = two_messages(true);
        for cut in 0..=frames.len() {
            let mut peer = server.dial();
            peer.write(&[request.as_bytes(), &frames[..cut]].concat());
            going.go(peer);
            events.connected();
            for (said, end) in SAID.iter().zip(whole) {
                if end <= cut {
                    assert_eq!(events.message().as_message().as_text(), Some(*said), "{cut}");
                }
            }
            let ended = events.ended();
            assert!(matches!(ended, Disconnect::Failed(_)), "{going:?} at {cut}: {ended}");
        }
    }
    server.stop();
    events.nothing_more();
}

#[test]
fn a_client_that_is_cut_at_any_byte_of_its_request_is_none() {
    let (server, events) = parrot();
    for going in [Going::Ended, Going::Dropped] {
        let request = Peer::request("/");
        for cut in 0..request.len() {
            let mut peer = server.dial();
            peer.write(&request.as_bytes()[..cut]);
            going.go(peer);
        }
    }
    server.stop();
    events.nothing_more();
}

#[test]
fn a_conversation_that_is_split_at_any_byte_is_the_same() {
    let (server, events) = parrot();
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
        for said in SAID {
            peer.expect(TEXT, said.as_bytes());
        }
        events.connected();
        for said in SAID {
            assert_eq!(events.message(), OwnedMessage::Text(said.into()));
        }
        peer.send_close(1000, "");
        peer.expect_close(1000, "");
        peer.expect_end();
        assert_eq!(events.ended().code(), 1000);
    }
}

/// What a server has said before it was cut, as lengths.
struct Said {
    head: usize,
    whole: [usize; 2],
    cut: usize,
}

/// Serves one client: answers the request and says both messages, but only so many bytes of all
/// that. Whether that was not all.
fn serve_cut(listener: &TcpListener, cut: usize, going: Going, told: &Sender<Said>) -> bool {
    let (mut peer, request) = Peer::accept(listener);
    let head = Peer::acceptance(&request);
    let (frames, whole) = two_messages(false);
    let answer = [head.as_bytes(), &frames].concat();
    peer.write(&answer[..cut]);
    going.go(peer);
    told.send(Said { head: head.len(), whole, cut }).expect("the scenario waits");
    cut < answer.len()
}

/// What a client hears, and how that ends.
async fn visit(url: &str) -> Result<(Vec<OwnedMessage>, Disconnect), ConnectError> {
    let socket = connect(url).await?;
    let mut heard = Vec::new();
    loop {
        match socket.recv().await {
            Ok(message) => heard.push(message),
            Err(ending) => return Ok((heard, ending)),
        }
    }
}

#[test]
fn a_server_that_is_cut_at_any_byte_is_heard_up_to_there() {
    for going in [Going::Ended, Going::Dropped] {
        let (listener, url) = listen();
        let (told, said) = channel();
        let server = thread::spawn(move || {
            let mut cuts = 0..;
            while cuts.next().is_some_and(|cut| serve_cut(&listener, cut, going, &told)) {}
        });
        let mut visits = 0;
        while !server.is_finished() {
            let outcome = block_on(visit(&url));
            let Ok(Said { head, whole, cut }) = said.recv() else { break };
            visits += 1;
            if cut < head {
                let error = outcome.map(drop).expect_err("half an answer");
                let gone = matches!(error, ConnectError::Handshake(_) | ConnectError::Io(_));
                assert!(gone, "{going:?} at {cut}: {error}");
                continue;
            }
            let (heard, ending) = outcome.expect("a connection");
            let expected = SAID.iter().zip(whole).filter(|(_, end)| head + end <= cut);
            let expected: Vec<_> = expected.map(|(said, _)| Message::from(*said).into()).collect();
            assert_eq!(heard, expected, "{going:?} at {cut}");
            assert!(matches!(ending, Disconnect::Failed(_)), "{going:?} at {cut}: {ending}");
        }
        server.join().expect("all were served");
        assert!(visits > 100, "the answer alone is longer");
    }
}
