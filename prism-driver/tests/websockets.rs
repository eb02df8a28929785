//! `WebSockets`: connections that arrive through another HTTP server.

use std::{sync::Barrier, thread};

use futures_lite::future::block_on;
use http::{Request, Version};
use prism_driver::{
    Authorized, Connection, Deflate, ForwardedHeader, Handler, HttpRequest, Message, Opened,
    Options, Origins, Reply, Runtime, ServerOptions,
};
use prism_test::{Peer, Received, Sim, pipe};

use crate::common::{
    handlers::{Echo, HandOut},
    http::ACCEPT,
    s, text,
    websockets::{accept, addr, connect, of, open, request, status, websockets, with_header},
};

// ---- what is accepted

#[test]
fn a_connection_has_what_is_known_of_its_request() {
    let sim = Sim::default();
    let websockets = websockets(&sim, |it| it.subprotocols(["chat"]));
    let (mut http1, mut http2) = (request("/rooms/caf%C3%A9?x=1"), connect("/rooms/caf%C3%A9?x=1"));
    for request in [&mut http1, &mut http2] {
        let offered = "a, chat".parse().expect("a valid value");
        request.headers_mut().insert("Sec-WebSocket-Protocol", offered);
    }
    sim.run(async {
        for (request, status) in [(&http1, 101), (&http2, 200)] {
            let head = of(request)
                .protocol("websocket")
                .params([("room", "café")])
                .peer_addr(addr("[::ffff:192.0.2.1]:40000"));
            let upgrade = websockets.upgrade(head).await.expect("it is valid");
            assert_eq!(upgrade.request().param("room"), Some("café"));
            let (response, opening) = upgrade.data(7_u32).accept();
            assert_eq!(response.status(), status);
            let accept = response.headers().get("Sec-WebSocket-Accept");
            assert_eq!(accept.is_some_and(|it| it == ACCEPT), status == 101);
            assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "chat");

            let ((hand_out, connections), (server, _client, _)) = (HandOut::new(), pipe());
            opening.serve(server, hand_out);
            let connection = connections.recv().await.expect("it opens");
            assert_eq!((connection.path(), connection.query()), ("/rooms/caf%C3%A9", Some("x=1")));
            assert_eq!(connection.param("room"), Some("café"));
            assert_eq!(connection.subprotocol(), Some("chat"));
            assert_eq!(connection.data::<u32>(), Some(&7));
            assert_eq!(connection.peer_addr(), Some(addr("192.0.2.1:40000")));
        }
        let counts = websockets.stats().counts();
        assert_eq!(counts.opened.total(), 2);
        assert_eq!((counts.opened.over_http1, counts.opened.over_http2), (1, 1));
    });
}

#[test]
fn connections_are_counted_by_the_version_of_http() {
    let sim = Sim::default();
    let websockets = websockets(&sim, |it| it);
    let mut http3 = connect("/chat");
    *http3.version_mut() = Version::HTTP_3;
    sim.run(async {
        for request in [request("/chat"), connect("/chat"), http3] {
            let head = of(&request).protocol("websocket");
            let (_, opening) = websockets.upgrade(head).await.expect("it is valid").accept();
            opening.serve(pipe().0, Echo);
            sim.settle().await;
        }
    });
    let counts = websockets.stats().counts();
    let Opened { over_http1, over_http2, over_http3, .. } = counts.opened;
    assert_eq!([over_http1, over_http2, over_http3], [1, 1, 1]);
    let metrics = counts.to_openmetrics();
    for version in ["1.1", "2", "3"] {
        let sample = format!("prism_connections_opened_total{{http=\"{version}\"}} 1\n");
        assert!(metrics.contains(&sample), "{metrics}");
    }
}

#[test]
fn headers_are_there_until_on_connect_has_returned() {
    struct AgentEcho;

    impl Handler for AgentEcho {
        async fn on_connect(&self, connection: &Connection) {
            let agent = connection.header("User-Agent").expect("it is sent");
            connection.send(agent).await.expect("there is room");
        }

        async fn on_message(&self, connection: &Connection, _: Message<'_>) {
            assert_eq!(connection.header("User-Agent"), None);
            connection.send("gone").await.expect("there is room");
        }
    }

    let sim = Sim::default();
    let websockets = websockets(&sim, |it| it);
    let request = with_header("User-Agent", "Sim");
    sim.run(async {
        let (_, opening) = accept(&websockets, of(&request)).await.expect("valid");
        let (server, client, _) = pipe();
        opening.serve(server, AgentEcho);
        let mut peer = Peer::new(client);
        assert_eq!(peer.next().await, text("Sim"));
        peer.send("?").await;
        assert_eq!(peer.next().await, text("gone"));
    });
}

#[test]
fn bytes_that_were_read_ahead_come_first() {
    let sim = Sim::default();
    let websockets = websockets(&sim, |it| it);
    sim.run(async {
        let (_, opening) = accept(&websockets, of(&request("/"))).await.expect("ok");
        let (server, client, _) = pipe();
        // "a", masked with zeros, and the beginning of another frame.
        opening.received(b"\x81\x81\0\0\0\0a\x81\x81\0\0").serve(server, Echo);
        let mut peer = Peer::new(client);
        assert_eq!(peer.next().await, text("a"));
        peer.raw(b"\0\0b").await;
        assert_eq!(peer.next().await, text("b"));
    });
}

#[test]
fn compression_is_agreed_on_and_can_be_denied() {
    let sim = Sim::default();
    let deflate = Deflate::default();
    let options = Options::default().compression(deflate);
    let websockets = websockets(&sim, |it| {
        it.options(options).compress_for(|request| request.path() == "/chat")
    });
    sim.run(async {
        for (target, agreed) in [("/chat", true), ("/secret", false)] {
            let mut request = request(target);
            let offer = "permessage-deflate".parse().expect("a valid value");
            request.headers_mut().insert("Sec-WebSocket-Extensions", offer);
            let (response, opening) = accept(&websockets, of(&request)).await.expect("it is valid");
            let answer = response.headers().get("Sec-WebSocket-Extensions");
            assert_eq!(answer.is_some(), agreed);
            let ((hand_out, connections), (server, _client, _)) = (HandOut::new(), pipe());
            opening.serve(server, hand_out);
            let connection = connections.recv().await.expect("it opens");
            assert_eq!(connection.compression().is_some(), agreed);
        }
    });
}

#[test]
fn the_application_may_choose_for_each_request() {
    let sim = Sim::default();
    let websockets = websockets(&sim, |it| it);
    let request = with_header("Sec-WebSocket-Protocol", "a, b");
    sim.run(async {
        let upgrade = websockets.upgrade(of(&request)).await.expect("it is valid");
        assert_eq!(upgrade.subprotocol(), None);
        let upgrade = upgrade.subprotocols(["c", "b"]).header("X-A", "1").expect("it is valid");
        assert_eq!(upgrade.subprotocol(), Some("b"));
        let (response, opening) = upgrade.options(Options::default().max_message_size(1)).accept();
        assert_eq!(response.headers()["X-A"], "1");
        let (server, client, _) = pipe();
        opening.serve(server, Echo);
        let mut peer = Peer::new(client);
        peer.send("ab").await;
        assert!(matches!(peer.next().await, Received::Close(1009, _)));
    });
}

// ---- what is refused

#[test]
fn refusals_are_those_of_a_server() {
    let sim = Sim::default();
    let origins = Origins::these(["https://example.org"]).expect("an origin");
    let websockets =
        websockets(&sim, |it| it.origins(origins).header("X-Ours", "1").expect("a valid header"));
    sim.run(async {
        let plain = Request::get("/").header("Host", "a").body(()).expect("a valid request");
        let refusal = accept(&websockets, of(&plain)).await.expect_err("it asks for no WebSocket");
        assert_eq!(refusal.status(), 426);
        assert_eq!(refusal.headers()["Upgrade"], "websocket");
        assert_eq!(refusal.headers()["Sec-WebSocket-Version"], "13");
        assert_eq!(refusal.headers()["X-Ours"], "1");
        assert!(!refusal.body().is_empty());

        let evil = with_header("Origin", "https://evil.example");
        assert_eq!(status(&websockets, of(&evil)).await, 403);
        assert_eq!(status(&websockets, of(&connect("/"))).await, 405);
        assert_eq!(status(&websockets, of(&connect("/")).protocol("webtransport")).await, 501);
        for value in ["..", "a/../b", "/etc", "a\nb"] {
            assert_eq!(status(&websockets, of(&request("/")).params([("p", value)])).await, 400);
        }
        let counts = websockets.stats().counts();
        assert_eq!((counts.accepted, counts.open, counts.in_handshake), (8, 0, 0));
        assert_eq!((counts.refused.bad_request, counts.refused.forbidden_origin), (7, 1));
    });
}

#[test]
fn all_refusals_have_the_headers_of_the_server() {
    let sim = Sim::default();
    let options = ServerOptions::default().max_connections(2).max_connections_per_ip(Some(1));
    let websockets = websockets(&sim, |it| {
        let it = it.options(options).header("X-Ours", "1").expect("a valid header");
        it.trust_proxies(ForwardedHeader::XForwardedFor, ["10.0.0.1"]).expect("an address")
    });
    let (request, bad) = (request("/chat"), with_header("X-Forwarded-For", "nonsense"));
    let check = async |head: HttpRequest<'_>, expected| {
        let refusal = accept(&websockets, head).await.expect_err("it is refused");
        assert_eq!(refusal.status(), expected);
        assert_eq!(refusal.headers()["X-Ours"], "1", "{expected}");
    };
    sim.run(async {
        let ada = addr("192.0.2.1:1");
        let first = accept(&websockets, of(&request).peer_addr(ada)).await.expect("there is room");
        check(of(&request).peer_addr(ada), 429).await;
        check(of(&bad).peer_addr(addr("10.0.0.1:1")), 400).await;
        check(of(&connect("/")), 405).await;
        let second = accept(&websockets, of(&request)).await.expect("there is room");
        check(of(&request), 503).await;
        drop((first, second));
        websockets.shut_down().await;
        check(of(&request), 503).await;
    });
}

#[test]
fn of_two_concurrent_requests_one_gets_the_last_place() {
    let sim = Sim::default();
    let websockets = websockets(&sim, |it| it.options(ServerOptions::default().max_connections(1)));
    let request = request("/chat");
    for _ in 0..200 {
        let together = Barrier::new(2);
        let upgrade = || {
            together.wait();
            block_on(websockets.upgrade(of(&request))).ok()
        };
        let upgrades = thread::scope(|scope| {
            let threads = [scope.spawn(upgrade), scope.spawn(upgrade)];
            threads.map(|thread| thread.join().expect("it does not panic"))
        });
        assert_eq!(upgrades.iter().flatten().count(), 1);
    }
}

#[test]
fn a_request_is_authorized() {
    let sim = Sim::default();
    let clock = sim.clone();
    let websockets = websockets(&sim, |it| {
        it.options(Options::default().handshake_timeout(s(1))).authorize(
            move |request: prism_driver::Request| {
                let clock = clock.clone();
                async move {
                    match request.path() {
                        "/ada" => Ok(Authorized::new("ada").subprotocol("b")),
                        "/slow" => {
                            clock.sleep(s(2)).await;
                            Ok(Authorized::default())
                        }
                        "/panic" => panic!("on purpose"),
                        _ => Err(Reply::text(401, "who are you?")),
                    }
                }
            },
        )
    });
    sim.run(async {
        let mut ada = request("/ada");
        let offered = "a, b".parse().expect("a valid value");
        ada.headers_mut().insert("Sec-WebSocket-Protocol", offered);
        let (response, opening) = accept(&websockets, of(&ada)).await.expect("ok");
        assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "b");
        let ((hand_out, connections), (server, _client, _)) = (HandOut::new(), pipe());
        opening.serve(server, hand_out);
        let connection = connections.recv().await.expect("it opens");
        assert_eq!(connection.data::<&str>(), Some(&"ada"));
        for (target, expected) in [("/eve", 401), ("/slow", 503), ("/panic", 500)] {
            assert_eq!(status(&websockets, of(&request(target))).await, expected);
        }
        // It is not asked about a request that cannot be upgraded.
        assert_eq!(status(&websockets, of(&request("/eve")).without_stream()).await, 500);
        let refused = websockets.stats().counts().refused;
        assert_eq!((refused.unauthorized, refused.timed_out, refused.failed), (1, 1, 2));
    });
}

#[test]
fn there_are_no_more_connections_than_allowed() {
    let sim = Sim::default();
    let options = ServerOptions::default().max_connections(2);
    let websockets = websockets(&sim, |it| it.options(options));
    let request = request("/chat");
    sim.run(async {
        let mut first = open(&websockets, of(&request)).await;
        let second = accept(&websockets, of(&request)).await.expect("there is room");
        assert_eq!(status(&websockets, of(&request)).await, 503);
        drop(second); // its client has left
        assert_eq!(status(&websockets, of(&request)).await, 101);
        first.close(1000, "").await;
        first.all().await;
        drop(first);
        sim.settle().await;
        let counts = websockets.stats().counts();
        assert_eq!((counts.open, counts.closed, counts.refused.left), (0, 1, 2));
        assert_eq!(counts.refused.too_many_connections, 1);
    });
}

#[test]
fn a_client_behind_a_trusted_proxy_has_its_own_address_and_limit() {
    let sim = Sim::default();
    let options = ServerOptions::default().max_connections_per_ip(Some(1));
    let websockets = websockets(&sim, |it| {
        it.options(options)
            .trust_proxies(ForwardedHeader::XForwardedFor, ["10.0.0.1"])
            .expect("an address")
    });
    let [ada, eve] = ["192.0.2.1", "192.0.2.2"].map(|it| with_header("X-Forwarded-For", it));
    sim.run(async {
        let via_proxy = |request| HttpRequest::of(request).peer_addr(addr("10.0.0.1:1"));
        let peer = open(&websockets, via_proxy(&ada)).await;
        assert_eq!(status(&websockets, via_proxy(&ada)).await, 429);
        assert_eq!(status(&websockets, via_proxy(&eve)).await, 101);
        // A client that connects directly cannot pretend to be another.
        let forged = of(&eve).peer_addr(addr("192.0.2.1:1"));
        assert_eq!(status(&websockets, forged).await, 429);
        drop(peer);
        sim.settle().await;
        sim.pass(s(60)).await;
        assert_eq!(status(&websockets, via_proxy(&ada)).await, 101);
        let bad = with_header("X-Forwarded-For", "nonsense");
        assert_eq!(status(&websockets, via_proxy(&bad)).await, 400);
    });
}
