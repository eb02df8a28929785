//! Plain HTTP answers that wait for a slow peer: how slowly they may be read, and how long their memory
//! is held.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_lite::{AsyncReadExt, AsyncWriteExt, future::or};
use prism_driver::{Options, Reply, Runtime, Server, ServerStats};
use prism_test::{Faults, PipeEnd, Sim};

use crate::common::{
    http::{read_head, read_to_end},
    ms,
    net::Net,
    s,
};

const LARGE: usize = 1 << 20;

fn server(
    sim: &Sim,
    change: impl FnOnce(&mut Options),
    page: impl Into<Bytes>,
) -> (Net, ServerStats) {
    let mut options = Options::default();
    change(&mut options);
    let page = page.into();
    let net = Net::new(sim);
    let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    let server = bound.options(options).get("/page", move |_| Reply::html(page.clone()));
    let stats = server.stats();
    sim.spawn(server.serve());
    sim.run(sim.settle());
    (net, stats)
}

/// Requests the page over a pipe that holds this many bytes.
async fn ask(net: &Net, capacity: usize) -> (PipeEnd, Faults) {
    let (mut io, faults) = net.connect_raw().unwrap();
    faults.to_client().set_capacity(capacity);
    io.write_all(b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    (io, faults)
}

/// Reads this many bytes after each `pause`, to the end. Returns the length of the body that arrived.
async fn read_slowly(sim: &Sim, io: &mut PipeEnd, bytes: usize, pause: Duration) -> usize {
    let (mut answer, mut piece) = (Vec::new(), vec![0; bytes]);
    loop {
        sim.pass(pause).await;
        match io.read(&mut piece).await.unwrap() {
            0 => break,
            count => answer.extend_from_slice(&piece[..count]),
        }
    }
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    answer.len() - head - 4
}

// ---- how slowly a page may be read

#[test]
fn a_page_read_steadily_arrives_whole_however_long_it_takes() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, |_| {}, vec![b'x'; LARGE]);
    sim.run(async {
        let (mut io, _) = ask(&net, 1 << 14).await;
        assert_eq!(read_slowly(&sim, &mut io, 1 << 12, s(1)).await, LARGE);
        assert!(sim.now() > s(256));
        let counts = stats.counts();
        assert_eq!((counts.pages, counts.incomplete), (1, 0));
    });
}

#[test]
fn an_unread_page_is_abandoned_at_the_write_timeout() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, |_| {}, vec![b'x'; LARGE]);
    sim.run(async {
        let (_io, faults) = ask(&net, 0).await;
        sim.pass(s(30) - ms(1)).await;
        assert!(!faults.dropped_by_server());
        assert_eq!((stats.counts().pages, stats.counts().incomplete), (1, 0));
        sim.pass(ms(1)).await;
        assert!(faults.dropped_by_server());
        assert_eq!((stats.counts().pages, stats.counts().incomplete), (1, 1));
    });
}

#[test]
fn the_minimum_write_rate_applies_to_pages() {
    // What the pipe takes at once counts only in its own window.
    let cases = [(240, 239, Some(30)), (240, 240, None), (8000, 239, Some(60)), (8000, 240, None)];
    for (capacity, bytes, end) in cases {
        let sim = Sim::default();
        let (net, stats) = server(&sim, |_| {}, vec![b'x'; 30_000]);
        sim.run(async {
            let (mut io, faults) = ask(&net, capacity).await;
            sim.pass(ms(500)).await;
            let left = async {
                while stats.counts().incomplete == 0 {
                    sim.pass(ms(100)).await;
                }
                assert!(faults.dropped_by_server());
                Some(sim.now().as_secs())
            };
            let taken = async {
                assert_eq!(read_slowly(&sim, &mut io, bytes, s(1)).await, 30_000);
                None
            };
            assert_eq!(or(taken, left).await, end, "{bytes} bytes per second");
        });
    }
}

#[test]
fn without_a_minimum_rate_a_page_may_trickle() {
    let sim = Sim::default();
    let (net, _) = server(&sim, |options| options.min_write_rate = 0, "a small page");
    sim.run(async {
        let (mut io, _) = ask(&net, 1).await;
        assert_eq!(read_slowly(&sim, &mut io, 1, s(29)).await, "a small page".len());
        assert!(sim.now() > s(29 * 100));
    });
}

#[test]
fn a_close_that_blocks_is_abandoned_at_the_write_timeout() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, |_| {}, "a small page");
    sim.run(async {
        let (mut io, faults) = net.connect_raw().unwrap();
        faults.to_client().block_close();
        io.write_all(b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        sim.pass(s(30) - ms(1)).await;
        assert!(!faults.dropped_by_server());
        sim.pass(ms(1)).await;
        assert!(faults.dropped_by_server());
        assert_eq!(stats.counts().incomplete, 1);
    });
}

#[test]
fn a_peer_that_leaves_during_a_page_is_counted() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, |_| {}, vec![b'x'; LARGE]);
    sim.run(async {
        let (mut io, _) = ask(&net, 1 << 14).await;
        read_head(&mut io).await;
        drop(io);
        sim.settle().await;
        let counts = stats.counts();
        assert_eq!((counts.pages, counts.incomplete, counts.in_handshake), (1, 1, 0));
    });
    assert_eq!((sim.now(), net.tasks()), (s(0), 1), "only the server's own task");
}

#[test]
fn a_peer_that_stays_after_its_page_is_dropped_after_5_s() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, |_| {}, vec![b'x'; 30_000]);
    sim.run(async {
        let (mut io, faults) = ask(&net, 1000).await;
        let mut page = vec![0; 30_000];
        read_head(&mut io).await;
        io.read_exact(&mut page[..15_000]).await.unwrap();
        sim.pass(s(20)).await;
        io.read_exact(&mut page[15_000..]).await.unwrap();
        assert_eq!(io.read(&mut [0]).await.unwrap(), 0);
        sim.pass(s(5) - ms(1)).await;
        assert!(!faults.dropped_by_server());
        sim.pass(ms(1)).await;
        assert!(faults.dropped_by_server());
        assert_eq!(stats.counts().incomplete, 0);
    });
}

// ---- what is written, and how long it is held

/// A page that counts its drops.
struct CountDrops(Arc<AtomicUsize>);

impl AsRef<[u8]> for CountDrops {
    fn as_ref(&self) -> &[u8] {
        &[b'x'; 10_000]
    }
}

impl Drop for CountDrops {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_page_is_released_as_soon_as_it_is_sent() {
    let sim = Sim::default();
    let dropped = Arc::new(AtomicUsize::new(0));
    let net = Net::new(&sim);
    let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    let counter = dropped.clone();
    let page =
        move |_: prism_driver::Request| Reply::html(Bytes::from_owner(CountDrops(counter.clone())));
    sim.spawn(bound.get("/page", page).serve());
    sim.run(async {
        sim.settle().await;
        let (mut io, faults) = ask(&net, 5000).await;
        sim.settle().await;
        assert_eq!(dropped.load(Relaxed), 0, "half of it is still to be sent");
        let body = format!("\r\n\r\n{}", "x".repeat(10_000));
        assert!(read_to_end(&mut io).await.ends_with(&body));
        assert_eq!(dropped.load(Relaxed), 1);
        assert!(!faults.dropped_by_server());
        // The page is not held either while the transport is slow to close.
        let (mut io, faults) = ask(&net, 5000).await;
        faults.to_client().block_close();
        read_head(&mut io).await;
        io.read_exact(&mut [0; 10_000]).await.unwrap();
        sim.settle().await;
        assert_eq!(dropped.load(Relaxed), 2);
        assert!(!faults.dropped_by_server());
    });
}

#[test]
fn head_and_body_leave_in_one_write() {
    let sim = Sim::default();
    let (net, _) = server(&sim, |_| {}, vec![b'x'; 100_000]);
    sim.run(async {
        let (mut io, faults) = ask(&net, LARGE).await;
        assert!(read_to_end(&mut io).await.ends_with("xxx"));
        assert_eq!(faults.to_client().writes(), 1);
    });
}

#[test]
fn a_page_arrives_whole_whatever_the_write_size() {
    let text: String = ('a'..='z').cycle().take(1000).collect();
    for piece in [1, 2, 3, 63, 64, 65, 999] {
        let sim = Sim::default();
        let (net, _) = server(&sim, |_| {}, text.clone());
        sim.run(async {
            let (mut io, faults) = ask(&net, LARGE).await;
            faults.set_piece(piece);
            let answer = read_to_end(&mut io).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.ends_with(&format!("\r\n\r\n{text}")), "{answer}");
        });
    }
}

#[test]
fn a_page_sent_at_full_speed_yields_to_other_tasks() {
    let sim = Sim::default();
    let (net, _) = server(&sim, |_| {}, vec![b'x'; 1000]);
    sim.run(async {
        let (_io, faults) = ask(&net, LARGE).await;
        faults.set_piece(1);
        let mut before = 0;
        while !faults.closed_by_server() {
            sim.step();
            let writes = faults.to_client().writes();
            // 32 before it has a place among the pages, and 32 with one.
            assert!(writes - before <= 64, "{} writes in one turn", writes - before);
            before = writes;
        }
        assert!(before > 1000);
    });
}
