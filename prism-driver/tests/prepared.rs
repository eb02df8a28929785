//! Prepared messages: encoded once, and shared by many connections.

use futures_lite::future::poll_once;
use prism_driver::{Client, CloseCode, Options, PreparedMessage, SendError, TrySendError};
use prism_test::{Received, Sim};

use crate::common::{
    binary, close, handed_out,
    handlers::{HandOut, MessageLog},
    serve, serve_handshake, stuck, text,
};

/// Long enough to be shared instead of copied.
const LONG: usize = 1000;

fn long(byte: u8) -> Vec<u8> {
    vec![byte; LONG]
}

fn prepared(byte: u8) -> PreparedMessage {
    PreparedMessage::new(&long(byte))
}

#[test]
fn prepared_and_other_messages_leave_in_order_in_one_write() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = handed_out(&sim, Options::default());
    sim.run(async {
        sim.settle().await;
        let writes = faults.to_client().writes();
        connection.try_send(prepared(1)).unwrap();
        connection.try_send("own").unwrap();
        connection.try_send(PreparedMessage::new("short")).unwrap();
        connection.send(&prepared(2)).await.unwrap();
        connection.send(&prepared(3)).await.unwrap();
        assert!(connection.close(CloseCode::NORMAL, "done"));
        let expected =
            [binary(long(1)), text("own"), text("short"), binary(long(2)), binary(long(3))];
        for seen in expected {
            assert_eq!(peer.next_but_pings().await, seen);
        }
        assert_eq!(peer.next_but_pings().await, close(1000, "done"));
        assert_eq!(faults.to_client().writes(), writes + 1);
    });
}

#[test]
fn partial_writes_send_every_byte_once() {
    for piece in [1, 2, 7, 500, LONG, LONG + 5] {
        let sim = Sim::default();
        let (handler, out) = HandOut::new();
        let (mut peer, faults, _) = serve(&sim, handler, Options::default());
        faults.set_piece(piece);
        sim.run(async {
            let connection = out.recv().await.unwrap();
            for i in 0..40 {
                connection.try_send(prepared(i)).unwrap();
                connection.try_send(&[i][..]).unwrap();
            }
            for i in 0..40 {
                assert_eq!(peer.next_but_pings().await, binary(long(i)), "{piece} at once");
                assert_eq!(peer.next_but_pings().await, binary([i]), "{piece} at once");
            }
        });
    }
}

#[test]
fn prepared_messages_count_in_full_and_wait_for_room() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim, 2 * LONG);
    sim.run(async {
        let message = prepared(1);
        connection.try_send(&message).unwrap();
        assert_eq!(connection.buffered(), LONG + 4);
        connection.try_send(&message).unwrap();
        assert_eq!(connection.buffered(), 2 * (LONG + 4));
        assert_eq!(connection.try_send(&message), Err(TrySendError::Full));
        let mut waiting = Box::pin(connection.send(&message));
        assert_eq!(poll_once(&mut waiting).await, None);
        faults.to_client().set_capacity(1 << 20);
        waiting.await.unwrap();
        for _ in 0..3 {
            assert_eq!(peer.next().await, binary(long(1)));
        }
        connection.flush().await.unwrap();
        assert_eq!(connection.buffered(), 0);
    });
}

#[test]
fn closing_refuses_new_and_sends_accepted_messages() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim, 1 << 20);
    sim.run(async {
        connection.try_send(prepared(1)).unwrap();
        assert!(connection.close(CloseCode::NORMAL, ""));
        let refused = connection.send(&prepared(2)).await;
        assert_eq!(refused, Err(SendError::Closed));
        faults.to_client().set_capacity(1 << 20);
        let seen = [binary(long(1)), close(1000, ""), Received::End(Ok(()))];
        assert_eq!(peer.all().await, seen);
    });
}

#[test]
fn a_client_can_send_prepared_messages() {
    let sim = Sim::default();
    let (handler, log, _) = MessageLog::new();
    let (io, _, _) = serve_handshake(&sim, handler, Options::default());
    sim.run(async {
        let client = Client::new_on(sim.clone(), "ws://example.org/").unwrap();
        let (handler, out) = HandOut::new();
        let running = async {
            client.run_stream(io, handler).await.unwrap();
        };
        let sending = async {
            let connection = out.recv().await.unwrap();
            let message = PreparedMessage::new("x".repeat(LONG).as_str());
            connection.send(&message).await.unwrap();
            connection.send(&message).await.unwrap();
            assert!(connection.close(CloseCode::NORMAL, ""));
        };
        futures_lite::future::zip(running, sending).await;
        assert_eq!(log.lines()[..2], ["x".repeat(LONG), "x".repeat(LONG)]);
    });
}
