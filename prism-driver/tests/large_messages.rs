//! A large payload is written to the transport without a copy, and keeps its place in the order.

use std::io::ErrorKind::HostUnreachable;

use prism_driver::Options;
use prism_test::{Received, Sim};

use crate::common::{
    binary, close, handed_out,
    handlers::{Echo, HandOut},
    io_error, serve, text,
};

const LARGE: usize = 100_000;

fn options() -> Options {
    let mut options = Options::default();
    options.high_water_mark = 1 << 20;
    options
}

fn large(byte: u8) -> Vec<u8> {
    vec![byte; LARGE]
}

#[test]
fn a_large_message_bypasses_the_outbox() {
    let sim = Sim::default();
    let (mut peer, _, _, connection) = handed_out(&sim, options());
    sim.run(async {
        sim.settle().await;
        let message = large(1);
        connection.try_send(&message).unwrap();
        assert_eq!(connection.buffered(), 0);
        assert_eq!(peer.next().await, binary(message));
    });
}

#[test]
fn unwritten_bytes_of_a_large_message_wait_in_the_outbox() {
    for capacity in [0, 1, 9, 10, 11, 60_000, LARGE + 9] {
        let sim = Sim::default();
        let (mut peer, faults, _, connection) = handed_out(&sim, options());
        sim.run(async {
            sim.settle().await;
            faults.to_client().set_capacity(capacity);
            let message = large(1);
            connection.try_send(&message).unwrap();
            assert_eq!(connection.buffered(), LARGE + 10 - capacity);
            faults.to_client().set_capacity(1000);
            assert_eq!(peer.next().await, binary(message));
        });
    }
}

#[test]
fn small_and_large_messages_keep_their_order() {
    for capacity in [100, 150_000, 1 << 20] {
        let sim = Sim::default();
        let (mut peer, faults, _, connection) = handed_out(&sim, options());
        sim.run(async {
            faults.to_client().set_capacity(capacity);
            connection.send("before").await.unwrap();
            connection.send(&large(1)).await.unwrap();
            connection.send("between").await.unwrap();
            connection.send(&large(2)).await.unwrap();
            connection.send(&large(3)).await.unwrap();
            connection.send("after").await.unwrap();
            assert!(
                connection.close(prism_driver::CloseCode::NORMAL, "done"),
                "the connection is open"
            );
            assert_eq!(peer.next().await, text("before"));
            assert_eq!(peer.next().await, binary(large(1)));
            assert_eq!(peer.next().await, text("between"));
            assert_eq!(peer.next().await, binary(large(2)));
            assert_eq!(peer.next().await, binary(large(3)));
            assert_eq!(peer.next().await, text("after"));
            assert_eq!(peer.next().await, close(1000, "done"));
        });
    }
}

#[test]
fn nothing_is_interleaved_with_a_large_message() {
    let sim = Sim::default();
    let (mut peer, faults, _) = serve(&sim, Echo, options());
    sim.run(async {
        faults.to_client().set_capacity(50_000);
        peer.send(&large(1)).await;
        sim.settle().await;
        for _ in 0..100 {
            peer.ping(b"there?").await;
        }
        sim.settle().await;
        assert_eq!(peer.next().await, binary(large(1)));
        assert_eq!(peer.next().await, Received::Pong(b"there?".to_vec()));
    });
}

#[test]
fn a_transport_failure_during_a_large_write_is_the_reason() {
    let sim = Sim::default();
    let (_peer, faults, ended, connection) = handed_out(&sim, options());
    sim.run(async {
        sim.settle().await;
        faults.to_client().fail_next_write(HostUnreachable);
        connection.try_send(large(1)).unwrap();
        let ending = ended.recv().await.unwrap();
        assert_eq!(io_error(&ending), Some(HostUnreachable), "{ending}");
    });
}

#[test]
fn a_buffering_transport_is_flushed_after_a_large_message() {
    let sim = Sim::default();
    let (handler, out) = HandOut::new();
    let (mut peer, faults, _) = serve(&sim, handler, options());
    faults.hold_until_flushed();
    sim.run(async {
        let connection = out.recv().await.unwrap();
        sim.settle().await;
        connection.try_send(large(1)).unwrap();
        assert_eq!(peer.next().await, binary(large(1)));
    });
}
