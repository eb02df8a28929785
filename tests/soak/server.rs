//! The server process. It prints its address, answers each input line with its metrics, and shuts
//! down at the end of its input.

use std::{
    collections::BTreeMap,
    io::stdin,
    panic,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use prism_driver::{Connection, Disconnect, Handler, Message, Network, Options, Runtime, Server};
use prism_rooms::Rooms;
use prism_tests::process::{descriptors, resident};

use crate::{HEAP, counting_network::CountingNetwork, metrics::Metrics, slow_readers};

/// The number of rooms of the echo clients.
pub(crate) const ROOMS: usize = 10;

/// The interval between broadcasts, which go to one room after the other.
const BROADCAST_INTERVAL: Duration = Duration::from_millis(100);

/// Returns the default options with short deadlines, so that they expire often.
pub(crate) fn options() -> Options {
    let mut options = Options::default();
    options.handshake_timeout = Duration::from_secs(5);
    options.write_timeout = Duration::from_secs(15);
    options.protocol.ping_interval = Some(Duration::from_secs(5));
    options.protocol.pong_timeout = Duration::from_secs(10);
    options
}

pub(crate) async fn serve<N: Network>(network: N) {
    let network = CountingNetwork::new(network);
    let (rooms, handler_stats) = (Rooms::new(), Arc::new(HandlerStats::default()));
    let server = Server::bind_on(network.clone(), "127.0.0.1:0").await.expect("a free port");
    println!("listening on {}", server.local_addr().expect("a bound listener"));
    let no_more_lines = answer_lines(handler_stats.clone(), network.tasks());
    network.spawn(publish(network.clone(), rooms.clone()));
    let firehose = Firehose(network);
    let stopped = async {
        let _ = no_more_lines.recv().await; // nothing is sent: this returns when the channel is closed
    };
    let shutdown = server
        .options(options())
        .websocket(
            "/talk/{room}",
            Counting { handler: EchoInRoom(rooms), handler_stats: handler_stats.clone() },
        )
        .websocket(
            "/firehose/{client}",
            Counting { handler: firehose, handler_stats: handler_stats.clone() },
        )
        .websocket("/quiet", Counting { handler: Quiet, handler_stats: handler_stats.clone() })
        .serve_until(stopped)
        .await;
    println!("{shutdown:?}; how connections ended:");
    for ((path, how), count) in &*handler_stats.endings.lock().expect("no panic while it is locked")
    {
        println!("{count:>8}  {path}: {how}");
    }
}

/// The calls of all handlers.
#[derive(Default)]
struct HandlerStats {
    connected: AtomicUsize,
    disconnected: AtomicUsize,
    /// How many connections ended, by path and reason.
    endings: Mutex<BTreeMap<(String, String), usize>>,
}

impl HandlerStats {
    fn ended(&self, connection: &Connection, reason: &Disconnect) {
        // Counts all rooms as one path.
        let path = connection.path().trim_end_matches(|it: char| it.is_ascii_digit());
        let mut endings = self.endings.lock().expect("no panic while it is locked");
        *endings.entry((path.to_owned(), reason.to_string())).or_default() += 1;
    }
}

/// Answers input lines with metrics, in a thread of its own, so that a busy runtime does not delay
/// them. The channel is closed at the end of the input.
fn answer_lines(
    handler_stats: Arc<HandlerStats>,
    tasks: Arc<AtomicUsize>,
) -> async_channel::Receiver<()> {
    let (stop, stopped) = async_channel::bounded(1);
    let panics = count_panics();
    thread::spawn(move || {
        for _ in stdin().lines() {
            let metrics = Metrics {
                connected: handler_stats.connected.load(Relaxed),
                disconnected: handler_stats.disconnected.load(Relaxed),
                panics: panics.load(Relaxed),
                tasks: tasks.load(Relaxed),
                descriptors: descriptors(),
                resident: resident(),
                heap: HEAP.current_usage(),
            };
            println!("{}", metrics.line());
        }
        stop.close();
    });
    stopped
}

fn count_panics() -> Arc<AtomicUsize> {
    let panics = Arc::new(AtomicUsize::new(0));
    let (count, print) = (panics.clone(), panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        count.fetch_add(1, Relaxed);
        print(info);
    }));
    panics
}

/// Broadcasts increasing numbers to every room, forever.
async fn publish<N: Network>(network: CountingNetwork<N>, rooms: Rooms) {
    for number in 0_u64.. {
        for room in 0..ROOMS {
            network.sleep(BROADCAST_INTERVAL).await;
            rooms.to(&room.to_string()).send(number.to_string());
        }
    }
}

/// Counts the connections of a handler.
struct Counting<H> {
    handler: H,
    handler_stats: Arc<HandlerStats>,
}

impl<H: Handler> Handler for Counting<H> {
    async fn on_connect(&self, connection: &Connection) {
        self.handler_stats.connected.fetch_add(1, Relaxed);
        self.handler.on_connect(connection).await;
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.handler.on_message(connection, message).await;
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.handler_stats.ended(connection, &reason);
        self.handler.on_disconnect(connection, reason).await;
        self.handler_stats.disconnected.fetch_add(1, Relaxed);
    }
}

/// Echoes messages, and joins each connection to the room of its path.
struct EchoInRoom(Rooms);

impl Handler for EchoInRoom {
    async fn on_connect(&self, connection: &Connection) {
        let _ = self.0.join(connection, connection.param("room").expect("a room")); // fails if it has ended
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails if the connection is closing
    }
}

/// Sends as much as the peer reads, and still handles its messages.
struct Firehose<N>(CountingNetwork<N>);

impl<N: Network> Handler for Firehose<N> {
    async fn on_connect(&self, connection: &Connection) {
        let connection = connection.clone();
        self.0.spawn(async move {
            for number in 0.. {
                if connection.send(&slow_readers::message(number)).await.is_err() {
                    return;
                }
            }
        });
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

/// Ignores messages.
struct Quiet;

impl Handler for Quiet {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}
