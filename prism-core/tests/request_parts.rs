//! Requests that another library has parsed, in HTTP/1.1 and HTTP/2 (RFC 8441).

use bytes::BytesMut;
use prism_core::{
    Accept, Config, HandshakeError, RecvBuffer, Request, RequestParts, ResponseHead,
    ServerHandshake,
};

use crate::common::upgrades::{bad_requests, good_requests};

const GET: RequestParts<'_> = RequestParts::Http11 { method: "GET", target: "/chat?x=1" };

/// The fields of a good upgrade request in HTTP/1.1.
const UPGRADE: [(&str, &str); 5] = [
    ("host", "example.org"),
    ("upgrade", "websocket"),
    ("connection", "keep-alive, Upgrade"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-version", "13"),
];

/// The fields of a good extended CONNECT.
const CONNECT: [(&str, &str); 1] = [("sec-websocket-version", "13")];

fn http2<'a>(method: &'a str, protocol: Option<&'a str>) -> RequestParts<'a> {
    RequestParts::Http2 { method, protocol, authority: "example.org", path: "/chat?x=1" }
}

/// Accepts a request, as it is borrowed and as it is owned. Checks that both get the same response.
fn accept(
    parts: RequestParts<'_>,
    fields: &[(&str, &str)],
) -> Result<ResponseHead, HandshakeError> {
    accept_within(parts, fields, &Config::default())
}

fn accept_within(
    parts: RequestParts<'_>,
    fields: &[(&str, &str)],
    config: &Config,
) -> Result<ResponseHead, HandshakeError> {
    let (mut lines, fields) =
        (Vec::new(), fields.iter().map(|(name, value)| (*name, value.as_bytes())));
    let request = Request::from_parts(parts, fields, &mut lines, config)?;
    assert_eq!((request.path(), request.query()), ("/chat", Some("x=1")));
    assert_eq!(request.host(), "example.org");
    let [mut offer, mut kept] = [request.upgrade()?, request.upgrade()?];
    offer.select_subprotocol(["chat"]);
    kept.select_subprotocol(["chat"]);
    let head = offer.accept_response(&Accept::new(), config).0;
    let of_kept = kept.into_owned().accept_response(&Accept::new(), config).0;
    assert_eq!(format!("{of_kept:?}"), format!("{head:?}"));
    Ok(head)
}

fn header(head: &ResponseHead, name: &str) -> Option<String> {
    head.headers().joined(name).map(Into::into)
}

#[test]
fn an_upgrade_of_http_1_1_is_accepted_with_a_101() {
    let fields = [&UPGRADE[..], &[("sec-websocket-protocol", "a, chat")]].concat();
    let head = accept(GET, &fields).expect("a good request");
    assert_eq!(head.status(), 101);
    for (name, value) in [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("Sec-WebSocket-Protocol", "chat"),
    ] {
        assert_eq!(header(&head, name).as_deref(), Some(value));
    }
    assert_eq!(head.headers().iter().count(), 4);
}

#[test]
fn an_extended_connect_is_accepted_with_a_200_and_without_a_key() {
    for protocol in ["websocket", "WebSocket"] {
        let fields = [&CONNECT[..], &[("sec-websocket-protocol", "chat")]].concat();
        let head = accept(http2("CONNECT", Some(protocol)), &fields).expect("a good request");
        assert_eq!(head.status(), 200);
        let all: Vec<_> = head.headers().iter().collect();
        assert_eq!(all, [("Sec-WebSocket-Protocol", &b"chat"[..])]);
    }
}

#[test]
fn nothing_is_written_for_http_2_whose_responses_are_not_text() {
    let (config, mut lines, mut out) = (Config::default(), Vec::new(), BytesMut::new());
    let fields = CONNECT.map(|(name, value)| (name, value.as_bytes()));
    let connect = http2("CONNECT", Some("websocket"));
    let request = Request::from_parts(connect, fields, &mut lines, &config).expect("a request");
    let [offer, kept] =
        [request.upgrade(), request.upgrade()].map(|offer| offer.expect("an offer"));
    drop(offer.accept(&Accept::new(), &config, &mut out));
    drop(kept.into_owned().accept(&Accept::new(), &config, &mut out));
    assert_eq!(out, "");
}

#[test]
fn an_invalid_upgrade_gets_the_error_of_its_first_fault() {
    let without = |left_out: &str| {
        UPGRADE.into_iter().filter(|(name, _)| *name != left_out).collect::<Vec<_>>()
    };
    let post = RequestParts::Http11 { method: "POST", target: "/chat?x=1" };
    let http10 = RequestParts::Http10 { method: "GET", target: "/chat?x=1" };
    for (parts, fields, error, status) in [
        (post, UPGRADE.to_vec(), HandshakeError::MethodNotAllowed, 405),
        (http10, UPGRADE.to_vec(), HandshakeError::UpgradeOfHttp10, 426),
        (GET, without("upgrade"), HandshakeError::MissingUpgrade, 426),
        (GET, without("connection"), HandshakeError::MissingConnection, 426),
        (GET, without("sec-websocket-version"), HandshakeError::UnsupportedVersion, 426),
        (GET, without("sec-websocket-key"), HandshakeError::InvalidKey, 400),
        (GET, without("host"), HandshakeError::InvalidHost, 400),
        (http2("GET", None), CONNECT.to_vec(), HandshakeError::ConnectExpected, 405),
        (http2("GET", Some("websocket")), CONNECT.to_vec(), HandshakeError::ConnectExpected, 405),
        (http2("CONNECT", None), CONNECT.to_vec(), HandshakeError::ConnectExpected, 405),
        (http2("CONNECT", Some("x")), CONNECT.to_vec(), HandshakeError::UnsupportedProtocol, 501),
        (http2("CONNECT", Some("websocket")), vec![], HandshakeError::UnsupportedVersion, 426),
    ] {
        let refused = accept(parts, &fields).map(|head| head.status());
        assert_eq!(refused, Err(error), "{parts:?}");
        assert_eq!(error.reply().status(), status, "{error:?}");
    }
    let allowed = |error: HandshakeError| header(&error.reply().response_head(), "Allow");
    assert_eq!(allowed(HandshakeError::ConnectExpected).as_deref(), Some("CONNECT"));
}

#[test]
fn the_authority_of_http_2_is_the_host() {
    let connect = http2("CONNECT", Some("websocket"));
    let same = [&CONNECT[..], &[("host", "Example.org")]].concat();
    assert!(accept(connect, &same).is_ok());
    let other = [&CONNECT[..], &[("host", "example.com")]].concat();
    assert_eq!(accept(connect, &other).map(drop), Err(HandshakeError::InvalidHost));
    let nobody = RequestParts::Http2 {
        method: "CONNECT",
        protocol: Some("websocket"),
        authority: "",
        path: "/",
    };
    assert_eq!(accept(nobody, &CONNECT).map(drop), Err(HandshakeError::InvalidHost));
}

#[test]
fn the_path_of_http_2_names_no_host() {
    for path in ["http://b/chat?x=1", "b", ""] {
        let connect = RequestParts::Http2 {
            method: "CONNECT",
            protocol: Some("websocket"),
            authority: "a",
            path,
        };
        let refused = accept(connect, &CONNECT).map(drop);
        assert_eq!(refused, Err(HandshakeError::InvalidTarget), "{path:?}");
    }
}

#[test]
fn nothing_can_be_injected() {
    for (name, value) in [("a", "b\r\nc: d"), ("a\r\nb", ""), ("a b", ""), ("", ""), ("a:", "")] {
        let fields = [&UPGRADE[..], &[(name, value)]].concat();
        assert_eq!(accept(GET, &fields).map(drop), Err(HandshakeError::InvalidHeader), "{name:?}");
    }
    for (method, target, error) in [
        ("GET /", "/", HandshakeError::InvalidRequestLine),
        ("", "/", HandshakeError::InvalidRequestLine),
        ("GET", "/ HTTP/1.1\r\nA: b", HandshakeError::InvalidTarget),
        ("GET", "chat", HandshakeError::InvalidTarget),
        ("GET", "/%zz", HandshakeError::InvalidEscape),
    ] {
        let parts = RequestParts::Http11 { method, target };
        assert_eq!(accept(parts, &UPGRADE).map(drop), Err(error), "{method:?} {target:?}");
    }
}

#[test]
fn the_limits_on_heads_apply() {
    let config = Config::default().max_headers(UPGRADE.len());
    assert!(accept_within(GET, &UPGRADE, &config).is_ok());
    let one_more = [&UPGRADE[..], &[("a", "b")]].concat();
    let refused = accept_within(GET, &one_more, &config).map(drop);
    assert_eq!(refused, Err(HandshakeError::TooManyHeaders(UPGRADE.len())));
    let many = [("a", "b")].repeat(129);
    let refused = accept_within(GET, &many, &Config::default().max_headers(1000)).map(drop);
    assert_eq!(refused, Err(HandshakeError::TooManyHeaders(128)), "no more than on the wire");
    let lines: usize = UPGRADE.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let size = "GET".len() + "/chat?x=1".len() + lines;
    assert!(accept_within(GET, &UPGRADE, &Config::default().max_head_size(size)).is_ok());
    let refused = accept_within(GET, &UPGRADE, &Config::default().max_head_size(size - 1));
    assert_eq!(refused.map(drop), Err(HandshakeError::HeadTooLarge(size - 1)));
}

#[test]
fn a_request_is_judged_the_same_in_parts_and_as_it_is_received() {
    let config = Config::default();
    let good = good_requests().into_iter().map(|(name, head, _)| (name, head));
    let bad = bad_requests().into_iter().map(|(name, head, _)| (name, head));
    let mut judged = [0; 2];
    for (name, head) in good.chain(bad) {
        let (mut input, mut lines) = (RecvBuffer::new(), Vec::new());
        input.extend_from_slice(&head);
        // Another library refuses what is not HTTP, as we do.
        let received = ServerHandshake::new(&config).receive_request(&mut input);
        let Ok(Some(request)) = received else { continue };
        let (method, target) = (request.method(), request.target());
        let parts = match head.windows(10).any(|it| it == b" HTTP/1.0\r") {
            true => RequestParts::Http10 { method, target },
            false => RequestParts::Http11 { method, target },
        };
        let in_parts = Request::from_parts(parts, request.headers(), &mut lines, &config);
        let in_parts = in_parts.expect("a good request");
        let texts = |request: &Request<'_>| {
            [request.path(), request.host(), request.query().unwrap_or("-")].map(str::to_owned)
        };
        assert_eq!(texts(&in_parts), texts(&request), "{name}");
        let upgraded = request.upgrade().map(drop);
        assert_eq!(in_parts.upgrade().map(drop), upgraded, "{name}");
        judged[usize::from(upgraded.is_ok())] += 1;
    }
    assert!(judged.iter().all(|count| *count > 20), "{judged:?}");
}
