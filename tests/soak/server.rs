//! The process that serves. It says where it listens, then answers each line with its figures, and
//! shuts down when there are no more lines.

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

use crate::{HEAP, counted::Counted, figures::Figures, slow};

/// How many rooms the talkers are in.
pub(crate) const ROOMS: usize = 10;

/// How often there is news: in one room after the other.
const NEWS: Duration = Duration::from_millis(100);

/// As by default, but for deadlines: short, so that they pass often.
pub(crate) fn options() -> Options {
    let mut options = Options::default();
    options.handshake_timeout = Duration::from_secs(5);
    options.write_timeout = Duration::from_secs(15);
    options.protocol.ping_interval = Some(Duration::from_secs(5));
    options.protocol.pong_timeout = Duration::from_secs(10);
    options
}

pub(crate) async fn serve<N: Network>(network: N) {
    let network = Counted::new(network);
    let (rooms, census) = (Rooms::new(), Arc::new(Census::default()));
    let server = Server::bind_on(network.clone(), "127.0.0.1:0").await.expect("a free port");
    println!("listening on {}", server.local_addr().expect("a bound listener"));
    let no_more_lines = answer_lines(census.clone(), network.tasks());
    network.spawn(publish(network.clone(), rooms.clone()));
    let hose = Hose(network);
    let stopped = async {
        let _ = no_more_lines.recv().await; // nothing is ever sent: the channel is closed
    };
    let shutdown = server
        .options(options())
        .websocket("/talk/{room}", Counting { handler: Talk(rooms), census: census.clone() })
        .websocket("/hose/{who}", Counting { handler: hose, census: census.clone() })
        .websocket("/quiet", Counting { handler: Quiet, census: census.clone() })
        .serve_until(stopped)
        .await;
    println!("{shutdown:?}; how connections ended:");
    for ((path, how), count) in &*census.endings.lock().expect("nobody panics in here") {
        println!("{count:>8}  {path}: {how}");
    }
}

/// What the handlers have seen.
#[derive(Default)]
struct Census {
    connected: AtomicUsize,
    disconnected: AtomicUsize,
    /// How often it ended how, by path.
    endings: Mutex<BTreeMap<(String, String), usize>>,
}

impl Census {
    fn ended(&self, connection: &Connection, reason: &Disconnect) {
        // All rooms are one.
        let path = connection.path().trim_end_matches(|it: char| it.is_ascii_digit());
        let mut endings = self.endings.lock().expect("nobody panics in here");
        *endings.entry((path.to_owned(), reason.to_string())).or_default() += 1;
    }
}

/// Answers in a thread, whatever the runtime's do; the channel is closed at the end.
fn answer_lines(census: Arc<Census>, tasks: Arc<AtomicUsize>) -> async_channel::Receiver<()> {
    let (stop, stopped) = async_channel::bounded(1);
    let panics = count_panics();
    thread::spawn(move || {
        for _ in stdin().lines() {
            let figures = Figures {
                connected: census.connected.load(Relaxed),
                disconnected: census.disconnected.load(Relaxed),
                panics: panics.load(Relaxed),
                tasks: tasks.load(Relaxed),
                descriptors: descriptors(),
                resident: resident(),
                heap: HEAP.current_usage(),
            };
            println!("{}", figures.line());
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

/// Numbers for all who are in a room, without an end.
async fn publish<N: Network>(network: Counted<N>, rooms: Rooms) {
    for number in 0_u64.. {
        for room in 0..ROOMS {
            network.sleep(NEWS).await;
            rooms.to(&room.to_string()).send(&number.to_string());
        }
    }
}

/// Counts who comes to a handler, and who goes.
struct Counting<H> {
    handler: H,
    census: Arc<Census>,
}

impl<H: Handler> Handler for Counting<H> {
    async fn on_connect(&self, connection: &Connection) {
        self.census.connected.fetch_add(1, Relaxed);
        self.handler.on_connect(connection).await;
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.handler.on_message(connection, message).await;
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.census.ended(connection, &reason);
        self.handler.on_disconnect(connection, reason).await;
        self.census.disconnected.fetch_add(1, Relaxed);
    }
}

/// Echoes, and lets everybody have a room's news.
struct Talk(Rooms);

impl Handler for Talk {
    async fn on_connect(&self, connection: &Connection) {
        let _ = self.0.join(connection, connection.param("room").expect("a room")); // or it has gone
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails if the peer has gone
    }
}

/// Sends as much as the peer takes, beside listening to it.
struct Hose<N>(Counted<N>);

impl<N: Network> Handler for Hose<N> {
    async fn on_connect(&self, connection: &Connection) {
        let connection = connection.clone();
        self.0.spawn(async move {
            for number in 0.. {
                if connection.send(&slow::message(number)).await.is_err() {
                    return;
                }
            }
        });
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

/// Takes what comes, and says nothing.
struct Quiet;

impl Handler for Quiet {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}
