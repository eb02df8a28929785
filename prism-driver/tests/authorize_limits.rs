//! `max_authorizations`: how many authorizations run at once, and that those that run or wait neither hold up nor
//! evict others.

use futures_lite::AsyncWriteExt;
use prism_driver::{Reply, Request, Runtime, ServerOptions, ServerStats};
use prism_test::{Faults, PipeEnd, Sim};

use crate::common::{
    gatekeeper::Gatekeeper,
    handlers::Echo,
    http::{read_head, read_to_end, shake_hands},
    ms, s,
    site::{request, send, start},
};

async fn opens(io: &mut PipeEnd) {
    let head = read_head(io).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

/// Opens a connection that needs no authorization.
async fn open_free(server: &Gatekeeper) -> PipeEnd {
    let mut io = server.ask_for("/free").await.0;
    opens(&mut io).await;
    io
}

fn is_dropped((_, faults): &(PipeEnd, Faults)) -> bool {
    faults.dropped_by_server()
}

// ---- the limit

#[test]
fn at_most_max_authorizations_run_and_the_rest_waits_in_order() {
    let sim = Sim::default();
    let server = Gatekeeper::start(&sim, |options| options.max_authorizations = 2);
    sim.run(async {
        let mut all = Vec::new();
        for name in ["a", "b", "c", "d", "e"] {
            all.push(server.ask(name, ms(100)).await.0);
            sim.settle().await;
        }
        for io in &mut all {
            opens(io).await;
        }
        assert_eq!((sim.now(), server.stats.counts().open), (ms(300), 5));
    });
    let begins: Vec<_> =
        server.log.lines().into_iter().filter(|it| it.ends_with("begins")).collect();
    let expected =
        ["0: a begins", "0: b begins", "100: c begins", "100: d begins", "200: e begins"];
    assert_eq!(begins, expected);
}

#[test]
fn a_request_that_comes_when_a_place_is_free_does_not_overtake() {
    let sim = Sim::default();
    let server = Gatekeeper::start(&sim, |options| options.max_authorizations = 1);
    sim.run(async {
        let mut all = Vec::new();
        for name in ["a", "b", "c"] {
            all.push(server.ask(name, ms(100)).await.0);
            sim.settle().await;
        }
        let (mut last, _) = server.net.connect_raw().unwrap();
        sim.pass(ms(100) - ms(1)).await;
        // The last request arrives when the first authorization has ended and the second one is yet to begin.
        while sim.now() < ms(100) {
            sim.step();
        }
        sim.tick();
        last.write_all(request("/chat?name=last&ms=100").as_bytes()).await.unwrap();
        all.push(last);
        for io in &mut all {
            opens(io).await;
        }
    });
    let begins: Vec<_> =
        server.log.lines().into_iter().filter(|it| it.ends_with("begins")).collect();
    assert_eq!(begins, ["0: a begins", "100: b begins", "200: c begins", "300: last begins"]);
}

#[test]
fn a_limit_of_zero_still_allows_one_authorization() {
    let sim = Sim::default();
    let server = Gatekeeper::start(&sim, |options| options.max_authorizations = 0);
    sim.run(async {
        opens(&mut server.ask("a", ms(100)).await.0).await;
        assert_eq!(sim.now(), ms(100));
    });
}

#[test]
fn a_request_that_leaves_the_queue_lets_the_next_one_move_up() {
    let sim = Sim::default();
    let server = Gatekeeper::start(&sim, |options| options.max_authorizations = 1);
    sim.run(async {
        let mut running = server.ask("running", ms(100)).await.0;
        sim.settle().await;
        let mut waiting = Vec::new();
        for name in ["head", "second", "third", "fourth"] {
            waiting.push(server.ask(name, ms(100)).await);
            sim.settle().await;
        }
        let third = waiting.remove(2);
        let head = waiting.remove(0);
        drop((head, third));
        opens(&mut running).await;
        for (io, _) in &mut waiting {
            opens(io).await;
        }
        assert_eq!((sim.now(), server.stats.counts().refused.left), (ms(300), 2));
    });
    assert!(!server.log.lines().iter().any(|it| it.contains("head") || it.contains("third")));
}

#[test]
fn waiting_requests_hold_up_no_other_handshake_and_no_page() {
    let sim = Sim::default();
    let server = Gatekeeper::start(&sim, |options| {
        (options.max_authorizations, options.max_handshakes) = (1, 1);
    });
    sim.run(async {
        let mut all = Vec::new();
        for number in 0..50 {
            all.push(server.ask(&format!("a{number}"), ms(100)).await.0);
        }
        sim.settle().await;
        assert_eq!(server.stats.counts().in_handshake, 50);
        let _free = open_free(&server).await;
        for (target, status) in [("/page", 200), ("/nowhere", 404)] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            let answer = read_to_end(&mut send(&server.net, request).await.0).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
        assert_eq!(sim.now(), s(0));
        for io in &mut all {
            opens(io).await;
        }
        let counts = server.stats.counts();
        assert_eq!((sim.now(), counts.open, counts.refused.evicted), (s(5), 51, 0));
    });
}

// ---- eviction

#[test]
fn nobody_is_evicted_for_handshakes_while_authorizations_run_or_wait() {
    let sim = Sim::default();
    let server = Gatekeeper::start(&sim, |options| {
        (options.max_authorizations, options.max_handshakes) = (2, 2);
    });
    sim.run(async {
        let mut all = Vec::new();
        for name in ["a", "b", "c"] {
            all.push(server.ask(name, s(2)).await.0);
        }
        // Silent handshakes evict each other, two at a time, and nobody else.
        let _silent: Vec<_> = (0..8).map(|_| server.net.connect_raw().unwrap()).collect();
        let _free = open_free(&server).await;
        assert_eq!((sim.now(), server.stats.counts().refused.evicted), (ms(1000), 7));
        for io in &mut all {
            opens(io).await;
        }
        assert_eq!((sim.now(), server.stats.counts().refused.evicted), (s(4), 7));
    });
}

#[test]
fn at_max_connections_only_a_waiting_request_is_evicted() {
    let sim = Sim::default();
    let server = Gatekeeper::start(&sim, |options| {
        (options.max_authorizations, options.max_connections) = (1, 2);
    });
    sim.run(async {
        the_waiting_request_makes_way(&sim, &server).await;
    });
}

#[test]
fn without_descriptors_only_a_waiting_request_is_evicted() {
    let sim = Sim::default();
    let server = Gatekeeper::start(&sim, |options| options.max_authorizations = 1);
    server.net.set_descriptors(2);
    sim.run(async {
        the_waiting_request_makes_way(&sim, &server).await;
    });
}

/// Runs an authorization, of five seconds, on a server of two connections. Another request waits for its turn, and
/// makes way for a third one.
async fn the_waiting_request_makes_way(sim: &Sim, server: &Gatekeeper) {
    let mut running = server.ask("running", s(5)).await;
    sim.settle().await;
    let mut waiting = server.ask("waiting", s(5)).await;
    sim.settle().await;
    let mut third = server.ask("third", s(1)).await;
    sim.pass(ms(250) - ms(1)).await;
    assert!(!is_dropped(&waiting), "it has a quarter of a second");
    sim.pass(ms(1)).await;
    assert!(is_dropped(&waiting) && !is_dropped(&running));
    assert_eq!(read_to_end(&mut waiting.0).await, "", "there is no answer");
    opens(&mut running.0).await;
    assert_eq!(sim.now(), s(5), "it was not evicted");
    sim.settle().await;
    assert!(!is_dropped(&third), "it runs now");
    opens(&mut third.0).await;
    assert_eq!(sim.now(), s(6));
}

#[test]
fn running_authorizations_make_a_newcomer_wait_for_a_slot() {
    let sim = Sim::default();
    let server = Gatekeeper::start(&sim, |options| options.max_connections = 2);
    sim.run(async {
        let mut both = [server.ask("a", s(9)).await, server.ask("no", s(8)).await];
        sim.settle().await;
        let mut newcomer = server.ask_for("/free").await.0;
        sim.pass(s(8) - ms(1)).await;
        assert!(!both.iter().any(is_dropped));
        assert_eq!(server.stats.counts().accepted, 2);
        let answer = read_to_end(&mut both[1].0).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        // The refused peer stays, and so it is evicted like any other.
        opens(&mut newcomer).await;
        assert_eq!(sim.now(), ms(8250));
        opens(&mut both[0].0).await;
        assert_eq!((sim.now(), server.stats.counts().refused.evicted), (s(9), 0));
    });
}

#[test]
fn a_peer_refused_after_its_authorization_counts_as_a_handshake_again() {
    let sim = Sim::default();
    let server = Gatekeeper::start(&sim, |options| options.max_handshakes = 1);
    sim.run(async {
        let mut refused = server.ask("no", s(1)).await;
        let answer = read_to_end(&mut refused.0).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        let _free = open_free(&server).await;
        assert_eq!((sim.now(), is_dropped(&refused)), (ms(1250), true));
    });
}

// ---- shutdown

#[test]
fn a_shutdown_drops_authorizations_that_run_and_requests_that_wait() {
    let sim = Sim::default();
    let server = Gatekeeper::start(&sim, |options| options.max_authorizations = 1);
    sim.run(async {
        let mut both = [server.ask("running", s(5)).await, server.ask("waiting", s(5)).await];
        sim.pass(s(1)).await;
        server.stop.close();
        server.outcome.recv().await.unwrap();
        assert_eq!(sim.now(), s(1));
        for (io, _) in &mut both {
            assert_eq!(read_to_end(io).await, "", "there is no answer");
        }
        sim.settle().await;
        let counts = server.stats.counts();
        assert_eq!((counts.refused.evicted, counts.in_handshake, counts.open), (2, 0, 0));
    });
    assert_eq!(server.log.lines(), ["0: running begins", "1000: running ends"]);
    assert_eq!(server.net.tasks(), 0);
}

#[test]
fn a_request_that_comes_during_a_shutdown_is_not_authorized() {
    let sim = Sim::default();
    let server = Gatekeeper::start(&sim, |_| {});
    sim.run(async {
        let (mut io, _) = server.net.connect_raw().unwrap();
        sim.settle().await;
        // The server is polled first; then the handshake has its request.
        server.stop.close();
        io.write_all(request("/chat?name=late&ms=5000").as_bytes()).await.unwrap();
        server.outcome.recv().await.unwrap();
        sim.settle().await;
        assert_eq!((sim.now(), server.stats.counts().refused.evicted), (s(0), 1));
    });
    assert_eq!((server.log.lines().len(), server.net.tasks()), (0, 0));
}

// ---- panics

#[test]
fn a_panic_frees_its_place_for_the_next() {
    let sim = Sim::default();
    let options = ServerOptions::default().max_authorizations(1);
    let authorize = |request: Request| {
        assert_ne!(request.query(), Some("call"), "on purpose");
        async move {
            assert_ne!(request.query(), Some("poll"), "on purpose");
            let _panics = (request.query() == Some("drop")).then(|| PanicsOnDrop);
            Ok::<_, Reply>(())
        }
    };
    let mut stats = ServerStats::default();
    let net = start(&sim, |server| {
        stats = server.stats();
        server.options(options).authorize(authorize).websocket("/chat", Echo)
    });
    sim.run(async {
        for (query, status) in [("call", 500), ("poll", 500), ("drop", 500)] {
            let (mut io, _) = send(&net, request(&format!("/chat?{query}"))).await;
            let answer = read_to_end(&mut io).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
        let _good = shake_hands(net.connect_raw().unwrap().0).await;
        let counts = stats.counts();
        assert_eq!((counts.refused.failed, counts.refused.unauthorized, counts.open), (3, 0, 1));
    });
}

/// Panics when it is dropped.
struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}
