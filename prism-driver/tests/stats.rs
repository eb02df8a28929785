//! A server's counters: each peer is counted once, by how it ended.

use futures_lite::AsyncWriteExt;
use prism_driver::{Counts, Origins, Reply, Request, Runtime, Server, ServerOptions, ServerStats};
use prism_test::{PipeEnd, Sim};

use crate::common::{
    handlers::Echo,
    http::{REQUEST, read_to_end, shake_hands},
    ms,
    net::Net,
    s,
};

/// Starts a server at which everything can go wrong.
fn server(sim: &Sim) -> (Net, ServerStats) {
    let net = Net::new(sim);
    let mut options = ServerOptions::default();
    options.max_handshakes = 3;
    let authorize = async |request: Request| match request.header("X-Token").as_deref() {
        Some("abc") => Ok(()),
        _ => Err(Reply::text(418, "who are you?")),
    };
    let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    let server = bound
        .options(options)
        .origins(Origins::these(["https://example.org"]).unwrap())
        .authorize(authorize)
        .websocket("/chat", Echo)
        .get("/page", |_| Reply::text(404, "a custom page"))
        .get("/panic", |_| -> Reply { panic!("on purpose") });
    let stats = server.stats();
    sim.spawn(server.serve());
    (net, stats)
}

/// Asserts that each accepted peer is in exactly one of the counters.
fn check(counts: Counts) {
    let ended = counts.closed + counts.pages + counts.refused.total();
    assert_eq!(counts.accepted, counts.in_handshake + counts.open + ended, "{counts:?}");
}

async fn ask(net: &Net, request: &str) -> PipeEnd {
    let (mut io, _) = net.connect_raw().unwrap();
    io.write_all(request.as_bytes()).await.unwrap();
    io
}

fn plain(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn connections_are_counted_when_they_open_and_close() {
    let sim = Sim::default();
    let (net, stats) = server(&sim);
    assert_eq!(stats.counts(), Counts::default());
    sim.run(async {
        let (silent, _) = net.connect_raw().unwrap();
        let first = shake_hands(net.connect_raw().unwrap().0).await;
        let _second = shake_hands(net.connect_raw().unwrap().0).await;
        sim.settle().await;
        let counts = stats.counts();
        assert_eq!((counts.accepted, counts.in_handshake), (3, 1));
        assert_eq!((counts.open, counts.closed), (2, 0));
        check(counts);

        drop((first, silent));
        sim.settle().await;
        let counts = stats.clone().counts();
        assert_eq!((counts.accepted, counts.in_handshake), (3, 0));
        assert_eq!((counts.open, counts.closed, counts.refused.left), (1, 1, 1));
        check(counts);
    });
}

#[test]
fn each_refusal_is_counted_by_its_reason() {
    let sim = Sim::default();
    let (net, stats) = server(&sim);
    let request = |from: &str, to: &str| REQUEST.replace(from, to);
    let all = [
        (plain("/page"), "404"),
        (plain("/chat"), "426"),
        (request("Version: 13", "Version: 8"), "426"),
        (request("X-Token: abc", "Origin: https://evil.example"), "403"),
        (request("X-Token: abc", "X-Token: abd"), "418"),
        (request("X-Token: abc", "Origin: https://example.org"), "418"),
        (request("X-Token: abc", "X-Token: \x1b[31m"), "400"),
        (plain("/nowhere"), "404"),
        (plain("/panic"), "500"),
        ("GET / HT".to_owned(), "408"),
    ];
    sim.run(async {
        for (request, status) in &all {
            let mut io = ask(&net, request).await;
            let answer = read_to_end(&mut io).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            assert!(!answer.contains("evil") && !answer.contains('\x1b'), "{answer}");
        }
        sim.pass(s(5)).await;
        // One more peer is evicted for the three after it.
        let _silent = [(); 4].map(|()| net.connect_raw().unwrap());
        sim.pass(ms(300)).await;
    });
    let counts = stats.counts();
    check(counts);
    assert_eq!((counts.accepted, counts.pages, counts.in_handshake), (14, 1, 3));
    let refused = counts.refused;
    assert_eq!((refused.bad_request, refused.not_found, refused.failed), (3, 1, 1));
    assert_eq!((refused.forbidden_origin, refused.unauthorized), (1, 2));
    assert_eq!((refused.timed_out, refused.evicted, refused.left), (1, 1, 0));
}
