//! The memory of a reader that stops, over HTTP/2 (RFC 8441).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use allocation_counter::measure;
use async_channel::{Receiver, bounded};
use h2::client::Builder;
use prism_driver::{Connection, Handler, Message, Options, WebSockets};
use tokio::{runtime, task::yield_now};

use crate::common::http2::{Client, serve, with_handler};

const STREAMS: usize = 50;
const MARK: usize = 64 << 10;
/// What hyper queues for a stream, besides what the peer's window allows: three pieces of 16 KiB, and one for which the
/// window has only some room.
const QUEUE: usize = 4 * (16 << 10);
/// The most that hyper takes of what the window allows.
const MAX_SEND_BUFFER: usize = 400 << 10;
/// The growth of a connection of HTTP/2 that sends, on both sides.
const CONNECTION: usize = 20 << 10;

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

/// Clients that stop reading.
#[derive(Clone, Copy)]
struct Readers {
    streams_per_connection: usize,
    /// Whether they do not read TCP any more, but have allowed 2 GiB. Otherwise they allow only the first 64 KiB.
    stop_tcp: bool,
}

impl Readers {
    /// Measures the memory that each stream of messages of this length takes at most.
    fn stall(self, message: usize) -> usize {
        // It counts what this thread allocates.
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (start, started) = bounded(1);
        let (sent, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let _clients = runtime.block_on(async {
            let websockets = WebSockets::new(Options::default().high_water_mark(MARK));
            let flood = Flood { message, start: started, sent: sent.clone() };
            let address = serve(with_handler(&websockets, flood));
            let mut builder = Builder::new();
            if self.stop_tcp {
                builder.initial_window_size(1 << 30).initial_connection_window_size(1 << 30);
            }
            let mut clients = Vec::new();
            for _ in 0..STREAMS / self.streams_per_connection {
                let mut client = Client::connect_until(stopped.clone(), &builder, address).await;
                for _ in 0..self.streams_per_connection {
                    let mut stream = client.open().await;
                    // What it receives is dropped, so that only the server's memory counts.
                    tokio::spawn(
                        async move { while let Some(Ok(_)) = stream.recv.data().await {} },
                    );
                }
                clients.push(client);
            }
            clients
        });
        stopped.store(self.stop_tcp, Relaxed);
        let memory = measure(|| {
            start.close();
            runtime.block_on(until_stalled(&sent));
        });
        usize::try_from(memory.bytes_max).unwrap() / STREAMS
    }
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

/// Checks what a stream takes.
fn expect(readers: Readers, message: usize, at_most: usize) {
    // A thread keeps the buffers of ended connections, so each measurement has a new one.
    let bytes = thread::spawn(move || readers.stall(message)).join().unwrap();
    assert!((MARK..=at_most).contains(&bytes), "{bytes} bytes, and not at most {at_most}");
}

#[test]
fn a_reader_that_stops_costs_a_mark_a_message_and_64_kib_of_hyper() {
    for message in [1 << 10, 64 << 10] {
        for streams_per_connection in [1, STREAMS] {
            let readers = Readers { streams_per_connection, stop_tcp: false };
            expect(readers, message, MARK + message + QUEUE + CONNECTION);
        }
    }
}

#[test]
fn a_reader_that_stops_tcp_costs_no_more_than_the_send_buffer_of_hyper_besides() {
    let at_most = MARK + QUEUE + MAX_SEND_BUFFER + CONNECTION;
    for message in [1 << 10, 64 << 10] {
        let readers = Readers { streams_per_connection: 1, stop_tcp: true };
        expect(readers, message, at_most + message);
    }
}
