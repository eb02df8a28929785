//! The contract of handlers, rules 7 and 9: what waits to be sent. The name of each test begins with the
//! number of its rule.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_lite::future::poll_once;
use prism_driver::{Client, Options, OwnedMessage, Runtime, TrySendError};
use prism_test::{Received, Sim};

use crate::common::{handed_out, handlers::HandOut, kinds::on_both_kinds, serve_handshake, text};

// ---- 7. A `send` future that is dropped while waiting has sent nothing. Reading is cancel-safe
// ----    everywhere.

#[test]
fn contract_7_a_dropped_send_has_sent_nothing() {
    let sim = Sim::default();
    let mut options = Options::default();
    options.high_water_mark = 10;
    let (mut peer, faults, _, connection) = handed_out(&sim, options);
    sim.run(async {
        faults.to_client().set_capacity(0);
        connection.send("0123456789").await.unwrap();
        let waiting = connection.send("dropped");
        assert_eq!(poll_once(waiting).await, None, "there is no room");
        let mut second = Box::pin(connection.send("kept"));
        assert_eq!(poll_once(&mut second).await, None);
        faults.to_client().set_capacity(1000);
        second.await.unwrap();
        assert_eq!((peer.next().await, peer.next().await), (text("0123456789"), text("kept")));
    });
}

#[test]
fn contract_7_a_dropped_recv_has_taken_nothing() {
    let sim = Sim::default();
    let (handler, out) = HandOut::new();
    let (io, _, _) = serve_handshake(&sim, handler, Options::default());
    sim.run(async {
        let client = Client::new_on(sim.clone(), "ws://example.org/").unwrap();
        let socket = client.connect_stream(io).await.unwrap();
        let connection = out.recv().await.unwrap();
        // Dropped after it has been woken for a message.
        let mut told = Box::pin(socket.recv());
        assert!(poll_once(&mut told).await.is_none(), "nothing was sent");
        connection.send("kept").await.unwrap();
        sim.settle().await;
        drop(told);
        // If this one is not ready at once, it is dropped while it takes the message.
        let message = match poll_once(socket.recv()).await {
            Some(message) => message,
            None => socket.recv().await,
        };
        assert_eq!(message.unwrap(), OwnedMessage::Text("kept".into()));
    });
}

// ---- 9. An outbox is never larger than its high-water mark plus one message. Nothing is
// ----    dropped unseen: `send` waits, `try_send` says that it is full.

#[test]
fn contract_9_an_outbox_never_exceeds_its_mark_plus_one_message() {
    on_both_kinds(|kind| {
        const MARK: usize = 5_000;
        const MESSAGE: usize = 700;
        const FRAME: usize = MESSAGE + 4;
        let sim = Sim::default();
        let (handler, out) = HandOut::new();
        let mut options = Options::default();
        options.high_water_mark = MARK;
        let (mut peer, faults, _) = kind.serve(&sim, handler, options);
        let most = Arc::new(AtomicUsize::new(0));
        sim.run(async {
            let connection = out.recv().await.unwrap();
            faults.to_client().set_capacity(0);
            for _ in 0..50 {
                let (connection, most) = (connection.clone(), most.clone());
                sim.spawn(async move {
                    connection.send(&[7; MESSAGE]).await.unwrap();
                    most.fetch_max(connection.buffered(), Ordering::Relaxed);
                });
            }
            sim.settle().await;
            assert_eq!(connection.buffered(), MARK.div_ceil(FRAME) * FRAME);
            assert_eq!(connection.try_send("more"), Err(TrySendError::Full));
            faults.to_client().set_capacity(3_000);
            for _ in 0..50 {
                assert_eq!(peer.next().await, Received::Binary(vec![7; MESSAGE]));
            }
        });
        let most = most.load(Ordering::Relaxed);
        assert!(most < MARK + FRAME, "{most} bytes were waiting");
    });
}
