//! Pages whose functions return futures.

use std::io::ErrorKind;

use futures_lite::AsyncWriteExt;
use prism_driver::{Reply, Request, Runtime, Server, ServerOptions, ServerStats};
use prism_test::{Faults, PipeEnd, Sim};

use crate::common::{
    handlers::{Echo, Log},
    http::{read_to_end, shake_hands},
    ms,
    net::Net,
    s,
    site::{request, send, serve_until_closed, start},
};

struct Site {
    net: Net,
    stats: ServerStats,
    /// When each slow page began, and when its future was dropped.
    log: Log,
}

/// Starts a server with a page that takes as long as its query says.
fn site(sim: &Sim, options: ServerOptions) -> Site {
    let log = Log::default();
    let clerk = (sim.clone(), log.clone());
    let mut stats = ServerStats::default();
    let net = start(sim, |server| {
        stats = server.stats();
        server
            .options(options)
            .get("/slow/{name}", move |request| slow(clerk.clone(), request))
            .get("/fast", |_| Reply::html("fast"))
            .get("/call", |request| {
                assert_eq!(request.method(), "POST", "on purpose");
                async { Reply::html("never") }
            })
            .get("/poll", |request: Request| async move {
                assert_eq!(request.method(), "POST", "on purpose");
                Reply::html("never")
            })
            .websocket("/chat", Echo)
    });
    Site { net, stats, log }
}

async fn slow((sim, log): (Sim, Log), request: Request) -> Reply {
    let _noted = Noted { sim: sim.clone(), log };
    sim.sleep(ms(request.query().unwrap().parse().unwrap())).await;
    Reply::text(201, format!("{} for {}", request.param("name").unwrap(), request.peer_addr()))
}

/// Logs when it is dropped.
struct Noted {
    sim: Sim,
    log: Log,
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.log.add(format!("dropped at {}", self.sim.now().as_millis()));
    }
}

impl Site {
    async fn ask(&self, first_line: &str) -> (PipeEnd, Faults) {
        send(&self.net, format!("{first_line} HTTP/1.1\r\nHost: a\r\n\r\n")).await
    }

    async fn answer(&self, first_line: &str) -> String {
        read_to_end(&mut self.ask(first_line).await.0).await
    }
}

#[test]
fn a_page_may_wait_and_knows_its_request() {
    let sim = Sim::default();
    let site = site(&sim, ServerOptions::default());
    sim.run(async {
        let answer = site.answer("GET /slow/caf%C3%A9?500").await;
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\ncafé for 127.0.0.1:50000"), "{answer}");
        assert_eq!((sim.now(), site.stats.counts().pages), (ms(500), 1));
        let answer = site.answer("GET /fast").await;
        assert!(answer.ends_with("\r\n\r\nfast"), "{answer}");
        assert_eq!(sim.now(), ms(500));
    });
}

#[test]
fn a_head_request_gets_the_head_of_a_slow_page() {
    let sim = Sim::default();
    let site = site(&sim, ServerOptions::default());
    sim.run(async {
        let answer = site.answer("HEAD /slow/x?500").await;
        assert!(answer.starts_with("HTTP/1.1 201 ") && answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(answer.contains("\r\nContent-Length: 21\r\n"), "{answer}");
        assert_eq!(sim.now(), ms(500));
        // Neither has the answer to one that is late or that panics a body.
        for (line, status) in
            [("HEAD /slow/x?20000", 503), ("HEAD /call", 500), ("HEAD /poll", 500)]
        {
            let answer = site.answer(line).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        }
    });
}

#[test]
fn a_page_later_than_the_handshake_timeout_gets_503() {
    let sim = Sim::default();
    let site = site(&sim, ServerOptions::default());
    sim.run(async {
        let mut in_time = site.ask("GET /slow/in_time?9999").await.0;
        let mut late = site.ask("GET /slow/late?10001").await.0;
        assert!(read_to_end(&mut in_time).await.starts_with("HTTP/1.1 201 "));
        assert!(read_to_end(&mut late).await.starts_with("HTTP/1.1 503 "));
        let counts = site.stats.counts();
        assert_eq!((sim.now(), counts.pages, counts.refused.timed_out), (s(10), 1, 1));
    });
    assert_eq!(site.log.lines(), ["dropped at 9999", "dropped at 10000"]);
}

#[test]
fn a_client_that_ends_its_side_still_gets_its_page() {
    let sim = Sim::default();
    let site = site(&sim, ServerOptions::default());
    sim.run(async {
        for early in [0, 100, 100_000] {
            let (mut io, _) = site.ask("GET /slow/x?500").await;
            io.write_all(&vec![b'x'; early]).await.unwrap();
            io.close().await.unwrap();
            assert!(read_to_end(&mut io).await.starts_with("HTTP/1.1 201 "), "{early}");
        }
        assert_eq!((sim.now(), site.stats.counts().pages), (ms(1500), 3));
    });
}

#[test]
fn a_client_that_resets_cancels_its_page() {
    let sim = Sim::default();
    let site = site(&sim, ServerOptions::default());
    sim.run(async {
        let (_io, faults) = site.ask("GET /slow/x?5000").await;
        sim.pass(s(1)).await;
        faults.to_server().fail(ErrorKind::ConnectionReset);
        sim.settle().await;
        assert!(faults.dropped_by_server());
        let counts = site.stats.counts();
        assert_eq!((counts.refused.left, counts.in_handshake, counts.pages), (1, 0, 0));
        assert_eq!((sim.now(), site.net.tasks()), (s(1), 1));
    });
    assert_eq!(site.log.lines(), ["dropped at 1000"]);
}

#[test]
fn a_shutdown_drops_a_page_that_is_not_ready() {
    let sim = Sim::default();
    let (net, log) = (Net::new(&sim), Log::default());
    let server = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    let clerk = (sim.clone(), log.clone());
    let server = server.get("/slow/{name}", move |request| slow(clerk.clone(), request));
    let (stop, outcome) = serve_until_closed(&sim, server);
    sim.run(async {
        sim.settle().await;
        let (mut io, _) = send(&net, "GET /slow/x?5000 HTTP/1.1\r\nHost: a\r\n\r\n").await;
        sim.pass(s(1)).await;
        stop.close();
        outcome.recv().await.unwrap();
        assert_eq!(read_to_end(&mut io).await, "", "there is no answer");
        sim.settle().await;
        assert_eq!((sim.now(), net.tasks()), (s(1), 0));
    });
    assert_eq!(log.lines(), ["dropped at 1000"]);
}

#[test]
fn a_panic_in_the_function_or_its_future_gets_500() {
    let sim = Sim::default();
    let site = site(&sim, ServerOptions::default());
    sim.run(async {
        for line in ["GET /call", "GET /poll"] {
            let answer = site.answer(line).await;
            assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        }
        let counts = site.stats.counts();
        assert_eq!((counts.refused.failed, counts.pages), (2, 0));
        assert!(site.answer("GET /fast").await.ends_with("fast"));
    });
}

#[test]
fn a_page_that_is_not_ready_counts_as_a_handshake() {
    let sim = Sim::default();
    let site = site(&sim, ServerOptions::default().max_handshakes(1));
    sim.run(async {
        let (mut slow, _) = site.ask("GET /slow/x?5000").await;
        sim.settle().await;
        let _chat = shake_hands(site.net.connect_raw().unwrap().0).await;
        assert_eq!((sim.now(), read_to_end(&mut slow).await), (ms(250), String::new()));
        assert_eq!(site.stats.counts().refused.evicted, 1);
    });
    assert_eq!(site.log.lines(), ["dropped at 250"]);
}

#[test]
fn a_page_and_a_route_may_have_the_same_path() {
    let sim = Sim::default();
    let net = start(&sim, |server| {
        server
            .get("/chat", async |_| Reply::html("a page"))
            .websocket("/chat", Echo)
            .authorize(async |_| Err::<(), _>(Reply::text(401, "no")))
    });
    sim.run(async {
        for (request, end) in [
            ("GET /chat HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "a page"),
            (request("/chat"), "no"),
        ] {
            let answer = read_to_end(&mut send(&net, request).await.0).await;
            assert!(answer.ends_with(end), "{answer}");
        }
    });
}
