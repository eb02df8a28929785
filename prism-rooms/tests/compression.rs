//! Messages to rooms are compressed once for each form that members need.

use std::sync::atomic::{AtomicUsize, Ordering};

use prism_core::deflate::{Deflater, Engine, Inflater, Settings, ZlibRs};
use prism_rooms::Rooms;
use prism_tokio::{CloseCode, Deflate, Options, Plain, PreparedMessage, WindowBits};

use crate::common::{TestClient, soon};

/// zlib, with a count of the messages that it has compressed.
#[derive(Debug)]
struct Counting(AtomicUsize);

static COUNTING: Counting = Counting(AtomicUsize::new(0));

impl Engine for Counting {
    fn inflater(&self) -> Box<dyn Inflater> {
        ZlibRs.inflater()
    }

    fn deflater(&self, settings: Settings) -> Option<Box<dyn Deflater>> {
        Some(Box::new(CountingDeflater(ZlibRs.deflater(settings)?)))
    }
}

struct CountingDeflater(Box<dyn Deflater>);

impl Deflater for CountingDeflater {
    fn deflate(&mut self, history: &[u8], plain: &[u8], out: &mut [u8]) -> Option<usize> {
        COUNTING.0.fetch_add(1, Ordering::Relaxed);
        self.0.deflate(history, plain, out)
    }
}

fn compressed() -> u64 {
    COUNTING.0.swap(0, Ordering::Relaxed) as u64
}

async fn client(deflate: Option<Deflate>) -> TestClient {
    let options = Options::default();
    TestClient::with_options(match deflate {
        Some(deflate) => options.compression(deflate),
        None => options,
    })
    .await
}

/// One test, because it counts what the whole process compresses with its implementation.
#[tokio::test(start_paused = true)]
async fn a_message_is_compressed_once_for_each_form_that_members_need() {
    let rooms = Rooms::new();
    let deflate = Deflate::default().engine(&COUNTING);
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
    let long: String = (0..2000).map(|nth| format!("{nth} ")).collect();
    for (to, forms) in [(rooms.to("tea"), 3), (rooms.everyone(), 3)] {
        assert_eq!(to.send(&long).delivered, clients.len());
        assert_eq!(compressed(), forms);
    }
    // What fits into each window has one form.
    let short = "x".repeat(200) + &"y".repeat(20);
    assert_eq!(rooms.to("tea").send(&short).delivered, clients.len());
    assert_eq!(compressed(), 1, "only takeover compresses messages as short as this");
    for client in &clients {
        for expected in [&long, &long, &short] {
            assert_eq!(client.recv_text().await, *expected);
        }
    }

    assert_eq!(rooms.to("tea").send(Plain(&long)).delivered, clients.len());
    assert_eq!(rooms.to("tea").send(PreparedMessage::new(&long).plain()).delivered, clients.len());
    assert_eq!(compressed(), 0);
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
        assert_eq!(compressed(), forms, "{left} members");
    }
}
