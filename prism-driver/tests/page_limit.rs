//! `max_pages`: pages that peers read slowly block neither handshakes nor other pages, and each page has
//! at least five seconds before it can be evicted.

use async_channel::{Receiver, Sender};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use prism_driver::{Reply, Runtime, Server, ServerOptions, ServerStats, Shutdown};
use prism_test::{Faults, PipeEnd, Sim};

use crate::common::{
    handlers::Echo,
    http::{read_head, read_to_end, shake_hands},
    ms,
    net::Net,
    s,
    site::serve_until_closed,
};

/// More than a pipe of 1,000 bytes holds.
const LARGE: usize = 10_000;

struct TestServer {
    net: Net,
    stats: ServerStats,
    stop: Sender<()>,
    outcome: Receiver<Shutdown>,
}

/// Starts a server with a large and a small page; `change` sets its limits.
fn start(sim: &Sim, change: impl FnOnce(&mut ServerOptions)) -> TestServer {
    let mut options = ServerOptions::default();
    change(&mut options);
    let net = Net::new(sim);
    let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    let server = bound
        .options(options)
        .get("/large", |_| Reply::html(vec![b'x'; LARGE]))
        .get("/small", |_| Reply::html("small"))
        .websocket("/chat", Echo);
    let stats = server.stats();
    let (stop, outcome) = serve_until_closed(sim, server);
    sim.run(sim.settle());
    TestServer { net, stats, stop, outcome }
}

impl TestServer {
    /// Requests a page over a pipe that holds 1,000 bytes.
    async fn ask(&self, path: &str) -> (PipeEnd, Faults) {
        let (mut io, faults) = self.net.connect_raw().unwrap();
        faults.to_client().set_capacity(1000);
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        io.write_all(request.as_bytes()).await.unwrap();
        (io, faults)
    }

    /// Requests the large page, and reads only its head.
    async fn slow(&self, sim: &Sim) -> (PipeEnd, Faults) {
        let (mut io, faults) = self.ask("/large").await;
        assert!(read_head(&mut io).await.starts_with("HTTP/1.1 200 "));
        sim.settle().await;
        (io, faults)
    }

    fn incomplete(&self) -> u64 {
        self.stats.counts().incomplete
    }
}

/// Reads the body of the large page, and returns whether all of it arrived.
async fn rest(mut io: PipeEnd) -> bool {
    let mut body = Vec::new();
    io.read_to_end(&mut body).await.unwrap();
    body.len() == LARGE
}

#[test]
fn pages_in_progress_do_not_count_as_handshakes() {
    let sim = Sim::default();
    let server = start(&sim, |options| options.max_handshakes = 2);
    sim.run(async {
        let mut slow = Vec::new();
        for _ in 0..50 {
            slow.push(server.slow(&sim).await);
        }
        let _good = shake_hands(server.net.connect_raw().unwrap().0).await;
        assert_eq!((sim.now(), server.stats.counts().pages), (s(0), 50));
        for (io, _) in slow {
            assert!(rest(io).await);
        }
        assert_eq!(server.incomplete(), 0);
    });
}

#[test]
fn handshakes_in_progress_do_not_count_as_pages() {
    let sim = Sim::default();
    let server = start(&sim, |options| options.max_handshakes = 2);
    sim.run(async {
        let (slow, _) = server.slow(&sim).await;
        let _silent: Vec<_> = (0..50).map(|_| server.net.connect_raw().unwrap()).collect();
        // They are evicted two at a time, while the page goes on.
        let (mut small, _) = server.ask("/small").await;
        assert!(read_to_end(&mut small).await.ends_with("small"));
        assert_eq!(sim.now(), ms(25 * 250));
        assert!(rest(slow).await);
        assert_eq!(server.incomplete(), 0);
    });
}

#[test]
fn answers_taken_at_once_do_not_count_as_pages() {
    let sim = Sim::default();
    let server = start(&sim, |options| options.max_pages = 2);
    sim.run(async {
        let _slow = [server.slow(&sim).await, server.slow(&sim).await];
        for (path, status) in [("/small", 200), ("/chat", 426), ("/nowhere", 404)] {
            let (mut io, _) = server.ask(path).await;
            let answer = read_to_end(&mut io).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
        let _good = shake_hands(server.net.connect_raw().unwrap().0).await;
        assert_eq!((sim.now(), server.incomplete()), (s(0), 0));
    });
}

#[test]
fn at_the_limit_the_oldest_page_is_evicted_after_5_s() {
    let sim = Sim::default();
    let server = start(&sim, |options| options.max_pages = 2);
    sim.run(async {
        let (mut oldest, cut) = server.slow(&sim).await;
        sim.pass(s(1)).await;
        let (second, _) = server.slow(&sim).await;
        sim.pass(s(1)).await;
        let (newcomer, _) = server.slow(&sim).await;
        sim.pass(s(3) - ms(1)).await;
        assert!(!cut.dropped_by_server());
        sim.pass(ms(1)).await;
        assert!(cut.dropped_by_server());
        let mut part = Vec::new();
        let ended = oldest.read_to_end(&mut part).await;
        assert!(
            ended.is_err() || part.len() < LARGE,
            "the client can tell that the page is incomplete"
        );
        // The younger pages go on for as long as no other page waits.
        sim.pass(s(20)).await;
        assert!(rest(second).await && rest(newcomer).await);
        let counts = server.stats.counts();
        assert_eq!((counts.pages, counts.incomplete, counts.refused.evicted), (3, 1, 0));
    });
}

#[test]
fn a_waiting_page_starts_as_soon_as_another_ends() {
    let sim = Sim::default();
    let server = start(&sim, |options| options.max_pages = 1);
    sim.run(async {
        let (first, _) = server.slow(&sim).await;
        let waiting = [server.slow(&sim).await, server.slow(&sim).await];
        sim.pass(s(1)).await;
        assert!(rest(first).await);
        sim.pass(s(1)).await;
        for (io, _) in waiting {
            assert!(rest(io).await);
        }
        assert_eq!((sim.now(), server.incomplete()), (s(2), 0));
    });
}

#[test]
fn a_finished_page_wakes_only_the_next_in_line() {
    let sim = Sim::default();
    let server = start(&sim, |options| options.max_pages = 1);
    sim.run(async {
        let (first, _) = server.slow(&sim).await;
        let mut waiting = Vec::new();
        for _ in 0..100 {
            waiting.push(server.slow(&sim).await);
        }
        drop(first);
        let turns = std::iter::from_fn(|| sim.tick().then_some(())).count();
        assert!(turns < 10, "{turns} tasks were polled");
    });
}

#[test]
fn pages_wait_in_order_within_the_handshake_timeout() {
    let sim = Sim::default();
    let server = start(&sim, |options| options.max_pages = 1);
    sim.run(async {
        let mut all = Vec::new();
        for _ in 0..4 {
            all.push(server.slow(&sim).await);
            sim.pass(s(1)).await;
        }
        // The first page has the place until 5 s, the second until 10 s, and the third from then on. The
        // last, which came at 3 s, would have to wait until 15 s: beyond its handshake timeout.
        for (number, second) in [(0, 5), (1, 10), (3, 13)] {
            sim.pass(s(second) - sim.now() - ms(1)).await;
            assert!(!all[number].1.dropped_by_server(), "{number}");
            sim.pass(ms(1)).await;
            assert!(all[number].1.dropped_by_server(), "{number}");
        }
        sim.pass(s(10)).await;
        assert!(!all[2].1.dropped_by_server());
        assert_eq!(server.incomplete(), 3);
    });
}

#[test]
fn a_waiting_page_makes_way_for_handshakes() {
    let sim = Sim::default();
    let server = start(&sim, |options| (options.max_handshakes, options.max_pages) = (1, 1));
    sim.run(async {
        let (first, _) = server.slow(&sim).await;
        let (_waiting, cut) = server.slow(&sim).await;
        let _good = shake_hands(server.net.connect_raw().unwrap().0).await;
        assert_eq!((sim.now(), cut.dropped_by_server()), (ms(250), true));
        // The evicted one has lost its place in the queue.
        let (next, _) = server.slow(&sim).await;
        assert!(rest(first).await && rest(next).await);
        let counts = server.stats.counts();
        assert_eq!((counts.pages, counts.incomplete, counts.refused.total()), (3, 1, 0));
    });
}

#[test]
fn pages_are_evicted_at_max_connections_too() {
    let sim = Sim::default();
    let server = start(&sim, |options| options.max_connections = 2);
    sim.run(async {
        let (_slow, page) = server.slow(&sim).await;
        sim.pass(s(1)).await;
        let (_silent, handshake) = server.net.connect_raw().unwrap();
        let _first = shake_hands(server.net.connect_raw().unwrap().0).await;
        // The handshake came later, but may be evicted sooner.
        assert_eq!((sim.now(), handshake.dropped_by_server()), (ms(1250), true));
        assert!(!page.dropped_by_server());
        let _second = shake_hands(server.net.connect_raw().unwrap().0).await;
        assert_eq!((sim.now(), page.dropped_by_server()), (s(5), true));
        let counts = server.stats.counts();
        assert_eq!((counts.open, counts.incomplete, counts.refused.evicted), (2, 1, 1));
    });
}

/// Has two pages in progress when a connection opens. Both may be evicted at the same moment, but only one has to be.
async fn a_connection_evicts_the_oldest_of_two_pages(sim: &Sim, server: &TestServer) {
    let (_oldest, cut) = server.slow(sim).await;
    let (second, _) = server.slow(sim).await;
    let _good = shake_hands(server.net.connect_raw().unwrap().0).await;
    assert_eq!((sim.now(), cut.dropped_by_server()), (s(5), true));
    assert!(rest(second).await);
    assert_eq!(server.incomplete(), 1);
}

#[test]
fn a_new_connection_evicts_only_one_page() {
    let sim = Sim::default();
    let server = start(&sim, |options| options.max_connections = 2);
    sim.run(async {
        a_connection_evicts_the_oldest_of_two_pages(&sim, &server).await;
    });
}

#[test]
fn pages_are_evicted_when_descriptors_run_out() {
    let sim = Sim::default();
    let server = start(&sim, |_| {});
    server.net.set_descriptors(2);
    sim.run(async {
        a_connection_evicts_the_oldest_of_two_pages(&sim, &server).await;
    });
}

#[test]
fn a_limit_of_zero_still_allows_one_page() {
    let sim = Sim::default();
    let server = start(&sim, |options| options.max_pages = 0);
    sim.run(async {
        let (io, _) = server.slow(&sim).await;
        sim.pass(s(25)).await;
        assert!(rest(io).await);
    });
}

// ---- shutdown

#[test]
fn a_page_may_finish_within_the_shutdown_grace_time() {
    let sim = Sim::default();
    let server = start(&sim, |_| {});
    sim.run(async {
        let (io, _) = server.slow(&sim).await;
        let (mut silent, _) = server.net.connect_raw().unwrap();
        sim.settle().await;
        server.stop.close();
        assert_eq!(read_to_end(&mut silent).await, "", "handshakes end at once");
        sim.pass(s(9)).await;
        assert!(server.outcome.is_empty());
        assert!(rest(io).await);
        server.outcome.recv().await.unwrap();
        assert_eq!((sim.now(), server.incomplete()), (s(9), 0));
        sim.settle().await;
    });
    assert_eq!(server.net.tasks(), 0);
}

#[test]
fn an_unfinished_page_is_cut_at_the_end_of_the_grace_time() {
    let sim = Sim::default();
    let server = start(&sim, |_| {});
    sim.run(async {
        let (_io, cut) = server.slow(&sim).await;
        server.stop.close();
        sim.pass(s(10) - ms(1)).await;
        assert!(!cut.dropped_by_server() && server.outcome.is_empty());
        server.outcome.recv().await.unwrap();
        assert_eq!((sim.now(), server.incomplete()), (s(10), 1));
        assert!(cut.dropped_by_server());
        sim.settle().await;
    });
    assert_eq!(server.net.tasks(), 0);
}

#[test]
fn a_page_requested_after_the_grace_time_is_cut() {
    let sim = Sim::default();
    let server = start(&sim, |options| options.shutdown_grace = s(0));
    sim.run(async {
        let (mut io, faults) = server.net.connect_raw().unwrap();
        faults.to_client().set_capacity(1000);
        sim.settle().await;
        // The server is polled first; then the handshake has its request.
        server.stop.close();
        io.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        server.outcome.recv().await.unwrap();
        sim.settle().await;
        assert!(faults.dropped_by_server());
        assert_eq!((sim.now(), server.stats.counts().pages), (s(0), 1));
    });
    assert_eq!(server.net.tasks(), 0);
}
