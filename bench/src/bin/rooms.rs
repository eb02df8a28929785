//! Prints how many messages per second one thread, and two, send to rooms: what rooms themselves cost, and
//! what threads pay for sharing them.
//!
//! `rooms [ROUNDS] [SECONDS]`: a thousand rooms of one to ten members, 5,500 in all. A member is a
//! connection whose transport accepts everything and returns nothing. So the whole path from `send` to the
//! transport is measured, without the kernel. The sender runs in its own session, as a handler does, and
//! sends one message of 32 B per turn.

use std::{
    error::Error,
    io,
    ops::Range,
    pin::Pin,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use prism_bench::Spread;
use prism_driver::{Connection, Handler, Message, Options};
use prism_rooms::Rooms;
use prism_tokio::serve_upgraded;
use smol::future::yield_now;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::{Builder, Runtime},
    sync::mpsc::{UnboundedSender, unbounded_channel},
};

const ROOMS: usize = 1000;

/// How many messages are sent between two readings of the clock.
const PER_READING: usize = 64;

const WARM_UP: Duration = Duration::from_millis(20);

/// How threads share the rooms.
const MODES: &[(&str, &[Part])] = &[
    ("one thread", &[part(0, 0..ROOMS, 389)]),
    ("two, the same rooms", &[part(0, 0..ROOMS, 389), part(0, 0..ROOMS, 571)]),
    ("two, each half of the rooms", &[part(0, 0..ROOMS / 2, 389), part(0, ROOMS / 2..ROOMS, 389)]),
    ("two, each with its own `Rooms`", &[part(0, 0..ROOMS, 389), part(1, 0..ROOMS, 389)]),
];

/// What one thread sends to.
struct Part {
    /// Which of the two sets of rooms.
    set: usize,
    rooms: Range<usize>,
    /// The distance from one room to the next, chosen so that each room gets its turn.
    step: usize,
}

const fn part(set: usize, rooms: Range<usize>, step: usize) -> Part {
    Part { set, rooms, step }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().map_or(Ok(25), |word| word.parse())?;
    let seconds: f64 = arguments.next().map_or(Ok(0.1), |word| word.parse())?;
    let sets = [RoomSet::new()?, RoomSet::new()?];
    let mut rates = vec![Vec::new(); MODES.len()];
    for _ in 0..rounds {
        for ((_, parts), rates) in MODES.iter().zip(&mut rates) {
            rates.push(measure(&sets, parts, Duration::from_secs_f64(seconds))?);
        }
    }
    println!("| | messages to a room per second | to one thread |\n|---|--:|--:|");
    let one = Spread::of(rates[0].clone()).ok_or("no rounds")?.median;
    for ((name, _), rates) in MODES.iter().zip(rates) {
        let Spread { low, median, high } = Spread::of(rates).ok_or("no rounds")?;
        let [low, median, high] = [low, median, high].map(|rate| rate / 1e6);
        let ratio = median * 1e6 / one;
        println!("| {name} | {median:.2} M ({low:.2}–{high:.2}) | {ratio:.2} |");
    }
    Ok(())
}

/// Rooms and their members, which stay until this is dropped.
struct RoomSet {
    rooms: Rooms,
    names: Vec<String>,
    _members: Runtime,
}

impl RoomSet {
    fn new() -> io::Result<Self> {
        let (rooms, joined) = (Rooms::new(), Arc::new(AtomicUsize::new(0)));
        let names: Vec<_> = (0..ROOMS).map(|number| format!("room-{number}")).collect();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut members = 0;
        for (number, name) in names.iter().enumerate() {
            for _ in 0..=number % 10 {
                let (rooms, room) = (rooms.clone(), name.clone());
                let member = Member { rooms, room, joined: joined.clone() };
                runtime.spawn(async move {
                    let options = options();
                    serve_upgraded(Void, "/", &options, member).await
                });
                members += 1;
            }
        }
        runtime.block_on(async {
            while joined.load(Ordering::Relaxed) < members {
                yield_now().await;
            }
        });
        Ok(Self { rooms, names, _members: runtime })
    }
}

struct Member {
    rooms: Rooms,
    room: String,
    joined: Arc<AtomicUsize>,
}

impl Handler for Member {
    async fn on_connect(&self, connection: &Connection) {
        self.rooms.join(connection, &self.room).expect("the connection is open");
        self.joined.fetch_add(1, Ordering::Relaxed);
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

/// Returns how many messages all threads together send per second.
fn measure(sets: &[RoomSet], parts: &[Part], duration: Duration) -> io::Result<f64> {
    let start = Arc::new(Barrier::new(parts.len()));
    let sender = |part: &Part| {
        let RoomSet { rooms, names, .. } = &sets[part.set];
        let (names, start) = (names[part.rooms.clone()].to_vec(), start.clone());
        let (rates_sender, mut rates) = unbounded_channel();
        let sender =
            Sender { rooms: rooms.clone(), names, step: part.step, start, duration, rates_sender };
        thread::spawn(move || {
            Builder::new_current_thread().enable_all().build()?.block_on(async {
                tokio::spawn(async move {
                    let options = options();
                    serve_upgraded(Void, "/", &options, sender).await
                });
                rates.recv().await.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
            })
        })
    };
    let threads: Vec<_> = parts.iter().map(sender).collect();
    threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
}

/// Sends to each of its rooms in turn, and reports how many messages per second it sent.
struct Sender {
    rooms: Rooms,
    names: Vec<String>,
    step: usize,
    start: Arc<Barrier>,
    duration: Duration,
    rates_sender: UnboundedSender<f64>,
}

impl Handler for Sender {
    async fn on_connect(&self, _: &Connection) {
        self.start.wait();
        self.send_for(WARM_UP).await;
        let rate = self.send_for(self.duration).await;
        let _ = self.rates_sender.send(rate); // fails only if the thread has ended
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

impl Sender {
    async fn send_for(&self, duration: Duration) -> f64 {
        let (began, mut count, mut at) = (Instant::now(), 0, 0);
        while began.elapsed() < duration {
            for _ in 0..PER_READING {
                self.rooms.to(&self.names[at]).send("thirty-two bytes, as in a chat..");
                at = (at + self.step) % self.names.len();
                yield_now().await; // the session writes at the end of its turn
            }
            count += PER_READING;
        }
        count as f64 / began.elapsed().as_secs_f64()
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.protocol.ping_interval = None;
    options
}

/// A transport that accepts everything and returns nothing.
struct Void;

impl AsyncRead for Void {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Void {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
