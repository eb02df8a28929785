//! The origins, subprotocols, authorization and headers of a route replace the server's, whatever the order of the
//! calls.

use prism_driver::{Origins, Reply, Request, shared};
use prism_test::Sim;

use crate::common::{
    handlers::Echo,
    http::read_to_end,
    site::{ask, request, send, start, status},
};

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
        let answer = sim.run(async { read_to_end(&mut send(&net, &request).await.0).await });
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{request}: {answer}");
        assert_eq!(added(&answer), expected, "{request}: {answer}");
    }
}

#[test]
fn a_refusal_keeps_its_own_headers() {
    let sim = Sim::default();
    let net = start(&sim, |server| {
        let refuse = async |_: Request| {
            let json = Reply::new(401).body("application/json", "{}");
            Err::<(), _>(json.and_then(|reply| reply.header("X-Server", "own")).unwrap())
        };
        let server = server.websocket("/", Echo).authorize(refuse);
        let server = server.header("Content-Type", "text/html").unwrap();
        server.header("Cache-Control", "max-age=600").unwrap().header("X-Server", "1").unwrap()
    });
    let (head, ..) = sim.run(ask(&net, "/", ""));
    assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    for (name, own) in
        [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("X-Server", "own")]
    {
        let values = head.lines().filter_map(|line| line.split_once(": "));
        let values: Vec<_> = values.filter(|(it, _)| *it == name).collect();
        assert_eq!(values, [(name, own)], "{head}");
    }
}

fn plain(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}
