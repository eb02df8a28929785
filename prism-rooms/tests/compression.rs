//! Messages to rooms are compressed once for each form that members need, while no room is locked.

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use prism_core::deflate::{Deflater, Engine, Inflater, Settings, ZlibRs};
use prism_rooms::Rooms;
use prism_tokio::{CloseCode, Deflate, Options, Plain, PreparedMessage, WindowBits};

use crate::common::{TestClient, fail_on_deadlock, soon};

/// zlib, which counts the messages that it compresses, and calls functions.
#[derive(Default)]
pub(crate) struct Spy(Arc<Seen>);

#[derive(Default)]
struct Seen {
    compressed: AtomicUsize,
    on_compress: OnceLock<Box<dyn Fn() + Send + Sync>>,
    on_next_compress: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Spy {
    /// Returns an implementation of DEFLATE for one test.
    pub(crate) fn new() -> &'static Self {
        Box::leak(Box::default())
    }

    /// Returns how many messages were compressed since the last call.
    pub(crate) fn compressed(&self) -> usize {
        self.0.compressed.swap(0, Ordering::Relaxed)
    }

    /// Sets the function that is called when the next message is compressed.
    pub(crate) fn on_next_compress(&self, call: impl FnOnce() + Send + 'static) {
        *self.0.on_next_compress.lock().unwrap() = Some(Box::new(call));
    }

    /// Sets the function that is called whenever a message is compressed.
    pub(crate) fn on_compress(&self, call: impl Fn() + Send + Sync + 'static) {
        assert!(self.0.on_compress.set(Box::new(call)).is_ok(), "it is set once");
    }
}

impl Engine for Spy {
    fn inflater(&self) -> Box<dyn Inflater> {
        ZlibRs.inflater()
    }

    fn deflater(&self, settings: Settings) -> Option<Box<dyn Deflater>> {
        let zlib = ZlibRs.deflater(settings)?;
        Some(Box::new(SpyingDeflater { seen: self.0.clone(), zlib }))
    }
}

impl fmt::Debug for Spy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spy").finish_non_exhaustive()
    }
}

struct SpyingDeflater {
    seen: Arc<Seen>,
    zlib: Box<dyn Deflater>,
}

impl Deflater for SpyingDeflater {
    fn deflate(&mut self, history: &[u8], plain: &[u8], out: &mut [u8]) -> Option<usize> {
        self.seen.compressed.fetch_add(1, Ordering::Relaxed);
        if let Some(call) = self.seen.on_compress.get() {
            call();
        }
        let call = self.seen.on_next_compress.lock().unwrap().take();
        if let Some(call) = call {
            call();
        }
        self.zlib.deflate(history, plain, out)
    }
}

fn long() -> String {
    (0..2000).map(|nth| format!("{nth} ")).collect()
}

pub(crate) async fn client(deflate: Option<Deflate>) -> TestClient {
    let options = Options::default();
    TestClient::with_options(match deflate {
        Some(deflate) => options.compression(deflate),
        None => options,
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_message_is_compressed_once_for_each_form_that_members_need() {
    let (rooms, spy) = (Rooms::new(), Spy::new());
    let deflate = Deflate::default().engine(spy);
    let small = deflate.clone().server_max_window_bits(WindowBits::MIN);
    let mut clients = Vec::new();
    for deflate in [
        None,
        Some(deflate.clone()),
        Some(deflate.clone()),
        Some(deflate.clone().with_takeover()),
        Some(small),
    ] {
        let client = client(deflate).await;
        rooms.join(&client.connection, "tea").unwrap();
        clients.push(client);
    }
    let long = long();
    for (to, forms) in [(rooms.to("tea"), 3), (rooms.everyone(), 3)] {
        assert_eq!(to.send(&long).delivered, clients.len());
        assert_eq!(spy.compressed(), forms);
    }
    // What fits into each window has one form.
    let short = "x".repeat(200) + &"y".repeat(20);
    assert_eq!(rooms.to("tea").send(&short).delivered, clients.len());
    assert_eq!(spy.compressed(), 1, "only takeover compresses messages as short as this");
    for client in &clients {
        for expected in [&long, &long, &short] {
            assert_eq!(client.recv_text().await, *expected);
        }
    }

    assert_eq!(rooms.to("tea").send(Plain(&long)).delivered, clients.len());
    assert_eq!(rooms.to("tea").send(PreparedMessage::new(&long).plain()).delivered, clients.len());
    assert_eq!(spy.compressed(), 0);
    for client in &clients {
        for _ in 0..2 {
            assert_eq!(client.recv_text().await, long);
        }
    }

    // A form is made while a member needs it.
    for (left, forms) in [(4, 2), (3, 1), (2, 1), (1, 0)] {
        let client = clients.pop().expect("one more");
        soon(client.socket.close(CloseCode::NORMAL, "")).await;
        client.connection.closed().await;
        assert_eq!(rooms.to("tea").send(&long).delivered, left);
        assert_eq!(spy.compressed(), forms, "{left} members");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_not_compressed_for_members_of_other_rooms() {
    let (rooms, spy) = (Rooms::new(), Spy::new());
    let deflate = Deflate::default().engine(spy);
    let (ann, ben) = (client(None).await, client(Some(deflate.clone())).await);
    let cid = client(Some(deflate.server_max_window_bits(WindowBits::MIN))).await;
    rooms.join(&ann.connection, "tea").unwrap();
    rooms.join(&ben.connection, "milk").unwrap();
    rooms.add(&cid.connection);
    let long = long();
    for (to, forms) in [
        (rooms.to("tea"), 0),
        (rooms.to("water"), 0),
        (rooms.to("milk"), 1),
        (rooms.to("tea").and("milk"), 1),
        (rooms.everyone(), 2),
    ] {
        let _ = to.send(&long);
        assert_eq!(spy.compressed(), forms, "{to:?}");
    }
    rooms.join(&ann.connection, "milk").unwrap();
    rooms.leave(ben.connection.id(), "milk");
    assert_eq!(rooms.to("milk").send(&long).delivered, 1);
    assert_eq!(spy.compressed(), 0, "no member needs it any longer");
    assert_eq!(rooms.everyone().send(&long).delivered, 3);
    assert_eq!(spy.compressed(), 2);
}

#[test]
fn a_message_is_compressed_before_the_room_is_locked_whatever_the_thresholds() {
    fail_on_deadlock(async || {
        let (rooms, spy) = (Rooms::new(), Spy::new());
        spy.on_compress({
            let rooms = rooms.clone();
            move || assert_ne!(rooms.len("tea") + rooms.len("milk"), 0)
        });
        let deflate = Deflate::default().engine(spy);
        let high = deflate.clone().threshold(64 << 10);
        let (ann, ben) = (client(Some(high)).await, client(Some(deflate.threshold(0))).await);
        rooms.join(&ann.connection, "tea").unwrap();
        rooms.join(&ben.connection, "tea").unwrap();
        rooms.join(&ben.connection, "milk").unwrap();
        rooms.join(&ann.connection, "milk").unwrap();
        let long = long();
        for to in [rooms.to("tea"), rooms.to("milk"), rooms.to("tea").and("milk"), rooms.everyone()]
        {
            assert_eq!(to.send(&long).delivered, 2);
            assert_eq!(spy.compressed(), 1, "{to:?}");
        }
        // The lowest threshold counts while a member has it.
        rooms.leave(ben.connection.id(), "tea");
        assert_eq!(rooms.to("tea").send(&long).delivered, 1);
        assert_eq!(spy.compressed(), 0);
    });
}

#[tokio::test(start_paused = true)]
async fn a_member_that_joins_while_a_message_is_compressed_receives_it_uncompressed() {
    let (rooms, spy) = (Rooms::new(), Spy::new());
    let deflate = Deflate::default().engine(spy);
    let ann = client(Some(deflate.clone())).await;
    let ben = client(Some(deflate.server_max_window_bits(WindowBits::MIN))).await;
    rooms.join(&ann.connection, "tea").unwrap();
    spy.on_next_compress({
        let (rooms, ben) = (rooms.clone(), ben.connection.clone());
        move || assert_eq!(rooms.join(&ben, "tea"), Ok(true))
    });
    let long = long();
    assert_eq!(rooms.to("tea").send(&long).delivered, 2);
    assert_eq!(spy.compressed(), 1, "for ann, before the room was locked");
    for client in [&ann, &ben] {
        assert_eq!(client.recv_text().await, long);
    }
}
