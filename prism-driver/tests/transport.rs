//! Difficult transports: they split bytes anywhere, fail at any point, buffer until they are flushed, and
//! end on one side only.

use std::io;

use futures_lite::AsyncWriteExt;
use prism_driver::{Client, Options, OwnedMessage, Runtime};
use prism_test::{Peer, Received, Sim};

use crate::common::{
    close,
    handlers::{Echo, Recorder},
    io_error, s, serve, serve_handshake, text,
};

const RESET: io::ErrorKind = io::ErrorKind::ConnectionReset;

/// A short conversation: two messages, one of them long, a ping between them, and a close.
async fn converse(mut peer: Peer) -> Vec<Received> {
    peer.send("hello").await;
    peer.raw(b"\x89\x84\0\0\0\0ping").await;
    peer.send(&[7; 300]).await;
    peer.close(1000, "bye").await;
    peer.all().await
}

fn converse_expects() -> [Received; 5] {
    let long = Received::Binary(vec![7; 300]);
    [
        text("hello"),
        Received::Pong(b"ping".to_vec()),
        long,
        close(1000, "bye"),
        Received::End(Ok(())),
    ]
}

#[test]
fn bytes_may_be_split_anywhere() {
    for piece in 1..=400 {
        let sim = Sim::default();
        let (peer, faults, ended) = serve(&sim, Echo, Options::default());
        sim.run(async {
            faults.set_piece(piece);
            assert_eq!(converse(peer).await, converse_expects(), "{piece} bytes at a time");
            assert_eq!(ended.recv().await.unwrap().code(), 1000);
        });
    }
}

#[test]
fn the_transport_may_hold_very_little() {
    for capacity in 1..=50 {
        let sim = Sim::default();
        let (peer, faults, ended) = serve(&sim, Echo, Options::default());
        sim.run(async {
            faults.to_client().set_capacity(capacity);
            assert_eq!(converse(peer).await, converse_expects(), "room for {capacity} bytes");
            assert_eq!(ended.recv().await.unwrap().code(), 1000);
        });
    }
}

// ---- errors

#[test]
fn a_failed_read_ends_the_connection_with_its_error() {
    let frame = b"\x81\x85\0\0\0\0hello";
    for sent in 0..=frame.len() {
        let sim = Sim::default();
        let (recorder, log, _gate) = Recorder::new();
        let (mut peer, faults, ended) = serve(&sim, recorder, Options::default());
        sim.run(async {
            peer.raw(&frame[..sent]).await;
            sim.settle().await;
            faults.to_server().fail(RESET);
            assert_eq!(io_error(&ended.recv().await.unwrap()), Some(RESET));
            assert!(faults.dropped_by_server());
        });
        let handled = log.contains("end hello");
        assert_eq!(handled, sent == frame.len(), "{sent} bytes of the message had arrived");
        assert!(log.lines().last().unwrap().starts_with("disconnect the transport failed"));
    }
}

#[test]
fn a_failed_write_ends_the_connection_with_its_error() {
    let answer = b"\x81\x05hello";
    for taken in 0..=answer.len() + 1 {
        let sim = Sim::default();
        let (mut peer, faults, ended) = serve(&sim, Echo, Options::default());
        sim.run(async {
            faults.to_client().fail_after(taken, RESET);
            peer.send("hello").await;
            sim.settle().await;
            if taken >= answer.len() {
                assert!(ended.is_empty(), "the error has not been noticed yet");
                peer.send("once more").await;
            }
            assert_eq!(io_error(&ended.recv().await.unwrap()), Some(RESET), "after {taken} bytes");
            assert!(faults.dropped_by_server());
        });
    }
}

#[test]
fn a_failed_flush_ends_the_connection_with_its_error() {
    let sim = Sim::default();
    let (mut peer, faults, ended) = serve(&sim, Echo, Options::default());
    sim.run(async {
        faults.to_client().fail_flush(RESET);
        peer.send("hello").await;
        assert_eq!(io_error(&ended.recv().await.unwrap()), Some(RESET));
    });
}

#[test]
fn a_failed_close_of_the_transport_keeps_the_reason() {
    let sim = Sim::default();
    let (mut peer, faults, ended) = serve(&sim, Echo, Options::default());
    sim.run(async {
        faults.to_client().fail_close(RESET);
        peer.close(4000, "bye").await;
        assert_eq!(peer.next().await, close(4000, "bye"));
        assert_eq!(ended.recv().await.unwrap().code(), 4000);
        assert!(faults.dropped_by_server());
    });
}

#[test]
fn a_transport_that_never_closes_hits_the_write_timeout() {
    let sim = Sim::default();
    let (mut peer, faults, ended) = serve(&sim, Echo, Options::default());
    sim.run(async {
        faults.to_client().block_close();
        peer.close(4000, "bye").await;
        assert_eq!(peer.next().await, close(4000, "bye"));
        peer.io().close().await.unwrap();
        assert_eq!(ended.recv().await.unwrap().code(), 4000);
        assert_eq!(sim.now(), s(30));
        assert!(faults.dropped_by_server());
    });
}

// ---- the end of one side

#[test]
fn a_half_closed_peer_gets_the_answer_to_its_last_message() {
    let sim = Sim::default();
    let (mut peer, _, ended) = serve(&sim, Echo, Options::default());
    sim.run(async {
        peer.send("my last words").await;
        peer.end().await;
        assert_eq!(peer.next().await, text("my last words"));
        assert!(matches!(peer.next().await, Received::End(_)));
        assert_eq!(ended.recv().await.unwrap().code(), 1006);
    });
}

/// A peer ends its side, and reads the answer only `after` seconds.
fn half_closed_reader(after: u64) {
    let sim = Sim::default();
    let (mut peer, faults, _) = serve(&sim, Echo, Options::default());
    let answer = "x".repeat(10_000);
    sim.run(async {
        faults.to_client().set_capacity(1_000);
        peer.send(&answer).await;
        sim.pass(s(10)).await;
        peer.end().await;
        sim.pass(s(after)).await;
        assert!(peer.next().await == text(&answer), "the answer was cut off");
    });
}

#[test]
fn a_half_closed_peer_may_read_the_answer_later() {
    half_closed_reader(5);
}

#[test]
fn a_half_closed_peer_may_read_until_the_write_timeout() {
    // Later than a ping would have been due.
    half_closed_reader(15);
}

// ---- transports that buffer until they are flushed

#[test]
fn a_server_flushes_a_buffering_transport() {
    let sim = Sim::default();
    let (io, faults, _) = serve_handshake(&sim, Echo, Options::default());
    faults.hold_until_flushed();
    sim.run(async {
        let mut io = io;
        io.write_all(crate::common::http::REQUEST.as_bytes()).await.unwrap();
        io.flush().await.unwrap();
        assert!(crate::common::http::read_head(&mut io).await.starts_with("HTTP/1.1 101 "));
        io.write_all(b"\x81\x85\0\0\0\0hello\x88\x80\0\0\0\0").await.unwrap();
        io.flush().await.unwrap();
        let mut peer = Peer::new(io);
        let expected = [text("hello"), close(1005, ""), Received::End(Ok(()))];
        assert_eq!(peer.all().await, expected);
    });
}

#[test]
fn a_client_flushes_a_buffering_transport() {
    let sim = Sim::default();
    let (io, faults, _) = serve_handshake(&sim, Echo, Options::default());
    faults.hold_until_flushed();
    sim.run(async {
        let client = Client::new_on(sim.clone(), "ws://example.org/").unwrap();
        let socket = client.connect_stream(io).await.unwrap();
        socket.send("hello").await.unwrap();
        assert_eq!(socket.recv().await.unwrap(), OwnedMessage::Text("hello".into()));
    });
}

#[test]
fn a_refusal_flushes_a_buffering_transport() {
    let sim = Sim::default();
    let (io, faults, _) = serve_handshake(&sim, Echo, Options::default());
    faults.hold_until_flushed();
    sim.run(async {
        let mut io = io;
        io.write_all(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        io.flush().await.unwrap();
        let answer = crate::common::http::read_to_end(&mut io).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    });
}
