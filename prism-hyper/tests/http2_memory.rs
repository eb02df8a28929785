//! The memory of a reader that stops, over HTTP/2 (RFC 8441).

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use allocation_counter::measure;
use async_channel::{Receiver, bounded};
use prism_driver::{Connection, Handler, Message, Options, WebSockets};
use tokio::{runtime::Builder, task::yield_now};

use crate::common::http2::{Client, serve, with_handler};

const STREAMS: usize = 50;
const MARK: usize = 64 << 10;
/// What hyper queues for a stream: four pieces of 16 KiB.
const HYPER: usize = 4 * (16 << 10);
/// The growth of a connection of HTTP/2 that sends, on both sides.
const CONNECTION: usize = 12 << 10;

static PAYLOAD: [u8; 64 << 10] = [7; 64 << 10];

/// Sends messages of this length endlessly, as soon as `start` is closed.
struct Flood {
    message: usize,
    start: Receiver<()>,
    sent: Arc<AtomicUsize>,
}

impl Handler for Flood {
    async fn on_connect(&self, connection: &Connection) {
        let _ = self.start.recv().await; // fails when it is closed
        while connection.send(&PAYLOAD[..self.message]).await.is_ok() {
            self.sent.fetch_add(self.message, Relaxed);
        }
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

/// Measures the memory that each stream takes at most, if no reader allows more than the first 64 KiB.
fn stall(message: usize, streams_per_connection: usize) -> usize {
    // It counts what this thread allocates.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (start, started) = bounded(1);
    let sent = Arc::new(AtomicUsize::new(0));
    let mut clients = Vec::new();
    runtime.block_on(async {
        let websockets = WebSockets::new(Options::default().high_water_mark(MARK));
        let flood = Flood { message, start: started, sent: sent.clone() };
        let address = serve(with_handler(&websockets, flood));
        for _ in 0..STREAMS / streams_per_connection {
            let mut client = Client::connect(address).await;
            for _ in 0..streams_per_connection {
                let mut stream = client.open().await;
                // What it receives is dropped, so that only the server's memory counts.
                tokio::spawn(async move { while let Some(Ok(_)) = stream.recv.data().await {} });
            }
            clients.push(client);
        }
    });
    let memory = measure(|| {
        start.close();
        runtime.block_on(until_stalled(&sent));
    });
    usize::try_from(memory.bytes_max).unwrap() / STREAMS
}

/// Waits until all streams are full, and nothing moves any more.
async fn until_stalled(sent: &AtomicUsize) {
    let mut before = 0;
    while before < STREAMS * MARK || before < sent.load(Relaxed) {
        before = sent.load(Relaxed);
        // The runtime looks for bytes that have arrived once in 61 turns.
        for _ in 0..1000 {
            yield_now().await;
        }
    }
}

#[test]
fn a_reader_that_stops_costs_a_mark_a_message_and_64_kib_of_hyper() {
    for message in [1 << 10, 64 << 10] {
        for streams_per_connection in [1, STREAMS] {
            // A thread keeps the buffers of ended connections, so each measurement has a new one.
            let stalled = thread::spawn(move || stall(message, streams_per_connection));
            let bytes = stalled.join().unwrap();
            assert!(bytes > MARK, "{bytes} bytes");
            assert!(bytes <= MARK + message + HYPER + CONNECTION, "{bytes} bytes");
        }
    }
}
