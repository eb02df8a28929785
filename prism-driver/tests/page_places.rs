//! Pages whose peers take them slowly: they keep nobody from a handshake or from a page, and are not
//! driven out by mere haste.

mod common;

use async_channel::{Receiver, Sender, bounded};
use common::{
    handlers::Echo,
    http::{read_head, read_to_end, shake_hands},
    ms,
    net::Net,
    pipe::{End, Script},
    s,
    sim::Sim,
};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use prism_driver::{Reply, Runtime, Server, ServerOptions, ServerStats, Shutdown};

/// More than a line holds.
const LARGE: usize = 10_000;

struct Site {
    net: Net,
    stats: ServerStats,
    stop: Sender<()>,
    outcome: Receiver<Shutdown>,
}

/// A server with these limits, a large page and a small one.
fn site(sim: &Sim, change: impl FnOnce(&mut ServerOptions)) -> Site {
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
    let (stop, stopped) = bounded(1);
    let (ended, outcome) = bounded(1);
    sim.spawn(async move {
        let shutdown = async { while stopped.recv().await.is_ok() {} };
        ended.try_send(server.serve_until(shutdown).await).unwrap();
    });
    sim.run(sim.settle());
    Site { net, stats, stop, outcome }
}

impl Site {
    /// Somebody who asks for a page, on a line that holds 1,000 bytes.
    async fn ask(&self, path: &str) -> (End, Script) {
        let (mut io, script) = self.net.knock().unwrap();
        script.set_capacity_to_client(1000);
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        io.write_all(request.as_bytes()).await.unwrap();
        (io, script)
    }

    /// Somebody to whom the large page is under way.
    async fn slow(&self, sim: &Sim) -> (End, Script) {
        let (mut io, script) = self.ask("/large").await;
        assert!(read_head(&mut io).await.starts_with("HTTP/1.1 200 "));
        sim.settle().await;
        (io, script)
    }

    fn incomplete(&self) -> u64 {
        self.stats.counts().incomplete
    }
}

/// Reads the rest of the large page, of which the head was read; whether all of it came.
async fn rest(mut io: End) -> bool {
    let mut body = Vec::new();
    io.read_to_end(&mut body).await.unwrap();
    body.len() == LARGE
}

#[test]
fn pages_under_way_take_no_place_from_handshakes() {
    let sim = Sim::default();
    let site = site(&sim, |options| options.max_handshakes = 2);
    sim.run(async {
        let mut slow = Vec::new();
        for _ in 0..50 {
            slow.push(site.slow(&sim).await);
        }
        let _good = shake_hands(site.net.knock().unwrap().0).await;
        assert_eq!((sim.now(), site.stats.counts().pages), (s(0), 50));
        for (io, _) in slow {
            assert!(rest(io).await);
        }
        assert_eq!(site.incomplete(), 0);
    });
}

#[test]
fn handshakes_under_way_take_no_place_from_pages() {
    let sim = Sim::default();
    let site = site(&sim, |options| options.max_handshakes = 2);
    sim.run(async {
        let (slow, _) = site.slow(&sim).await;
        let _silent: Vec<_> = (0..50).map(|_| site.net.knock().unwrap()).collect();
        // They are gone through two at a time, and the page goes on.
        let (mut small, _) = site.ask("/small").await;
        assert!(read_to_end(&mut small).await.ends_with("small"));
        assert_eq!(sim.now(), ms(25 * 250));
        assert!(rest(slow).await);
        assert_eq!(site.incomplete(), 0);
    });
}

#[test]
fn what_is_taken_at_once_needs_no_place_among_the_pages() {
    let sim = Sim::default();
    let site = site(&sim, |options| options.max_pages = 2);
    sim.run(async {
        let _slow = [site.slow(&sim).await, site.slow(&sim).await];
        for (path, status) in [("/small", 200), ("/chat", 426), ("/nowhere", 404)] {
            let (mut io, _) = site.ask(path).await;
            let answer = read_to_end(&mut io).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
        let _good = shake_hands(site.net.knock().unwrap().0).await;
        assert_eq!((sim.now(), site.incomplete()), (s(0), 0));
    });
}

#[test]
fn where_there_is_no_place_the_oldest_page_makes_way_when_it_has_had_five_seconds() {
    let sim = Sim::default();
    let site = site(&sim, |options| options.max_pages = 2);
    sim.run(async {
        let (mut oldest, cut) = site.slow(&sim).await;
        sim.pass(s(1)).await;
        let (second, _) = site.slow(&sim).await;
        sim.pass(s(1)).await;
        let (newcomer, _) = site.slow(&sim).await;
        sim.pass(s(3) - ms(1)).await;
        assert!(!cut.dropped_by_server());
        sim.pass(ms(1)).await;
        assert!(cut.dropped_by_server());
        let mut part = Vec::new();
        let ended = oldest.read_to_end(&mut part).await;
        assert!(ended.is_err() || part.len() < LARGE, "it can be told from a whole page");
        // Who has been here for less long goes on, for as long as nobody else comes.
        sim.pass(s(20)).await;
        assert!(rest(second).await && rest(newcomer).await);
        let counts = site.stats.counts();
        assert_eq!((counts.pages, counts.incomplete, counts.refused.evicted), (3, 1, 0));
    });
}

#[test]
fn who_waits_for_a_place_gets_it_at_once_when_a_page_is_done() {
    let sim = Sim::default();
    let site = site(&sim, |options| options.max_pages = 1);
    sim.run(async {
        let (first, _) = site.slow(&sim).await;
        let waiting = [site.slow(&sim).await, site.slow(&sim).await];
        sim.pass(s(1)).await;
        assert!(rest(first).await);
        sim.pass(s(1)).await;
        for (io, _) in waiting {
            assert!(rest(io).await);
        }
        assert_eq!((sim.now(), site.incomplete()), (s(2), 0));
    });
}

#[test]
fn a_page_that_is_done_wakes_who_is_next_and_not_everybody_who_waits() {
    let sim = Sim::default();
    let site = site(&sim, |options| options.max_pages = 1);
    sim.run(async {
        let (first, _) = site.slow(&sim).await;
        let mut waiting = Vec::new();
        for _ in 0..100 {
            waiting.push(site.slow(&sim).await);
        }
        drop(first);
        let turns = std::iter::from_fn(|| sim.tick().then_some(())).count();
        assert!(turns < 10, "{turns} tasks had something to do");
    });
}

#[test]
fn who_waits_for_a_place_is_next_in_the_order_of_coming_and_for_its_handshakes_time() {
    let sim = Sim::default();
    let site = site(&sim, |options| options.max_pages = 1);
    sim.run(async {
        let mut all = Vec::new();
        for _ in 0..4 {
            all.push(site.slow(&sim).await);
            sim.pass(s(1)).await;
        }
        // One has the place until 5 s, the next until 10 s, and the one after that from then on. The last
        // would have to wait until 15 s, and came at 3 s.
        for (number, second) in [(0, 5), (1, 10), (3, 13)] {
            sim.pass(s(second) - sim.now() - ms(1)).await;
            assert!(!all[number].1.dropped_by_server(), "{number}");
            sim.pass(ms(1)).await;
            assert!(all[number].1.dropped_by_server(), "{number}");
        }
        sim.pass(s(10)).await;
        assert!(!all[2].1.dropped_by_server());
        assert_eq!(site.incomplete(), 3);
    });
}

#[test]
fn who_waits_for_a_place_makes_way_for_handshakes() {
    let sim = Sim::default();
    let site = site(&sim, |options| (options.max_handshakes, options.max_pages) = (1, 1));
    sim.run(async {
        let (first, _) = site.slow(&sim).await;
        let (_waiting, cut) = site.slow(&sim).await;
        let _good = shake_hands(site.net.knock().unwrap().0).await;
        assert_eq!((sim.now(), cut.dropped_by_server()), (ms(250), true));
        // And it has not kept its place in the line.
        let (next, _) = site.slow(&sim).await;
        assert!(rest(first).await && rest(next).await);
        let counts = site.stats.counts();
        assert_eq!((counts.pages, counts.incomplete, counts.refused.total()), (3, 1, 0));
    });
}

#[test]
fn where_no_place_is_left_for_a_connection_pages_make_way_as_handshakes_do() {
    let sim = Sim::default();
    let site = site(&sim, |options| options.max_connections = 2);
    sim.run(async {
        let (_slow, page) = site.slow(&sim).await;
        sim.pass(s(1)).await;
        let (_silent, handshake) = site.net.knock().unwrap();
        let _first = shake_hands(site.net.knock().unwrap().0).await;
        // The handshake came later, and has had its time sooner.
        assert_eq!((sim.now(), handshake.dropped_by_server()), (ms(1250), true));
        assert!(!page.dropped_by_server());
        let _second = shake_hands(site.net.knock().unwrap().0).await;
        assert_eq!((sim.now(), page.dropped_by_server()), (s(5), true));
        let counts = site.stats.counts();
        assert_eq!((counts.open, counts.incomplete, counts.refused.evicted), (2, 1, 1));
    });
}

#[test]
fn for_one_connection_one_page_makes_way() {
    let sim = Sim::default();
    let site = site(&sim, |options| options.max_connections = 2);
    sim.run(async {
        // Both have had their time at the same moment.
        let (_oldest, cut) = site.slow(&sim).await;
        let (second, _) = site.slow(&sim).await;
        let _good = shake_hands(site.net.knock().unwrap().0).await;
        assert_eq!((sim.now(), cut.dropped_by_server()), (s(5), true));
        assert!(rest(second).await);
        assert_eq!(site.incomplete(), 1);
    });
}

#[test]
fn where_no_descriptor_is_left_pages_make_way() {
    let sim = Sim::default();
    let site = site(&sim, |_| {});
    site.net.set_descriptors(2);
    sim.run(async {
        let (_oldest, cut) = site.slow(&sim).await;
        let (second, _) = site.slow(&sim).await;
        let _good = shake_hands(site.net.knock().unwrap().0).await;
        assert_eq!((sim.now(), cut.dropped_by_server()), (s(5), true));
        assert!(rest(second).await);
        assert_eq!(site.incomplete(), 1);
    });
}

#[test]
fn a_server_has_room_for_one_page_whatever_it_is_told() {
    let sim = Sim::default();
    let site = site(&sim, |options| options.max_pages = 0);
    sim.run(async {
        let (io, _) = site.slow(&sim).await;
        sim.pass(s(25)).await;
        assert!(rest(io).await);
    });
}

// ---- shutdown

#[test]
fn a_page_under_way_may_end_within_the_grace_time_of_a_shutdown() {
    let sim = Sim::default();
    let site = site(&sim, |_| {});
    sim.run(async {
        let (io, _) = site.slow(&sim).await;
        let (mut silent, _) = site.net.knock().unwrap();
        sim.settle().await;
        site.stop.close();
        assert_eq!(read_to_end(&mut silent).await, "", "handshakes end at once");
        sim.pass(s(9)).await;
        assert!(site.outcome.is_empty());
        assert!(rest(io).await);
        site.outcome.recv().await.unwrap();
        assert_eq!((sim.now(), site.incomplete()), (s(9), 0));
        sim.settle().await;
    });
    assert_eq!(site.net.tasks(), 0);
}

#[test]
fn a_page_that_has_not_ended_is_cut_at_the_end_of_the_grace_time() {
    let sim = Sim::default();
    let site = site(&sim, |_| {});
    sim.run(async {
        let (_io, cut) = site.slow(&sim).await;
        site.stop.close();
        sim.pass(s(10) - ms(1)).await;
        assert!(!cut.dropped_by_server() && site.outcome.is_empty());
        site.outcome.recv().await.unwrap();
        assert_eq!((sim.now(), site.incomplete()), (s(10), 1));
        assert!(cut.dropped_by_server());
        sim.settle().await;
    });
    assert_eq!(site.net.tasks(), 0);
}

#[test]
fn a_page_that_is_asked_for_when_the_grace_time_is_over_is_cut_as_well() {
    let sim = Sim::default();
    let site = site(&sim, |options| options.shutdown_grace = s(0));
    sim.run(async {
        let (mut io, script) = site.net.knock().unwrap();
        script.set_capacity_to_client(1000);
        sim.settle().await;
        // The server's turn comes first, and then the handshake has its request after all.
        site.stop.close();
        io.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        site.outcome.recv().await.unwrap();
        sim.settle().await;
        assert!(script.dropped_by_server());
        assert_eq!((sim.now(), site.stats.counts().pages), (s(0), 1));
    });
    assert_eq!(site.net.tasks(), 0);
}
