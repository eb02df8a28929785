//! Many connections at once, each busy: nothing is lost, reordered or doubled, and when they have gone
//! nothing of them is left.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc::{RecvTimeoutError, channel},
};

use futures_lite::future::zip;

use super::support::{
    PATIENCE,
    alone::{alone, descriptors, heap, most_descriptors},
    block_on,
    handlers::Gate,
    server::{Running, serve_echo},
    wait_until,
};
use crate::{
    prism::{Client, CloseCode, Options, Socket},
    runtime::spawn,
};

const CROWD: usize = 5_000;
const MESSAGES: u32 = 20;

/// Numbers that look random, and are the same at each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.0 >> 33
    }
}

/// The message of this connection with this number: of a size that is its own, from nothing to 16
/// KiB, small ones being as likely as large ones.
fn message(connection: usize, number: u32) -> Vec<u8> {
    let mut dice = Dice((connection as u64) << 8 | u64::from(number));
    dice.roll();
    let most = 1 << (dice.roll() % 15);
    let size = (dice.roll() % most) as usize;
    let name = format!("{connection}/{number}: ");
    name.bytes().chain((0..size).map(|_| (dice.roll() >> 8) as u8)).collect()
}

/// Sends all messages, and expects each of them back, once and in order.
async fn echo_all(socket: &Socket, connection: usize) {
    let send = async {
        for number in 0..MESSAGES {
            let message = message(connection, number);
            socket.send(&message).await.expect("an open connection");
        }
    };
    let receive = async {
        for number in 0..MESSAGES {
            let returned = socket.recv().await.expect("an echo");
            let expected = message(connection, number);
            assert!(returned.as_message().as_bytes() == expected, "{connection}/{number}");
        }
    };
    zip(send, receive).await;
    let ending = socket.close(CloseCode::NORMAL, "").await.expect("an open connection");
    assert_eq!(ending.code(), 1000, "nothing came behind the last message");
}

/// Lets everybody through when all have come.
struct Meeting {
    missing: AtomicUsize,
    gate: Gate,
}

impl Meeting {
    fn of(count: usize) -> Self {
        Self { missing: AtomicUsize::new(count), gate: Gate::closed() }
    }

    /// Comes, and waits for the others.
    async fn join(&self) {
        if self.missing.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.gate.open();
        }
        self.gate.pass().await;
    }
}

/// They all connect; when all are there, all talk; then all leave. How much heap there was when all
/// were there.
fn a_crowd_comes_and_goes(server: &Running, count: usize) -> usize {
    let here = Arc::new(Meeting::of(count + 1));
    let (staying, all_left) = channel::<()>();
    for connection in 0..count {
        let (url, here, staying) = (server.url("/"), here.clone(), staying.clone());
        spawn(async move {
            let client = Client::new(&url).expect("a good address");
            let socket = client.connect().await.expect("a connection");
            here.join().await;
            echo_all(&socket, connection).await;
            drop((socket, staying));
        });
    }
    block_on(here.join());
    let heap = heap();
    drop(staying);
    assert_eq!(all_left.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    heap
}

#[test]
fn five_thousand_connections_echo_twenty_messages_each_and_leave_nothing_behind() {
    alone(&five_thousand_connections_echo_twenty_messages_each_and_leave_nothing_behind, || {
        // Both ends are in this process.
        let count = CROWD.min(most_descriptors().saturating_sub(200) / 2);
        let server = serve_echo(&Options::default());
        let opened = descriptors();
        let cold = heap();
        let there = a_crowd_comes_and_goes(&server, count);
        wait_until("all descriptors are back", || descriptors() <= opened);
        // What stays belongs to the threads, and to the tables that had to grow, once.
        let warm = heap();
        a_crowd_comes_and_goes(&server, count);
        wait_until("all descriptors are back", || descriptors() <= opened);
        wait_until("all memory is back", || heap() <= warm + (256 << 10));
        eprintln!(
            "{count} connections, both ends: {} KiB; and then {} KiB, and {} KiB",
            (there - cold) >> 10,
            (warm - cold) >> 10,
            heap().saturating_sub(cold) >> 10
        );
    });
}
