//! A route's own settings replace the server's, whatever the order of the calls.

mod common;

use async_channel::Receiver;
use common::{
    binary,
    gatekeeper::request,
    handlers::{Echo, Log, MessageLog},
    http::{read_head, read_to_end},
    ms,
    net::Net,
    peer::{Peer, Seen},
    pipe::{End, Script},
    s,
    sim::Sim,
    text,
};
use futures_lite::{AsyncWriteExt, future::poll_once};
use prism_driver::{
    Connection, Handler, Message, Options, Origins, Rate, Reply, Request, Route, Runtime, Server,
    ServerOptions, WhenSlow, shared,
};

/// Runs a server with these routes and settings.
fn start(sim: &Sim, set: impl FnOnce(Server<Net>) -> Server<Net>) -> Net {
    let net = Net::new(sim);
    let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    sim.spawn(set(bound).serve());
    sim.run(sim.settle());
    net
}

/// Sends a request for this path, with these header lines, and returns the head of the answer.
async fn ask(net: &Net, path: &str, lines: &str) -> (String, End, Script) {
    let (mut io, script) = net.connect_raw().unwrap();
    let request = request(path).replace("X-Token: abc\r\n", lines);
    io.write_all(request.as_bytes()).await.unwrap();
    (read_head(&mut io).await, io, script)
}

async fn open(net: &Net, path: &str) -> (Peer, Script) {
    let (head, io, script) = ask(net, path, "").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    (Peer::open(io), script)
}

/// Asserts the status of the answer to a request for this path, with these header lines.
#[track_caller]
fn status(sim: &Sim, net: &Net, path: &str, lines: &str, expected: u16) {
    let (head, ..) = sim.run(ask(net, path, lines));
    assert!(head.starts_with(&format!("HTTP/1.1 {expected} ")), "{path} {lines}: {head}");
}

// ---- options

#[test]
fn a_route_for_uploads_may_be_beside_one_for_chat() {
    let sim = Sim::default();
    let (large, small) = (1 << 20, 1000);
    let net = start(&sim, |server| {
        server
            .websocket("/upload", shared(Echo).options(Options::default().max_message_size(large)))
            .websocket("/chat", Echo)
            .options(Options::default().max_message_size(small))
            .websocket("/chat2", Echo)
    });
    sim.run(async {
        for (path, limit) in [("/upload", large), ("/chat", small), ("/chat2", small)] {
            let (mut peer, _) = open(&net, path).await;
            peer.send(&vec![7; limit]).await;
            assert_eq!(peer.next().await, binary(vec![7; limit]), "{path}");
            peer.send(&vec![7; limit + 1]).await;
            let refusal = peer.next().await;
            assert!(matches!(refusal, Seen::Close(1009, _)), "{path}: {refusal:?}");
        }
    });
}

#[test]
fn a_routes_options_replace_the_servers_as_a_whole() {
    let sim = Sim::default();
    let net = start(&sim, |server| {
        server
            .options(Options::default().max_message_size(1000))
            .websocket("/default", shared(Echo).options(Options::default()))
    });
    sim.run(async {
        let (mut peer, _) = open(&net, "/default").await;
        peer.send(&[7; 1001]).await;
        assert_eq!(peer.next().await, binary([7; 1001]));
    });
}

/// A route whose connections are handed out.
fn handing_out(options: Options) -> (Route<Net>, Receiver<Connection>) {
    let (handler, _, out) = MessageLog::new();
    (shared(handler).options(options), out)
}

#[test]
fn the_write_timeout_of_a_route_applies() {
    let quiet = || Options::default().ping_interval(None);
    for (options, after) in [(quiet(), s(30)), (quiet().write_timeout(s(3)), s(3))] {
        let sim = Sim::default();
        let (route, out) = handing_out(options);
        let fast = quiet().write_timeout(s(1)).min_write_rate(0);
        let net = start(&sim, |server| server.options(fast).websocket("/slow", route));
        sim.run(async {
            let (_peer, script) = open(&net, "/slow").await;
            let connection = out.recv().await.unwrap();
            script.set_capacity_to_client(0);
            connection.send(&vec![7; 10_000]).await.unwrap();
            while !script.dropped_by_server() {
                sim.pass(ms(500)).await;
            }
            assert_eq!(sim.now(), after);
        });
    }
}

#[test]
fn the_minimum_write_rate_of_a_route_applies() {
    for (rate, ends) in [(0, false), (100, true)] {
        let sim = Sim::default();
        let options = Options::default().ping_interval(None).write_timeout(s(3));
        let (route, out) = handing_out(options.clone().min_write_rate(rate));
        let net = start(&sim, |server| {
            server.options(options.min_write_rate(100 - rate)).websocket("/slow", route)
        });
        sim.run(async {
            let (_peer, script) = open(&net, "/slow").await;
            let connection = out.recv().await.unwrap();
            script.allow_to_client(0);
            connection.send(&vec![7; 10_000]).await.unwrap();
            for _ in 0..10 {
                sim.pass(s(1)).await;
                script.allow_to_client(1);
            }
            assert_eq!(script.dropped_by_server(), ends, "{rate} bytes per second");
        });
    }
}

/// Logs when each message was handled.
struct Times(Sim, Log);

impl Handler for Times {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {
        self.1.add(self.0.now().as_millis().to_string());
    }
}

#[test]
fn the_message_rate_of_a_route_applies() {
    let limited = Options::default().message_rate(Some(Rate { per_second: 10, burst: 1 }));
    let every_100_ms = ["0", "100", "200"];
    for (route, server, times) in [
        (Some(limited.clone()), Options::default(), every_100_ms),
        (None, limited.clone(), every_100_ms),
        (Some(Options::default()), limited, ["0", "0", "0"]),
    ] {
        let (sim, log) = (Sim::default(), Log::default());
        let timed = shared(Times(sim.clone(), log.clone()));
        let timed = match route {
            Some(options) => timed.options(options),
            None => timed,
        };
        let net = start(&sim, |it| it.options(server).websocket("/", timed));
        sim.run(async {
            let (mut peer, _) = open(&net, "/").await;
            peer.send_together(&["a", "b", "c"]).await;
            sim.pass(s(1)).await;
        });
        assert_eq!(log.lines(), times);
    }
}

#[test]
fn the_policy_for_slow_peers_and_the_mark_are_the_routes() {
    let sim = Sim::default();
    let options = || Options::default().ping_interval(None);
    let (strict, strict_out) =
        handing_out(options().high_water_mark(10).when_slow(WhenSlow::DropNewest));
    let (patient, patient_out) = handing_out(options());
    let close = options().high_water_mark(1).when_slow(WhenSlow::Close);
    let net = start(&sim, |server| {
        server.options(close).websocket("/strict", strict).websocket("/patient", patient)
    });
    sim.run(async {
        for (path, out, missed) in [("/strict", strict_out, 2), ("/patient", patient_out, 0)] {
            let (mut peer, script) = open(&net, path).await;
            let connection = out.recv().await.unwrap();
            script.set_capacity_to_client(0);
            for number in 0..3 {
                let sent = poll_once(connection.send(&format!("message {number}"))).await;
                assert_eq!(sent, Some(Ok(())), "{path}");
            }
            assert_eq!((connection.missed(), connection.is_full()), (missed, missed > 0), "{path}");
            script.set_capacity_to_client(1000);
            assert_eq!(peer.next().await, text("message 0"));
        }
    });
}

#[test]
fn handshakes_have_the_limits_of_the_server() {
    let sim = Sim::default();
    let route = Options::default().handshake_timeout(s(1)).max_head_size(100).max_headers(1);
    let net = start(&sim, |server| {
        let server = server.options(Options::default().handshake_timeout(s(5)).max_head_size(500));
        let clock = sim.clone();
        let authorize = move |_: Request| {
            let wait = clock.sleep(s(9));
            async {
                wait.await;
                Ok::<_, Reply>(())
            }
        };
        let slow = shared(Echo).options(route.clone()).authorize(authorize);
        server.websocket("/chat", shared(Echo).options(route)).websocket("/slow", slow)
    });
    status(&sim, &net, "/chat", "", 101);
    status(&sim, &net, "/chat", &format!("X-A: {}\r\n", "x".repeat(500)), 431);
    status(&sim, &net, "/slow", "", 503);
    assert_eq!(sim.now(), s(5));
}

#[test]
fn the_mark_of_any_route_fits_into_the_budget() {
    let sim = Sim::default();
    let (route, out) = handing_out(Options::default().ping_interval(None).high_water_mark(1 << 20));
    let net = start(&sim, |server| {
        let options = ServerOptions::default().max_buffered(100_000);
        server.options(options).websocket("/deep", route)
    });
    sim.run(async {
        let mut all = Vec::new();
        for _ in 0..2 {
            let (peer, script) = open(&net, "/deep").await;
            let connection = out.recv().await.unwrap();
            script.set_capacity_to_client(0);
            connection.send(&vec![7; 400_000]).await.unwrap();
            sim.settle().await;
            all.push((peer, script));
        }
        assert!(!all.iter().any(|(_, script)| script.dropped_by_server()));
    });
}

// ---- which requests become connections

#[test]
fn a_route_has_its_own_origins() {
    let sim = Sim::default();
    let these = |origin| Origins::these([origin]).unwrap();
    let net = start(&sim, |server| {
        server
            .websocket("/ours", Echo)
            .websocket("/partners", shared(Echo).origins(these("https://partner.example")))
            .websocket("/open", shared(Echo).origins(Origins::any()))
            .origins(these("https://our.example"))
    });
    for (path, ours, partners, evil) in
        [("/ours", 101, 403, 403), ("/partners", 403, 101, 403), ("/open", 101, 101, 101)]
    {
        for (origin, expected) in [("our", ours), ("partner", partners), ("evil", evil)] {
            let line = format!("Origin: https://{origin}.example\r\n");
            status(&sim, &net, path, &line, expected);
        }
    }
    // And the reverse: only the route has a list.
    let net = start(&sim, |server| {
        let ours = shared(Echo).origins(these("https://our.example"));
        server.websocket("/ours", ours).websocket("/open", Echo)
    });
    status(&sim, &net, "/ours", "Origin: https://evil.example\r\n", 403);
    status(&sim, &net, "/open", "Origin: https://evil.example\r\n", 101);
}

#[test]
fn a_route_has_its_own_subprotocols() {
    let sim = Sim::default();
    let net = start(&sim, |server| {
        server
            .websocket("/servers", Echo)
            .websocket("/own", shared(Echo).subprotocols(["b", "c"]))
            .websocket("/required", shared(Echo).require_subprotocols(["c"]))
            .websocket("/none", shared(Echo).subprotocols([""; 0]))
            .subprotocols(["a", "b"])
    });
    for (path, selected) in
        [("/servers", Some("a")), ("/own", Some("b")), ("/required", Some("c")), ("/none", None)]
    {
        let (head, ..) = sim.run(ask(&net, path, "Sec-WebSocket-Protocol: c, b, a\r\n"));
        let named = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
        assert_eq!(named, selected, "{path}: {head}");
    }
    status(&sim, &net, "/required", "Sec-WebSocket-Protocol: a, b\r\n", 400);
    status(&sim, &net, "/required", "", 400);
    status(&sim, &net, "/own", "Sec-WebSocket-Protocol: a\r\n", 101);

    let net = start(&sim, |server| {
        server
            .require_subprotocols(["a"])
            .websocket("/servers", Echo)
            .websocket("/own", shared(Echo).subprotocols(["b"]))
    });
    status(&sim, &net, "/servers", "Sec-WebSocket-Protocol: b\r\n", 400);
    status(&sim, &net, "/own", "Sec-WebSocket-Protocol: c\r\n", 101);
}

async fn with_token(token: &'static str, request: Request) -> Result<(), Reply> {
    let given = request.header("X-Token");
    if given.as_deref() == Some(token) { Ok(()) } else { Err(Reply::text(401, "no")) }
}

#[test]
fn a_route_has_its_own_authorization() {
    let sim = Sim::default();
    let net = start(&sim, |server| {
        server
            .websocket("/servers", Echo)
            .websocket("/own", shared(Echo).authorize(|request| with_token("own", request)))
            .websocket("/open", shared(Echo).authorize(async |_| Ok(())))
            .authorize(|request| with_token("server", request))
    });
    for (path, servers, own, none) in
        [("/servers", 101, 401, 401), ("/own", 401, 101, 401), ("/open", 101, 101, 101)]
    {
        status(&sim, &net, path, "X-Token: server\r\n", servers);
        status(&sim, &net, path, "X-Token: own\r\n", own);
        status(&sim, &net, path, "", none);
    }
    // And the reverse: only the route has one.
    let net = start(&sim, |server| {
        let own = shared(Echo).authorize(|request| with_token("own", request));
        server.websocket("/own", own).websocket("/open", Echo)
    });
    status(&sim, &net, "/own", "", 401);
    status(&sim, &net, "/open", "", 101);
}

// ---- headers

/// Returns the added headers of an answer.
fn added(head: &str) -> Vec<&str> {
    head.lines().filter(|line| line.starts_with("X-")).collect()
}

#[test]
fn headers_are_in_all_answers_to_upgrade_requests_and_in_no_other() {
    let sim = Sim::default();
    let net = start(&sim, |server| {
        let server = server
            .websocket("/servers", Echo)
            .websocket(
                "/own",
                shared(Echo).header("X-Own", "1").unwrap().header("X-Own", "2").unwrap(),
            )
            .get("/page", |_| Reply::text(403, "a page"))
            .get("/servers", |_| Reply::html("a page"))
            .origins(Origins::these(["https://our.example"]).unwrap())
            .require_subprotocols(["a"])
            .authorize(|request| with_token("abc", request));
        server.header("X-Server", "1").unwrap()
    });
    let (ours, theirs) = ("Origin: https://our.example\r\n", "Origin: https://evil.example\r\n");
    let subprotocol = "Sec-WebSocket-Protocol: a\r\n";
    let good = format!("{ours}{subprotocol}X-Token: abc\r\n");
    for (lines, code) in [
        (good.clone(), 101),
        (format!("{theirs}{subprotocol}X-Token: abc\r\n"), 403),
        (format!("{ours}X-Token: abc\r\n"), 400),
        (format!("{ours}{subprotocol}"), 401),
        (format!("{good}Content-Length: 1\r\n"), 400),
    ] {
        for (path, expected) in
            [("/servers", &["X-Server: 1"][..]), ("/own", &["X-Own: 1", "X-Own: 2"])]
        {
            let (head, ..) = sim.run(ask(&net, path, &lines));
            assert!(head.starts_with(&format!("HTTP/1.1 {code} ")), "{lines}: {head}");
            assert_eq!(added(&head), expected, "{lines}: {head}");
        }
    }
    for (request, code, expected) in [
        // A request for a WebSocket route only, which asks for no upgrade or an unknown version.
        (plain("GET", "/own"), 426, &["X-Own: 1", "X-Own: 2"][..]),
        (request("/servers").replace("Version: 13", "Version: 8"), 426, &["X-Server: 1"]),
        (plain("GET", "/servers"), 200, &[]),
        (plain("GET", "/page"), 403, &[]),
        (plain("OPTIONS", "/own"), 204, &[]),
        (plain("POST", "/own"), 405, &[]),
        (request("/nowhere"), 404, &[]),
    ] {
        let answer = sim.run(async {
            let (mut io, _) = net.connect_raw().unwrap();
            io.write_all(request.as_bytes()).await.unwrap();
            read_to_end(&mut io).await
        });
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{request}: {answer}");
        assert_eq!(added(&answer), expected, "{request}: {answer}");
    }
}

fn plain(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}
