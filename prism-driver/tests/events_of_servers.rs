//! The events of servers, for subscribers of `tracing`.

use futures_lite::AsyncWriteExt;
use prism_driver::{
    ForwardedHeader, Options, Origins, Reply, Request, Runtime, Server, ServerOptions, shared,
};
use prism_test::{Sim, pipe};

use crate::common::{
    events::{Event, Events},
    handlers::Echo,
    http::{REQUEST, read_to_end, shake_hands},
    ms,
    net::{Net, PEER},
    s,
    site::{send, serve_until_closed},
    websockets::{accept, addr, of, request, status, websockets, with_header},
};

fn bind(sim: &Sim) -> (Net, Server<Net>) {
    let net = Net::new(sim);
    let server = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    (net, server)
}

/// Returns the reason and the status of each refusal, and how many were not reported before it.
fn refusals(events: &Events) -> Vec<String> {
    let show = |event: Event| {
        assert_eq!((&*event.kind, event.get("peer")), ("DEBUG prism::handshake", PEER));
        let status = event.fields.get("status").map_or("-", |status| status);
        format!("{} {status} {}", event.get("reason"), event.get("unreported"))
    };
    events.named("refused").into_iter().map(show).collect()
}

#[test]
fn a_server_reports_that_it_listens_and_how_it_shuts_down() {
    let (sim, events) = (Sim::default(), Events::default());
    events.collect(|| {
        let (net, server) = bind(&sim);
        let address = server.local_addr().unwrap();
        let (stop, _outcome) = serve_until_closed(&sim, server.websocket("/chat", Echo));
        sim.run(async {
            sim.settle().await;
            let listening = events.only("listening");
            assert_eq!(listening.get("address"), address.to_string());
            assert_eq!(listening.get("tls"), "false");

            let mut polite = shake_hands(net.connect_raw().unwrap().0).await;
            let _silent = shake_hands(net.connect_raw().unwrap().0).await;
            sim.settle().await;
            stop.close();
            sim.settle().await;
            assert_eq!(events.only("shutting down").get("open"), "2");
            polite.all().await;
            drop(polite);
            sim.pass(s(60)).await;
        });
    });
    let over = events.only("shut down");
    assert_eq!((over.get("closed"), over.get("failed"), over.get("cut")), ("1", "1", "0"));
    for message in ["listening", "shutting down", "shut down"] {
        assert_eq!(events.only(message).kind, "INFO prism::server");
    }
}

#[test]
fn each_refusal_is_reported_with_its_reason_and_status_and_no_text_of_the_request() {
    let (sim, events) = (Sim::default(), Events::default());
    events.collect(|| {
        let (net, server) = bind(&sim);
        let refuse = async |_: Request| -> Result<(), Reply> { Err(Reply::new(401)) };
        let server = server
            .origins(Origins::these(["https://example.org"]).unwrap())
            .websocket("/chat", shared(Echo))
            .websocket("/login", shared(Echo).authorize(refuse))
            .get("/page", |_| Reply::new(204))
            .get("/panic", |_| -> Reply { panic!("on purpose") });
        sim.spawn(server.serve());
        let plain = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        sim.run(async {
            for request in [
                plain("/page"),
                plain("/chat"),
                plain("/hidden"),
                REQUEST.replace("X-Token: abc", "Origin: https://hidden.example"),
                REQUEST.replace("/chat?room=1", "/login?token=hidden"),
                plain("/panic"),
                "GET / HT".to_owned(),
            ] {
                let (mut io, _) = send(&net, request).await;
                read_to_end(&mut io).await;
            }
            let (mut io, _) = send(&net, "GET /hid").await;
            io.close().await.unwrap();
            sim.settle().await;
        });
    });
    let expected = [
        "bad_request 426 0",
        "not_found 404 0",
        "forbidden_origin 403 0",
        "unauthorized 401 0",
        "failed 500 0",
        "timed_out 408 0",
        "left - 0",
    ];
    assert_eq!(refusals(&events), expected);
    assert!(!format!("{:?}", events.all()).contains("hid"));
}

#[test]
fn at_most_ten_refusals_a_second_are_reported() {
    let (sim, events) = (Sim::default(), Events::default());
    events.collect(|| {
        let (net, server) = bind(&sim);
        sim.spawn(server.serve());
        let refuse = async || {
            let (mut io, _) = send(&net, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            read_to_end(&mut io).await;
        };
        sim.run(async {
            for _ in 0..25 {
                refuse().await;
            }
            assert_eq!(events.named("refused").len(), 10);
            sim.pass(s(1)).await;
            refuse().await;
            refuse().await;
        });
    });
    let last = refusals(&events).split_off(10);
    assert_eq!(last, ["not_found 404 15", "not_found 404 0"]);
}

/// Returns how many occurrences before them were not reported with the warnings that have this message.
fn unreported(events: &Events, message: &str) -> Vec<String> {
    let warnings = events.named(message);
    assert!(warnings.iter().all(|it| it.kind == "WARN prism::server"), "{warnings:?}");
    warnings.iter().map(|it| it.get("unreported").to_owned()).collect()
}

#[test]
fn a_server_without_descriptors_warns_once_a_minute() {
    let (sim, events) = (Sim::default(), Events::default());
    events.collect(|| {
        let (net, server) = bind(&sim);
        let mut options = Options::default();
        options.protocol.ping_interval = None;
        sim.spawn(server.options(options).websocket("/chat", Echo).serve());
        net.set_descriptors(1);
        sim.run(async {
            let _first = shake_hands(net.connect_raw().unwrap().0).await;
            let _second = net.connect_raw().unwrap();
            sim.pass(s(59)).await;
            assert_eq!(unreported(&events, "descriptors exhausted"), ["0"]);
            sim.pass(s(2)).await;
        });
    });
    let counts = unreported(&events, "descriptors exhausted");
    // A server without descriptors tries again every 50 ms.
    assert_eq!((counts.len(), &*counts[1]), (2, "1199"));
    assert!(events.named("descriptors exhausted")[0].get("error").contains("os error 24"));
}

#[test]
fn a_server_whose_accept_fails_warns_once_a_minute() {
    let (sim, events) = (Sim::default(), Events::default());
    events.collect(|| {
        let (net, server) = bind(&sim);
        sim.spawn(server.websocket("/chat", Echo).serve());
        net.fail_accept(3);
        sim.run(async {
            shake_hands(net.connect_raw().unwrap().0).await;
            sim.pass(s(60)).await;
            net.fail_accept(1);
            shake_hands(net.connect_raw().unwrap().0).await;
        });
    });
    assert_eq!(unreported(&events, "accept failing"), ["0", "2"]);
    assert_eq!(events.named("accept failing")[0].get("error"), "permission denied");
}

#[test]
fn a_server_that_evicts_handshakes_warns_once_a_minute() {
    let (sim, events) = (Sim::default(), Events::default());
    events.collect(|| {
        let (net, server) = bind(&sim);
        let mut options = ServerOptions::default();
        options.max_handshakes = 2;
        sim.spawn(server.options(options).websocket("/chat", Echo).serve());
        sim.run(async {
            let _silent = [(); 5].map(|()| net.connect_raw().unwrap());
            sim.pass(s(1)).await;
            sim.pass(s(60)).await;
            let _silent = [(); 3].map(|()| net.connect_raw().unwrap());
            sim.pass(ms(400)).await;
        });
    });
    assert_eq!(unreported(&events, "evicting handshakes"), ["0", "2"]);
    assert!(refusals(&events).contains(&"evicted - 0".to_owned()));
}

#[test]
fn a_server_without_a_listener_reports_its_refusals_and_connections_too() {
    let (sim, events) = (Sim::default(), Events::default());
    events.collect(|| {
        let refuse = async |request: Request| match request.path() {
            "/ada" => Ok(()),
            _ => Err(Reply::new(401)),
        };
        let websockets = websockets(&sim, |it| it.authorize(refuse));
        let peer = PEER.parse().unwrap();
        sim.run(async {
            let plain = http::Request::get("/").header("Host", "a").body(()).unwrap();
            for (request, expected) in [(&plain, 426), (&request("/eve"), 401)] {
                assert_eq!(status(&websockets, of(request).peer_addr(peer)).await, expected);
            }
            let ada = request("/ada");
            let head = of(&ada).route("/{user}").peer_addr(peer);
            let (_, opening) = accept(&websockets, head).await.unwrap();
            let (server, _client, _) = pipe();
            opening.serve(server, Echo);
            sim.settle().await;
            let ended = websockets.shut_down().await;
            assert_eq!(ended.closed + ended.failed + ended.cut, 1);
        });
    });
    assert_eq!(refusals(&events), ["bad_request 426 0", "unauthorized 401 0"]);
    assert_eq!(events.only("opened").get("route"), "/{user}");
    assert_eq!(events.only("shutting down").get("open"), "1");
    assert_eq!(events.only("ended").get("id"), events.only("opened").get("id"));
}

#[test]
fn a_refused_client_behind_a_trusted_proxy_is_reported_with_its_own_address() {
    let (sim, events) = (Sim::default(), Events::default());
    events.collect(|| {
        let websockets = websockets(&sim, |it| {
            it.options(ServerOptions::default().max_connections_per_ip(Some(1)))
                .trust_proxies(ForwardedHeader::XForwardedFor, ["10.0.0.1"])
                .expect("an address")
        });
        let [ada, bad] = ["192.0.2.1", "nonsense"].map(|it| with_header("X-Forwarded-For", it));
        sim.run(async {
            let via_proxy = |request| of(request).peer_addr(addr("[::ffff:10.0.0.1]:1"));
            let _first = accept(&websockets, via_proxy(&ada)).await.expect("it is the first");
            assert_eq!(status(&websockets, via_proxy(&ada)).await, 429);
            assert_eq!(status(&websockets, via_proxy(&bad)).await, 400);
        });
    });
    let peers = events.named("refused").into_iter().map(|it| it.get("peer").to_owned());
    assert_eq!(peers.take(2).collect::<Vec<_>>(), ["192.0.2.1:0", "10.0.0.1:1"]);
}
